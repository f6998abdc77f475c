package engine_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// startEmbedded starts an engine that does not listen, with an echo on /ws.
func startEmbedded(t *testing.T, mode engine.Mode) *engine.Engine {
	t.Helper()
	m := handler.NewMux()
	m.Handle("/ws", handler.Echo{})
	return startEngine(t, engine.Options{Mux: m, Mode: mode, NoListen: true})
}

// An engine within somebody's net/http server takes over the connections that are
// upgraded, and only these.
func TestServeHTTP(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEmbedded(t, mode)
		mux := http.NewServeMux()
		mux.Handle("/ws", e)
		mux.Handle("/api/", http.StripPrefix("/api", e))
		mux.Handle("/", pathEcho)
		states := make(chan http.ConnState, 16)
		server := httptest.NewUnstartedServer(mux)
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) { states <- s }
		server.Start()
		defer server.Close()
		before := len(openDescriptors())

		for _, path := range []string{"/ws", "/api/ws", "/api/ws/?query", "/api/%77s"} {
			t.Run(path, func(t *testing.T) {
				c := dialAddress(t, server.Listener.Addr().String())
				c.put(t, request("GET", "/other"))
				c.expectBody(t, "GET /other ")
				c.put(t, upgrade(path), text("early"), text("frames")[:5])
				c.expectStatus(t, http.StatusSwitchingProtocols)
				c.expectText(t, "early")
				c.put(t, text("frames")[5:])
				c.expectText(t, "frames")
				for s := range states {
					if s == http.StateHijacked {
						break
					}
				}
				c.put(t, closeFrame(frame.CloseNormal, ""))
				c.expectClose(t, frame.CloseNormal)
				c.expectEnd(t)
				_ = c.Close()
			})
		}
		eventually(t, "the descriptors to be closed", func() bool { return len(openDescriptors()) <= before })
		eventually(t, "the sockets to be accounted for", func() bool { return e.Counters().Sockets == 0 })
		if got := e.Counters().Opened; got != 4 {
			t.Errorf("%d opened; want 4", got)
		}
	})
}

// net/http has no part in an enrolled connection any more: its server can close.
func TestServeHTTPOutlivesServer(t *testing.T) {
	e := startEmbedded(t, engine.Workers)
	server := httptest.NewServer(e)
	c := dialAddress(t, server.Listener.Addr().String())
	c.put(t, upgrade("/ws"))
	c.expectStatus(t, http.StatusSwitchingProtocols)
	server.Close()
	c.put(t, text("still here"))
	c.expectText(t, "still here")
	c.kill(t)
	eventually(t, "the connection to end", func() bool { return e.Counters().Sockets == 0 })
}

// A large message that has come before the socket changed hands is not lost.
func TestServeHTTPEarlyMessage(t *testing.T) {
	e := startEmbedded(t, engine.Workers)
	server := httptest.NewServer(e)
	defer server.Close()
	large := string(bytes.Repeat([]byte("early "), 100<<10/6))
	for range 20 {
		c := dialAddress(t, server.Listener.Addr().String())
		c.put(t, upgrade("/ws"), text(large), text("and more"))
		c.expectStatus(t, http.StatusSwitchingProtocols)
		c.expectText(t, large)
		c.expectText(t, "and more")
		_ = c.Close()
	}
}

func TestServeHTTPRefusals(t *testing.T) {
	e := startEmbedded(t, engine.Workers)
	server := httptest.NewServer(e)
	defer server.Close()
	c := dialAddress(t, server.Listener.Addr().String())
	// net/http keeps the connection after each.
	for _, tt := range []struct {
		name   string
		send   []byte
		status int
	}{
		{"unknown path", upgrade("/nowhere"), http.StatusNotFound},
		{"plain GET", request("GET", "/ws"), http.StatusUpgradeRequired},
		{"POST", request("POST", "/ws"), http.StatusMethodNotAllowed},
		{"foreign origin", upgrade("/ws", "Origin: https://evil.example"), http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.put(t, tt.send)
			c.expectStatus(t, tt.status)
		})
	}
	c.put(t, upgrade("/ws"))
	c.expectStatus(t, http.StatusSwitchingProtocols)
}

func TestServeHTTPNotRunning(t *testing.T) {
	m := routes(handler.Echo{})
	never := newEngine(t, engine.Options{Mux: m})
	closed := newEngine(t, engine.Options{Mux: m})
	if err := closed.Start(); err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*engine.Engine{"never started": never, "closed": closed} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(e)
			defer server.Close()
			c := dialAddress(t, server.Listener.Addr().String())
			c.put(t, upgrade("/"))
			c.expectStatus(t, http.StatusServiceUnavailable)
		})
	}
}

func TestServeHTTPOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(startEmbedded(t, engine.Workers))
	defer server.Close()
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &rawClient{Conn: conn, in: bufio.NewReader(conn)}
	c.put(t, upgrade("/ws"))
	c.expectStatus(t, http.StatusNotImplemented)
}

