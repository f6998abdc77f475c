package nanonext_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/nanonext"
)

// newCertificate makes a certificate for 127.0.0.1, and for clients, that its own pool
// trusts.
func newCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	certificate, key, err := engine.SelfSigned(time.Now().Add(time.Hour), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return pair, pool
}

// dialTLS opens a connection over TLS.
func dialTLS(t testing.TB, s *nanonext.Server, path string, config *tls.Config) (*client, error) {
	t.Helper()
	c, _, err := (&websocket.Dialer{HandshakeTimeout: patience, TLSClientConfig: config}).Dial("wss://"+address(t, s)+path, nil)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, t}, nil
}

func TestRow62TLS(t *testing.T) {
	certificate, trusted := newCertificate(t)
	s := start(t, engine.Options{TLS: &engine.TLSOptions{Config: &tls.Config{Certificates: []tls.Certificate{certificate}}}},
		nanonext.WebSocket{Path: "/ws", Text: true, Message: echo},
		nanonext.Inline{Path: "/", Data: []byte("page")},
		nanonext.Stream{Path: "/events", Open: func(s *nanonext.StreamConn, _ *http.Request) {
			_ = s.Send([]byte("one piece"))
			_ = s.Close()
		}},
	)
	c, err := dialTLS(t, s, "/ws", &tls.Config{RootCAs: trusted})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	c.send(websocket.TextMessage, "over TLS")
	c.expect(websocket.TextMessage, "over TLS")

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	defer transport.CloseIdleConnections()
	for path, want := range map[string]string{"/": "page", "/events": "one piece"} {
		r, err := (&http.Client{Transport: transport}).Get(s.URL() + path)
		if err != nil {
			t.Fatalf("GET %s: %v", s.URL()+path, err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("GET %s: %q, error %v; want %q", path, body, err, want)
		}
	}
	if r := raw(t, s, "GET / HTTP/1.1"); r.StatusCode != http.StatusBadRequest {
		t.Errorf("plain text on the TLS port: %s; want 400", r.Status)
	}
	if _, err := dialTLS(t, s, "/ws", &tls.Config{RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("a client that does not trust the certificate is connected")
	}
}

func TestRow63MutualTLS(t *testing.T) {
	certificate, trusted := newCertificate(t)
	own, ownPool := newCertificate(t)
	s := start(t, engine.Options{TLS: &engine.TLSOptions{Config: &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ownPool,
	}}}, nanonext.WebSocket{Path: "/ws", Text: true, Message: echo})
	for name, certificates := range map[string][]tls.Certificate{"none": nil, "one of another authority": {certificate}} {
		if _, err := dialTLS(t, s, "/ws", &tls.Config{RootCAs: trusted, Certificates: certificates}); err == nil {
			t.Errorf("client certificate: %s: connected; want it refused", name)
		}
	}
	c, err := dialTLS(t, s, "/ws", &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{own}})
	if err != nil {
		t.Fatalf("dial with a certificate: %v", err)
	}
	c.send(websocket.TextMessage, "it is me")
	c.expect(websocket.TextMessage, "it is me")
}
