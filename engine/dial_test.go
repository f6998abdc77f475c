package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A caller is a Handler for dialled connections whose events come through channels.
type caller struct {
	opened   chan *handler.Request
	messages chan string
	ends     chan handler.CloseStatus
}

func newCaller() *caller {
	return &caller{make(chan *handler.Request, 1), make(chan string, 100), make(chan handler.CloseStatus, 1)}
}

func (c *caller) OnOpen(_ handler.Conn, r *handler.Request) error {
	c.opened <- r
	return nil
}

func (c *caller) OnMessage(_ handler.Conn, _ frame.Opcode, p []byte) { c.messages <- string(p) }

func (c *caller) OnClose(_ handler.Conn, s handler.CloseStatus) { c.ends <- s }

// startCallers starts an engine that does not listen.
func startCallers(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	o.NoListen = true
	return startEngine(t, o)
}

// urlOf is the URL of a path of an engine that listens on TCP.
func urlOf(e *engine.Engine, path string) string { return "ws://" + e.Addr().String() + path }

// dial is Dial that must succeed, and bounded.
func dial(t testing.TB, e *engine.Engine, url string, h handler.Handler, o engine.DialOptions) *engine.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := e.Dial(ctx, url, h, o)
	if err != nil {
		t.Fatalf("Dial(%s): %v", url, err)
	}
	return c
}

func TestDial(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		requests := make(chan *handler.Request, 1)
		m := handler.NewMux()
		err := m.Add(handler.Route{Path: "/a b", Subprotocols: []string{"chat", "superchat"}, Handler: handler.Funcs{
			Open: func(_ handler.Conn, r *handler.Request) error {
				requests <- r
				return r.SetHeader("X-Server", "weir")
			},
			Message: func(c handler.Conn, op frame.Opcode, p []byte) { _ = c.Send(op, p) },
		}})
		if err != nil {
			t.Fatal(err)
		}
		server := startEngine(t, engine.Options{Mode: mode, Mux: m, Origins: []string{"*"}})
		callers := startCallers(t, engine.Options{Mode: mode})
		h := newCaller()
		c := dial(t, callers, urlOf(server, "/a%20b?x=ü z"), h, engine.DialOptions{
			Header:       http.Header{"X-Client": {"1", "2"}, "Host": {"example.com"}},
			Subprotocols: []string{"superchat", "chat"},
			Origin:       "http://elsewhere.example",
		})

		sent := receive(t, "the server's OnOpen", requests)
		got := receive(t, "OnOpen", h.opened)
		for _, tt := range []struct{ what, got, want string }{
			{"Host at the server", sent.Host, "example.com"},
			{"Origin at the server", sent.Header.Get("Origin"), "http://elsewhere.example"},
			{"header field at the server", fmt.Sprint(sent.Header.Values("X-Client")), "[1 2]"},
			{"URI at the server", sent.URI, "/a%20b?x=%C3%BC%20z"},
			{"URI", got.URI, sent.URI},
			{"Path", got.Path, "/a b"},
			{"Query", got.Query().Get("x"), "ü z"},
			{"Host", got.Host, "example.com"},
			{"Header", got.Header.Get("X-Server"), "weir"},
			{"Subprotocols", fmt.Sprint(got.Subprotocols), "[superchat chat]"},
			{"Subprotocol", got.Subprotocol, "superchat"},
			{"RemoteAddr", got.RemoteAddr.String(), server.Addr().String()},
			{"Conn.Subprotocol", c.Subprotocol(), "superchat"},
			{"Conn.Path", c.Path(), "/a b"},
			{"Conn.RemoteAddr", c.RemoteAddr().String(), server.Addr().String()},
		} {
			if tt.got != tt.want {
				t.Errorf("%s is %q; want %q", tt.what, tt.got, tt.want)
			}
		}
		if c.ID() == 0 {
			t.Error("the connection has no id")
		}
		if err := c.Send(frame.Text, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, "the echo", h.messages); m != "hello" {
			t.Errorf("echo %q; want hello", m)
		}
	})
}

// What a handler sends in OnOpen goes out first, and what the server sends at once is
// not lost.
func TestDialSendsInOnOpen(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		server := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Open:    func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, []byte("welcome")) },
			Message: func(c handler.Conn, op frame.Opcode, p []byte) { _ = c.Send(op, p) },
		})})
		callers := startCallers(t, engine.Options{Mode: mode})
		messages := make(chan string, 3)
		c := dial(t, callers, urlOf(server, ""), handler.Funcs{
			Open:    func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, []byte("first")) },
			Message: func(_ handler.Conn, _ frame.Opcode, p []byte) { messages <- string(p) },
		}, engine.DialOptions{})
		if err := c.Send(frame.Text, []byte("second")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"welcome", "first", "second"} {
			if got := receive(t, want, messages); got != want {
				t.Errorf("got %q; want %q", got, want)
			}
		}
	})
}