// HTTP/2 has no upgrade (RFC 9113 section 8.6).
func TestServeHTTPOverHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(startEmbedded(t, engine.Workers))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r, err := server.Client().Get(server.URL + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.ProtoMajor != 2 || r.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("%s %s; want HTTP/2 and 505", r.Proto, r.Status)
	}
}

// A wrapped ResponseWriter is one that http.ResponseController cannot see through.
type wrappedWriter struct{ http.ResponseWriter }

// An unwrapped one can be seen through.
type unwrappedWriter struct{ wrappedWriter }

func (w unwrappedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A wrappedListener has connections whose socket is hidden.
type wrappedListener struct{ net.Listener }

func (l wrappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// What stands between net/http and the engine may hide the connection. A middleware that
// does was told that its connection is not HTTP/1.1, and a listener nothing at all.
func TestServeHTTPWrapped(t *testing.T) {
	plain := func(w http.ResponseWriter) http.ResponseWriter { return w }
	for _, tt := range []struct {
		name         string
		wrap         func(http.ResponseWriter) http.ResponseWriter
		hideSockets  bool
		status, logs int
	}{
		{"writer", func(w http.ResponseWriter) http.ResponseWriter { return wrappedWriter{w} }, false, http.StatusInternalServerError, 1},
		{"writer with Unwrap", func(w http.ResponseWriter) http.ResponseWriter { return unwrappedWriter{wrappedWriter{w}} }, false, http.StatusSwitchingProtocols, 0},
		{"listener", plain, true, http.StatusServiceUnavailable, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var logged bytes.Buffer // written to before the response, and read after it
			e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), NoListen: true, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.ServeHTTP(tt.wrap(w), r) }))
			if tt.hideSockets {
				server.Listener = wrappedListener{server.Listener}
			}
			server.Start()
			defer server.Close()
			c := dialAddress(t, server.Listener.Addr().String())
			c.put(t, upgrade("/"))
			c.expectStatus(t, tt.status)
			if got := strings.Count(logged.String(), "enrolling a connection failed"); got != tt.logs {
				t.Errorf("%d records; want %d: %s", got, tt.logs, &logged)
			}
		})
	}
}

// An engine full of connections refuses in somebody else's server as in its own.
func TestServeHTTPFull(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), MaxConnections: 1, NoListen: true})
	server := httptest.NewServer(e)
	defer server.Close()
	c := dialAddress(t, server.Listener.Addr().String())
	c.put(t, upgrade("/"))
	c.expectStatus(t, http.StatusSwitchingProtocols)
	second := dialAddress(t, server.Listener.Addr().String())
	second.put(t, upgrade("/"))
	r, body := second.expectStatus(t, http.StatusServiceUnavailable)
	if r.Header.Get("Retry-After") == "" || body == "" {
		t.Errorf("header %v, body %q; want Retry-After and a reason", r.Header, body)
	}
	second.expectEnd(t)
}

// An upgrade that announces a body, whose bytes would be taken for frames, is refused, also
// in somebody else's server and on a connection that has served a request before.
func TestServeHTTPWithBody(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), HTTP: pathEcho})
	server := httptest.NewServer(e)
	defer server.Close()
	for _, field := range []string{"Transfer-Encoding: chunked", "Content-Length: 6"} {
		t.Run(field, func(t *testing.T) {
			for _, c := range []*rawClient{dialTCP(t, e), dialAddress(t, server.Listener.Addr().String())} {
				if c.RemoteAddr().String() == e.Addr().String() {
					c.put(t, request("GET", "/other"))
					c.expectBody(t, "GET /other ")
				}
				c.put(t, upgrade("/", field)) // and nothing of the body, for which nobody waits
				c.expectStatus(t, http.StatusBadRequest)
				c.expectEnd(t)
			}
		})
	}
}

// A connection that has served requests keeps its place when it is upgraded.
func TestUpgradeKeepsItsPlace(t *testing.T) {
	for range 30 {
		e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), HTTP: pathEcho, MaxConnections: 1})
		c := dialTCP(t, e)
		c.put(t, request("GET", "/other"))
		c.expectBody(t, "GET /other ")
		c.put(t, upgrade("/"))
		c.expectStatus(t, http.StatusSwitchingProtocols)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func ExampleEngine_ServeHTTP() {
	m := handler.NewMux()
	m.Handle("/chat", handler.Echo{})
	e, err := engine.New(engine.Options{Mux: m, NoListen: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := e.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()

	mux := http.NewServeMux()
	mux.Handle("/chat", e) // beside everything else that this server does
	server := httptest.NewServer(mux)
	defer server.Close()

	r, err := http.Get(server.URL + "/chat")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Body.Close()
	fmt.Println(r.Status)
	// Output: 426 Upgrade Required
}
