package engine_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// issueLong makes a certificate of some 40 kB, more than a loop keeps ahead of a TLS
// handshake.
func (a *authority) issueLong(t *testing.T) tls.Certificate {
	t.Helper()
	template := certificateTemplate("long")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = []string{"localhost"}
	for i := range 1000 {
		template.DNSNames = append(template.DNSNames, fmt.Sprintf("a-rather-long-name-%05d.example.com", i))
	}
	der, key := signCertificate(t, template, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// inPieces makes a listener whose connections are relayed to address. What either side
// sends arrives in pieces of 20 KiB, each when reader has read the one before.
func inPieces(t *testing.T, address string, reader *engine.Engine) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	relay := func(dst, src net.Conn, paced bool) { // ends with either connection
		defer dst.Close()
		p := make([]byte, 20<<10)
		for {
			n, err := src.Read(p)
			if err != nil {
				return
			}
			before := reader.Counters().BytesIn
			if _, err := dst.Write(p[:n]); err != nil {
				return
			}
			if paced && !pollUntil(patience, func() bool { return reader.Counters().BytesIn >= before+uint64(n) }) {
				return
			}
		}
	}
	server := reader.Addr() != nil
	go func() { // ends with the listener
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", address)
			if err != nil {
				_ = a.Close()
				return
			}
			go relay(b, a, server)
			go relay(a, b, !server)
		}
	}()
	return l.Addr().String()
}

// A TLS handshake goes on however long the peer's certificate is.
func TestTLSLongClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	o := withCertificate(ca.issue(t, "server"))
	o.Config.ClientAuth, o.Config.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool
	e, _ := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), TLS: o, HeaderTimeout: 4 * patience})
	config := ca.client()
	config.Certificates = []tls.Certificate{ca.issueLong(t)}
	c := secured(t, dialAddress(t, inPieces(t, e.Addr().String(), e)), config)
	c.put(t, upgrade("/"), text("hello"))
	c.expectStatus(t, 101)
	c.expectText(t, "hello")
}

// The same for a client of ours.
func TestTLSLongServerCertificate(t *testing.T) {
	ca := newAuthority(t)
	e, _ := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), TLS: withCertificate(ca.issueLong(t))})
	callers := startCallers(t, engine.Options{})
	h := newCaller()
	o := engine.DialOptions{TLSConfig: ca.client(), HandshakeTimeout: time.Hour}
	c := dial(t, callers, "wss://"+inPieces(t, e.Addr().String(), callers)+"/", h, o)
	if err := c.Send(frame.Text, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "the echo", h.messages); got != "hello" {
		t.Errorf("got %q", got)
	}
}