// A message as large as may be that says the same all over: by default the ratio of its
// sizes, which is 200 and more, is nothing to refuse it for.
func TestDialSendsRepetitiveMessage(t *testing.T) {
	o := engine.Options{Deflate: frame.DeflateOptions{Enabled: true, Level: 9}}
	callers := startCallers(t, o)
	o.Mux = routes(handler.Echo{})
	server := startEngine(t, o)
	h := newCaller()
	c := dial(t, callers, urlOf(server, "/"), h, engine.DialOptions{})
	for _, phrase := range []string{"the same all over, ", "\x00"} {
		message := strings.Repeat(phrase, 1<<20/len(phrase))
		if err := c.Send(frame.Text, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "the echo", h.messages); got != message {
			t.Errorf("%d bytes came back as %d", len(message), len(got))
		}
	}
}

// Both directions, by Send and by SendPrepared.
func TestDialSizes(t *testing.T) {
	const most = interopMost
	var payloads [][]byte
	for _, size := range interopSizes {
		payloads = append(payloads, sentences(size), randomBytes(size))
	}
	for _, deflate := range []bool{false, true} {
		o := engine.Options{
			MaxMessageBytes: most, OutboxHardBytes: 4 * most, OutboxSoftBytes: 2 * most,
			Deflate: frame.DeflateOptions{Enabled: deflate},
		}
		t.Run(fmt.Sprint("deflate ", deflate), func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode engine.Mode) {
				o := o
				o.Mode = mode
				callers := startCallers(t, o)
				o.Mux = routes(handler.Echo{})
				server := startEngine(t, o)
				echoed := make(chan []byte, 1)
				c := dial(t, callers, urlOf(server, "/"), handler.Func(func(_ handler.Conn, op frame.Opcode, p []byte) {
					echoed <- append([]byte{byte(op)}, p...)
				}), engine.DialOptions{})
				for i, payload := range payloads {
					if len(payload) == most && mode != engine.Workers {
						continue // the largest take long
					}
					op := frame.Text + frame.Opcode(i%2)
					if err := c.Send(op, payload); err != nil {
						t.Fatal(err)
					}
					if err := c.SendPrepared(frame.Prepare(op, payload, &o.Deflate)); err != nil {
						t.Fatal(err)
					}
					for range 2 {
						got := receive(t, "the echo", echoed)
						if got[0] != byte(op) || !bytes.Equal(got[1:], payload) {
							t.Errorf("%v of %d bytes came back as %d bytes", op, len(payload), len(got)-1)
						}
					}
				}
			})
		})
	}
}

func TestDialUnixSocket(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		address := filepath.Join(t.TempDir(), "s")
		server := startEngine(t, engine.Options{Mode: mode, Network: "unix", Address: address, Mux: routes(handler.Echo{})})
		callers := startCallers(t, engine.Options{Mode: mode})
		h := newCaller()
		c := dial(t, callers, "ws://localhost/", h, engine.DialOptions{UnixSocket: server.Addr().String()})
		if c.RemoteAddr().IsValid() {
			t.Errorf("RemoteAddr is %v", c.RemoteAddr())
		}
		_ = c.Send(frame.Text, []byte("hello"))
		receive(t, "the echo", h.messages)
	})
	_, err := startCallers(t, engine.Options{}).Dial(t.Context(), "ws://localhost/", handler.Echo{}, engine.DialOptions{UnixSocket: filepath.Join(t.TempDir(), "none")})
	if err == nil {
		t.Error("Dial of a socket that does not exist succeeds")
	}
}

