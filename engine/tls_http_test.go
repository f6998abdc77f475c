package engine_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// tlsEcho answers like pathEcho, and with the version of TLS in a header field.
var tlsEcho = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.TLS != nil {
		w.Header().Set("Version", tls.VersionName(r.TLS.Version))
	}
	pathEcho(w, r)
})

// startHTTPS starts an engine with TLS that echoes on /ws and serves h elsewhere.
func startHTTPS(t *testing.T, h http.Handler, mode engine.Mode) (*engine.Engine, *authority) {
	t.Helper()
	m := handler.NewMux()
	m.Handle("/ws", handler.Echo{})
	return startTLS(t, engine.Options{Mux: m, HTTP: h, Mode: mode})
}

func TestHTTPS(t *testing.T) {
	e, ca := startHTTPS(t, tlsEcho, engine.Workers)
	for _, version := range tlsVersions {
		config := ca.client()
		config.MaxVersion = version
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		client := http.Client{Transport: transport, Timeout: patience}
		for _, body := range []string{"", "body", strings.Repeat("x", 1<<20)} {
			r, err := client.Post("https://"+e.Addr().String()+"/some/path", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			if want := "POST /some/path " + body; err != nil || string(got) != want {
				t.Errorf("got %.50q, error %v; want %.50q", got, err, want)
			}
			if got, want := r.Header.Get("Version"), tls.VersionName(version); got != want || r.ProtoMajor != 1 {
				t.Errorf("%s over %q; want HTTP/1.1 over %q", r.Proto, got, want)
			}
		}
		transport.CloseIdleConnections()
	}
	eventually(t, "the connections to end", func() bool { return e.Counters().Sockets == 0 })
	if got := e.Counters().HandedOff; got != uint64(len(tlsVersions)) {
		t.Errorf("%d connections handed off; want %d: they are kept alive", got, len(tlsVersions))
	}
}

// What was decrypted before the hand-over is not lost, nor what comes in the middle of
// a record.
func TestHTTPSPipelined(t *testing.T) {
	e, ca := startHTTPS(t, tlsEcho, engine.Workers)
	for _, size := range []int{1 << 20, 100, 7} {
		c := dialTCP(t, e)
		c.Conn = choppedConn{c.Conn, size}
		c = secured(t, c, ca.client())
		c.put(t, request("GET", "/1"), request("POST", "/2", "Content-Length: 4"), []byte("body"), request("GET", "/3"))
		c.expectBody(t, "GET /1 ")
		c.expectBody(t, "POST /2 body")
		c.expectBody(t, "GET /3 ")
		c.put(t, request("GET", "/4", "Connection: close"))
		c.expectBody(t, "GET /4 ")
		c.expectEnd(t)
	}
}

// A connection that served requests first comes back to a loop for an upgrade, with
// what follows that in the same record and in later ones.
func TestHTTPSThenUpgrade(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startHTTPS(t, tlsEcho, mode)
		for _, version := range tlsVersions {
			config := ca.client()
			config.MaxVersion = version
			c := dialTLS(t, e, config)
			for i := range 2 {
				c.put(t, request("GET", fmt.Sprint("/", i)))
				c.expectBody(t, fmt.Sprintf("GET /%d ", i))
			}
			c.put(t, upgrade("/ws"), text("one"))
			c.put(t, text("two"))
			c.expectStatus(t, http.StatusSwitchingProtocols)
			c.expectText(t, "one")
			c.expectText(t, "two")
			large := bytes.Repeat([]byte("large"), 100_000)
			c.put(t, masked(frame.Binary, large))
			if _, got, err := c.readMessage(); err != nil || !bytes.Equal(got, large) {
				t.Errorf("got %d bytes, error %v; want %d", len(got), err, len(large))
			}
			c.put(t, closeFrame(frame.CloseNormal, ""))
			c.expectClose(t, frame.CloseNormal)
			c.expectEnd(t)
		}
		eventually(t, "the connections to end", func() bool { return e.Counters().Sockets == 0 })
	})
}

// An upgrade behind a request, both in one record and with frames in the same.
func TestHTTPSPipelinedUpgrade(t *testing.T) {
	e, ca := startHTTPS(t, tlsEcho, engine.Workers)
	c := dialTLS(t, e, ca.client())
	c.put(t, request("GET", "/1"), upgrade("/ws"), text("one"), text("two"))
	c.expectBody(t, "GET /1 ")
	c.expectStatus(t, http.StatusSwitchingProtocols)
	c.expectText(t, "one")
	c.expectText(t, "two")
}

// An application may take the connection over: it is encrypted then as well.
func TestHTTPSHijack(t *testing.T) {
	e, ca := startHTTPS(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer conn.Close()
		line, err := rw.ReadString('\n')
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		_, _ = io.WriteString(conn, "you said "+line)
	}), engine.Workers)
	c := dialTLS(t, e, ca.client())
	c.put(t, request("GET", "/"), []byte("hello\n"))
	if line, err := c.in.ReadString('\n'); err != nil || line != "you said hello\n" {
		t.Errorf("got %q, error %v", line, err)
	}
	c.expectEnd(t)
}

// Refusals of requests are encrypted too, and the end behind them is announced.
func TestHTTPSRefusals(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), MaxHeaderBytes: 512})
	for name, tt := range map[string]struct {
		request []byte
		status  int
	}{
		"no route":      {request("GET", "/nowhere"), http.StatusNotFound},
		"no upgrade":    {request("GET", "/"), http.StatusUpgradeRequired},
		"malformed":     {[]byte("GET / HTTP/1.1\r\n\r\n"), http.StatusBadRequest},
		"too large":     {upgrade("/", "Cookie: "+strings.Repeat("x", 1000)), http.StatusRequestHeaderFieldsTooLarge},
		"TLS under TLS": {[]byte{22, 3, 1, 0, 1, 0}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialTLS(t, e, ca.client())
			c.put(t, tt.request)
			c.expectStatus(t, tt.status)
			c.expectEnd(t)
		})
	}
}
