package engine_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// secureURL is urlOf for an engine with TLS.
func secureURL(e *engine.Engine, path string) string { return "wss://" + e.Addr().String() + path }

// trusting are options for a server with a certificate of the authority.
func (a *authority) trusting() engine.DialOptions {
	return engine.DialOptions{TLSConfig: &tls.Config{RootCAs: a.pool}}
}

func TestDialTLS(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		server, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode, MaxMessageBytes: 2 << 20})
		callers := startCallers(t, engine.Options{Mode: mode, MaxMessageBytes: 2 << 20})
		for _, version := range tlsVersions {
			h, o := newCaller(), ca.trusting()
			o.TLSConfig.MaxVersion = version
			c := dial(t, callers, secureURL(server, "/"), h, o)
			if r := receive(t, "OnOpen", h.opened); r.TLS == nil || r.TLS.Version != version || r.Host != server.Addr().String() {
				t.Errorf("the request for %s is %+v", tls.VersionName(version), r)
			}
			for _, size := range []int{0, 1, 1 << 10, 100_000, 2 << 20} {
				want := strings.Repeat("x", size)
				if err := c.Send(frame.Text, []byte(want)); err != nil {
					t.Fatal(err)
				}
				if got := receive(t, "the echo", h.messages); got != want {
					t.Errorf("an echo of %d bytes; want %d", len(got), size)
				}
			}
			if err := c.Close(frame.CloseNormal, "bye"); err != nil {
				t.Fatal(err)
			}
			if s := receive(t, "OnClose", h.ends); !s.Clean || s.Code != frame.CloseNormal {
				t.Errorf("OnClose got %+v; want a clean close", s)
			}
		}
		eventually(t, "all to be gone", func() bool { return server.Counters().Sockets+callers.Counters().Sockets == 0 })
	})
}

// A server that closes first.
func TestDialTLSServerCloses(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		ends := make(chan handler.CloseStatus, 1)
		server, ca := startTLS(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Message: func(c handler.Conn, _ frame.Opcode, _ []byte) { _ = c.Close(4000, "enough") },
			Close:   func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
		})})
		h := newCaller()
		c := dial(t, startCallers(t, engine.Options{Mode: mode}), secureURL(server, "/"), h, ca.trusting())
		if err := c.Send(frame.Text, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		for what, ends := range map[string]chan handler.CloseStatus{"client": h.ends, "server": ends} {
			if s := receive(t, "OnClose", ends); !s.Clean || s.Code != 4000 {
				t.Errorf("OnClose of the %s got %+v; want a clean close with 4000", what, s)
			}
		}
	})
}

// Go's own server with gorilla's WebSocket behind it.
func TestDialTLSGorilla(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, p, err := conn.ReadMessage()
			if err != nil {
				return
			}
			_ = conn.WriteMessage(kind, p)
		}
	}))
	defer server.Close()
	o := engine.DialOptions{TLSConfig: server.Client().Transport.(*http.Transport).TLSClientConfig}
	o.TLSConfig.ServerName = "example.com"
	h := newCaller()
	c := dial(t, startCallers(t, engine.Options{}), strings.Replace(server.URL, "https", "wss", 1)+"/path", h, o)
	for _, want := range []string{"hello", strings.Repeat("large ", 50_000)} {
		if err := c.Send(frame.Text, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "the echo", h.messages); got != want {
			t.Errorf("an echo of %d bytes; want %d", len(got), len(want))
		}
	}
	_ = c.Close(frame.CloseNormal, "")
	if s := receive(t, "OnClose", h.ends); !s.Clean {
		t.Errorf("OnClose got %+v; want a clean close", s)
	}
}

// dialFails is the error of Dial that must fail.
func dialFails(t *testing.T, e *engine.Engine, url string, o engine.DialOptions) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := e.Dial(ctx, url, newCaller(), o)
	if err == nil {
		t.Fatalf("Dial(%s) succeeded", url)
	}
	return err
}

func TestDialTLSFails(t *testing.T) {
	server, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	plain := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	refusing := httptest.NewTLSServer(http.NotFoundHandler())
	defer refusing.Close()
	callers := startCallers(t, engine.Options{})

	if err := dialFails(t, callers, secureURL(server, "/"), newAuthority(t).trusting()); !isAs[*tls.CertificateVerificationError](err) {
		t.Errorf("unknown authority: %v", err)
	}
	o := ca.trusting()
	o.TLSConfig.ServerName = "elsewhere.example"
	if err := dialFails(t, callers, secureURL(server, "/"), o); !isAs[x509.HostnameError](err) {
		t.Errorf("another name: %v", err)
	}
	if err := dialFails(t, callers, "wss://"+plain.Addr().String()+"/", ca.trusting()); !isAs[tls.RecordHeaderError](err) {
		t.Errorf("server without TLS: %v", err)
	}
	if err := dialFails(t, callers, "wss://"+closedPort(t)+"/", ca.trusting()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	o = ca.trusting()
	o.TLSConfig.MaxVersion = tls.VersionTLS11
	o.TLSConfig.MinVersion = tls.VersionTLS10
	if err := dialFails(t, callers, secureURL(server, "/"), o); !isAlert(err) {
		t.Errorf("old version: %v", err)
	}
	var refused *engine.HandshakeError
	o = engine.DialOptions{TLSConfig: refusing.Client().Transport.(*http.Transport).TLSClientConfig}
	o.TLSConfig.ServerName = "example.com"
	if err := dialFails(t, callers, strings.Replace(refusing.URL, "https", "wss", 1), o); !errors.As(err, &refused) ||
		refused.Status != http.StatusNotFound || !bytes.Contains(refused.Body, []byte("404")) {
		t.Errorf("server that refuses: %v", err)
	}
	if err := dialFails(t, callers, urlOf(server, "/"), engine.DialOptions{}); !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		t.Errorf("plain text to a server with TLS: %v", err)
	}
	eventually(t, "the sockets to be gone", func() bool { return callers.Counters().Sockets == 0 })
}