// A hub reaches connections of both sides, also when a route and a URL have the same
// path.
func TestDialledInHub(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		got := make(chan string, 10)
		m := handler.NewMux()
		m.Handle("/a", handler.Func(func(c handler.Conn, _ frame.Opcode, p []byte) { got <- "accepted " + string(p) }))
		m.Handle("/b", handler.Func(func(c handler.Conn, _ frame.Opcode, p []byte) { got <- "accepted " + string(p) }))
		e := startEngine(t, engine.Options{Mode: mode, Mux: m, Deflate: frame.DeflateOptions{Enabled: true}})
		dialled := handler.Func(func(c handler.Conn, _ frame.Opcode, p []byte) { got <- "dialled " + string(p) })
		a := dial(t, e, urlOf(e, "/a"), dialled, engine.DialOptions{})
		b := dial(t, e, urlOf(e, "/b"), dialled, engine.DialOptions{})
		eventually(t, "all four ends are open", func() bool { return e.Hub().Count("") == 4 && e.Hub().Count("/a") == 2 })
		if c, ok := e.Hub().Conn(a.ID()); !ok || c.(*engine.Conn) != a {
			t.Error("the hub does not have the dialled connection")
		}
		receiveAll := func(want ...string) {
			t.Helper()
			var all []string
			for range want {
				all = append(all, receive(t, "a message", got))
			}
			slices.Sort(all)
			if !slices.Equal(all, want) {
				t.Errorf("got %.20q; want %.20q", all, want)
			}
		}
		if n := e.Hub().Broadcast(frame.Text, []byte("x"), handler.Audience{Path: "/a"}); n != 2 {
			t.Errorf("Broadcast to a path reached %d; want 2", n)
		}
		receiveAll("accepted x", "dialled x")
		long := string(bytes.Repeat([]byte("y"), 1000))
		if n := e.Hub().Broadcast(frame.Text, []byte(long), handler.Audience{Except: b}); n != 3 {
			t.Errorf("Broadcast to all but one reached %d; want 3", n)
		}
		receiveAll("accepted "+long, "dialled "+long, "dialled "+long)
		_ = a.Close(frame.CloseNormal, "")
		eventually(t, "both ends are gone", func() bool { return e.Hub().Count("/a") == 0 && e.Counters().Sockets == 2 })
	})
}

// An error of the client's OnOpen closes the connection, and is Dial's.
func TestDialOnOpenRefuses(t *testing.T) {
	refused := errors.New("not this one")
	tests := []struct {
		name string
		open func(handler.Conn, *handler.Request) error
		want error
		code frame.CloseCode
	}{
		{"error", func(c handler.Conn, _ *handler.Request) error {
			_ = c.Send(frame.Text, []byte("dropped"))
			return refused
		}, refused, frame.CloseGoingAway},
		{"panic", func(handler.Conn, *handler.Request) error { panic("at the disco") }, handler.ErrPanic, frame.CloseInternalError},
	}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, 1)
		server := startEngine(t, engine.Options{Mode: mode, Mux: routes(tr)})
		callers := startCallers(t, engine.Options{Mode: mode})
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				h := handler.Funcs{Open: tt.open, Close: func(handler.Conn, handler.CloseStatus) { t.Error("OnClose called") }}
				if _, err := callers.Dial(t.Context(), urlOf(server, "/"), h, engine.DialOptions{}); !errors.Is(err, tt.want) {
					t.Errorf("Dial: %v; want %v", err, tt.want)
				}
				end := receive(t, "the server's OnClose", tr.ends)
				if end.status.Code != tt.code {
					t.Errorf("the server got %+v; want code %d", end.status, tt.code)
				}
				if events := tr.of(end.id); !slices.Equal(events, []string{"open", "close"}) {
					t.Errorf("the server's callbacks: %q", events)
				}
				eventually(t, "the socket is gone", func() bool { return callers.Counters().Sockets == 0 })
			})
		}
	})
}

func TestDialBounds(t *testing.T) {
	server := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	callers := startCallers(t, engine.Options{MaxConnections: 2})
	dial(t, callers, urlOf(server, "/"), newCaller(), engine.DialOptions{})
	c := dial(t, callers, urlOf(server, "/"), newCaller(), engine.DialOptions{})
	if _, err := callers.Dial(t.Context(), urlOf(server, "/"), handler.Echo{}, engine.DialOptions{}); !errors.Is(err, engine.ErrTooManyConnections) {
		t.Errorf("third Dial: %v; want ErrTooManyConnections", err)
	}
	_ = c.Close(frame.CloseNormal, "")
	eventually(t, "a socket is gone", func() bool { return callers.Counters().Sockets == 1 })
	dial(t, callers, urlOf(server, "/"), newCaller(), engine.DialOptions{})
}

func TestDialNeedsRunningEngine(t *testing.T) {
	e := newEngine(t, engine.Options{NoListen: true})
	if _, err := e.Dial(t.Context(), "ws://127.0.0.1:1/", handler.Echo{}, engine.DialOptions{}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Dial before Start: %v; want ErrClosed", err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Dial(t.Context(), "ws://127.0.0.1:1/", handler.Echo{}, engine.DialOptions{}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Dial after Close: %v; want ErrClosed", err)
	}
}