func isAs[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestDialMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	o := withCertificate(ca.issue(t, "server"))
	o.Config.ClientAuth, o.Config.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool
	server := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), TLS: o})
	callers := startCallers(t, engine.Options{})
	for _, version := range tlsVersions {
		o := ca.trusting()
		o.TLSConfig.MaxVersion = version
		if err := dialFails(t, callers, secureURL(server, "/"), o); !isAlert(err) {
			t.Errorf("%s without certificate: %v; want an alert", tls.VersionName(version), err)
		}
		o.TLSConfig.Certificates = []tls.Certificate{ca.issue(t, "client")}
		_ = dial(t, callers, secureURL(server, "/"), newCaller(), o).Close(frame.CloseNormal, "")
	}
}

// Session tickets that come behind the handshake are used by the next connection.
func TestDialTLSResumption(t *testing.T) {
	server, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	callers := startCallers(t, engine.Options{})
	for _, version := range tlsVersions {
		o := ca.trusting()
		o.TLSConfig.MaxVersion = version
		o.TLSConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i := range 3 {
			h := newCaller()
			c := dial(t, callers, secureURL(server, "/"), h, o)
			if got := receive(t, "OnOpen", h.opened).TLS.DidResume; got != (i > 0) {
				t.Errorf("%s, connection %d: resumed %v", tls.VersionName(version), i, got)
			}
			_ = c.Close(frame.CloseNormal, "")
			receive(t, "OnClose", h.ends)
		}
	}
}

// A server that says nothing is given up, by time or by the caller.
func TestDialTLSSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	callers := startCallers(t, engine.Options{})
	to := "wss://" + l.Addr().String() + "/"
	if err := dialFails(t, callers, to, engine.DialOptions{HandshakeTimeout: 20 * time.Millisecond}); !errors.Is(err, engine.ErrHandshakeTimeout) {
		t.Errorf("Dial: %v; want ErrHandshakeTimeout", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan struct{})
	defer close(given)
	go func() { // ends when Dial has returned
		for range 2 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 1))
		}
		cancel() // the client has said hello
		<-given
	}()
	if _, err := callers.Dial(ctx, to, newCaller(), engine.DialOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v; want context.Canceled", err)
	}
	eventually(t, "the sockets to be gone", func() bool { return callers.Counters().Sockets == 0 })
}

// A server that hangs up in the handshake, or breaks it off with an alert.
func TestDialTLSHangsUp(t *testing.T) {
	alert := []byte{21, 3, 3, 0, 2, 2, 40} // handshake_failure
	for name, answer := range map[string][]byte{"nothing": nil, "alert": alert} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() { // ends with its one connection, or the listener
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = conn.Write(answer)
			}()
			err = dialFails(t, startCallers(t, engine.Options{}), "wss://"+l.Addr().String()+"/", engine.DialOptions{})
			if got := isAlert(err); got != (answer != nil) {
				t.Errorf("Dial: %v", err)
			}
		})
	}
}

func TestDialTLSProxy(t *testing.T) {
	server, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	proxy, targets := startProxy(t, "", server.Addr())
	o := ca.trusting()
	o.TLSConfig.ServerName = "localhost"
	o.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" {
			t.Errorf("asked for the proxy of %s", r.URL)
		}
		return url.Parse("http://" + proxy)
	}
	h := newCaller()
	c := dial(t, startCallers(t, engine.Options{}), "wss://server.weir.invalid/", h, o)
	if got := receive(t, "the proxy's request", targets); got != "CONNECT server.weir.invalid:443 server.weir.invalid:443" {
		t.Errorf("the proxy got %q", got)
	}
	if r := receive(t, "OnOpen", h.opened); r.Host != "server.weir.invalid" || r.TLS == nil {
		t.Errorf("the request is %+v", r)
	}
	if err := c.Send(frame.Text, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "the echo", h.messages); got != "hello" {
		t.Errorf("echo %q; want hello", got)
	}
}

func TestDialTLSUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	_, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Network: "unix", Address: path})
	o := ca.trusting()
	o.UnixSocket = path
	h := newCaller()
	dial(t, startCallers(t, engine.Options{}), "wss://localhost/", h, o)
	if r := receive(t, "OnOpen", h.opened); r.TLS == nil || r.TLS.ServerName != "localhost" {
		t.Errorf("the request is %+v", r)
	}
}
