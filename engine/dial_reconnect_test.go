package engine_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A server that restarts gets its client back, which subscribes again, and so on.
func TestReconnect(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		got := make(chan string, 10)
		start := func(address string) *engine.Engine {
			e := newEngine(t, engine.Options{Address: address, Mux: routes(handler.Funcs{
				Message: func(c handler.Conn, _ frame.Opcode, p []byte) {
					got <- string(p)
					_ = c.Send(frame.Text, append([]byte("re: "), p...))
				},
			})})
			if err := e.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			return e
		}
		server := start("")
		address := server.Addr().String()
		callers := startCallers(t, engine.Options{Mode: mode})
		h := &counted{messages: make(chan string, 10)}
		refused := make(chan struct{}, 1000)
		r, err := callers.Reconnect("ws://"+address+"/", h, engine.ReconnectOptions{
			Delay: time.Millisecond, MaxDelay: 10 * time.Millisecond,
			Resubscribe: func(c handler.Conn) { _ = c.Send(frame.Text, []byte("again")) },
			Down: func(err error, _ time.Duration) {
				if errors.Is(err, syscall.ECONNREFUSED) {
					refused <- struct{}{}
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		expect := func(want string) {
			t.Helper()
			if m := receive(t, want, got); m != want {
				t.Fatalf("the server got %q; want %q", m, want)
			}
			if m := receive(t, "the answer", h.messages); m != "re: "+want {
				t.Fatalf("the client got %q; want the answer to %q", m, want)
			}
		}
		expect("hello")
		for range 2 {
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			receive(t, "attempts while the server is down", refused)
			server = start(address)
			expect("hello")
			expect("again")
		}
		if err := r.Close(4000, "enough"); err != nil {
			t.Errorf("Close: %v", err)
		}
		receive(t, "Done", r.Done())
		if opens, closes := h.opens.Load(), h.closes.Load(); opens != 3 || closes != 3 {
			t.Errorf("%d times OnOpen, %d times OnClose; want 3 of both", opens, closes)
		}
		if r.Conn() != nil {
			t.Error("there is a connection after Done")
		}
	})
}

// A counted handler says hello, counts, and passes on what it gets.
type counted struct {
	opens, closes atomic.Int64
	messages      chan string
}

func (h *counted) OnOpen(c handler.Conn, _ *handler.Request) error {
	h.opens.Add(1)
	return c.Send(frame.Text, []byte("hello"))
}

func (h *counted) OnMessage(_ handler.Conn, _ frame.Opcode, p []byte) { h.messages <- string(p) }

func (h *counted) OnClose(handler.Conn, handler.CloseStatus) { h.closes.Add(1) }

// The bound of the waits doubles while attempts fail.
func TestReconnectWaits(t *testing.T) {
	accept := new(atomic.Bool)
	address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
		if accept.Load() {
			respond(conn, r, acceptance)
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
	})
	callers := startCallers(t, engine.Options{})
	type down struct {
		err  error
		wait time.Duration
	}
	downs := make(chan down, 1<<16) // so that Down never waits
	r, err := callers.Reconnect("ws://"+address+"/", handler.Funcs{}, engine.ReconnectOptions{
		Delay: time.Millisecond, MaxDelay: 8 * time.Millisecond,
		Down: func(err error, wait time.Duration) { downs <- down{err, wait} },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, most := range []time.Duration{1, 2, 4, 8, 8, 8} {
		d := receive(t, "an attempt that fails", downs)
		if _, ok := errors.AsType[*engine.HandshakeError](d.err); !ok || d.wait > most*time.Millisecond {
			t.Errorf("attempt %d: %v, wait %v; want a *HandshakeError and at most %v ms", i, d.err, d.wait, int(most))
		}
	}
	accept.Store(true)
	eventually(t, "an end of a connection that was open", func() bool {
		_, ok := errors.AsType[*engine.HandshakeError](receive(t, "the next wait", downs).err)
		return !ok
	})
	_ = r.Close(frame.CloseNormal, "")
	receive(t, "Done", r.Done())
}

func TestReconnectClosedWhileItWaits(t *testing.T) {
	callers := startCallers(t, engine.Options{})
	waiting := make(chan struct{}, 1)
	r, err := callers.Reconnect("ws://"+closedPort(t)+"/", handler.Echo{}, engine.ReconnectOptions{
		Delay: time.Hour, Down: func(error, time.Duration) { waiting <- struct{}{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, "the first attempt", waiting)
	if err := r.Close(frame.CloseAbnormal, ""); !errors.Is(err, handler.ErrCloseCode) {
		t.Errorf("Close with a code that must not be sent: %v", err)
	}
	if err := r.Close(frame.CloseNormal, ""); err != nil {
		t.Errorf("Close: %v", err)
	}
	receive(t, "Done", r.Done())
}

func TestReconnectClosedWhileItDials(t *testing.T) {
	callers := startCallers(t, engine.Options{})
	reached, proceed := make(chan struct{}), make(chan struct{})
	address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
		close(reached)
		<-proceed
		respond(conn, r, acceptance)
		awaitEnd(in)
	})
	r, err := callers.Reconnect("ws://"+address+"/", handler.Funcs{Open: func(handler.Conn, *handler.Request) error {
		t.Error("OnOpen called after Close")
		return nil
	}}, engine.ReconnectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, "the server to have the request", reached)
	_ = r.Close(frame.CloseNormal, "")
	close(proceed)
	receive(t, "Done", r.Done())
}

func TestReconnectEndsWithEngine(t *testing.T) {
	server := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	callers := startCallers(t, engine.Options{})
	h := newCaller()
	r, err := callers.Reconnect(urlOf(server, "/"), h, engine.ReconnectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, "OnOpen", h.opened)
	if err := callers.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	receive(t, "Done", r.Done())
	if c := r.Conn(); c != nil {
		t.Errorf("Conn is %d; want none", c.ID())
	}
}

// The wait for an attempt that the engine will not make any more ends with the engine.
func TestReconnectEndsWithEngineWhileItWaits(t *testing.T) {
	for name, end := range map[string]func(e *engine.Engine) error{
		"Shutdown": func(e *engine.Engine) error { return e.Shutdown(t.Context()) },
		"Close":    (*engine.Engine).Close,
	} {
		t.Run(name, func(t *testing.T) {
			callers := startCallers(t, engine.Options{})
			waits := make(chan struct{}, 1)
			r, err := callers.Reconnect("ws://"+closedPort(t)+"/", handler.Echo{}, engine.ReconnectOptions{
				Delay: 1000 * time.Hour, MaxDelay: 1000 * time.Hour,
				Down: func(error, time.Duration) { waits <- struct{}{} },
			})
			if err != nil {
				t.Fatal(err)
			}
			receive(t, "Down", waits)
			if err := end(callers); err != nil {
				t.Fatal(err)
			}
			receive(t, "Done", r.Done())
		})
	}
}

// A panic in OnClose does not keep it from coming back.
func TestReconnectAfterPanic(t *testing.T) {
	server := startEngine(t, engine.Options{Mux: routes(handler.Func(func(c handler.Conn, _ frame.Opcode, _ []byte) {
		_ = c.Close(frame.CloseNormal, "")
	}))})
	callers := startCallers(t, engine.Options{})
	opens := make(chan struct{}, 10)
	r, err := callers.Reconnect(urlOf(server, "/"), handler.Funcs{
		Open: func(c handler.Conn, _ *handler.Request) error {
			opens <- struct{}{}
			return c.Send(frame.Text, nil)
		},
		Close: func(handler.Conn, handler.CloseStatus) { panic("on close") },
	}, engine.ReconnectOptions{Delay: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, "the first connection", opens)
	receive(t, "the second connection", opens)
	_ = r.Close(frame.CloseNormal, "")
	receive(t, "Done", r.Done())
}

// An error of OnOpen is no reason to give up, even if it is ErrClosed, of another engine.
func TestReconnectAfterErrClosedOfOnOpen(t *testing.T) {
	server := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	opens := make(chan struct{}, 10)
	r, err := startCallers(t, engine.Options{}).Reconnect(urlOf(server, "/"), handler.Funcs{
		Open: func(handler.Conn, *handler.Request) error { opens <- struct{}{}; return engine.ErrClosed },
	}, engine.ReconnectOptions{Delay: time.Millisecond, MaxDelay: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		receive(t, "OnOpen", opens)
	}
	_ = r.Close(frame.CloseNormal, "")
}

// A connection that OnOpen has accepted gets its OnClose, even if Resubscribe panics.
func TestReconnectAfterPanicOfResubscribe(t *testing.T) {
	server := startEngine(t, engine.Options{Mux: routes(handler.Func(func(c handler.Conn, _ frame.Opcode, _ []byte) {
		_ = c.Close(frame.CloseNormal, "")
	}))})
	events := make(chan string, 100)
	r, err := startCallers(t, engine.Options{}).Reconnect(urlOf(server, "/"), handler.Funcs{
		Open:  func(c handler.Conn, _ *handler.Request) error { events <- "open"; return c.Send(frame.Text, nil) },
		Close: func(handler.Conn, handler.CloseStatus) { events <- "close" },
	}, engine.ReconnectOptions{Delay: time.Millisecond, MaxDelay: time.Millisecond, Resubscribe: func(handler.Conn) { panic("oops") }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		want := []string{"open", "close"}[i%2]
		if got := receive(t, want, events); got != want {
			t.Fatalf("event %d is %s; want %s", i, got, want)
		}
	}
	_ = r.Close(frame.CloseNormal, "")
}

func TestReconnectRefusesArguments(t *testing.T) {
	callers := startCallers(t, engine.Options{})
	if _, err := callers.Reconnect("http://127.0.0.1/", handler.Echo{}, engine.ReconnectOptions{}); !errors.Is(err, engine.ErrBadURL) {
		t.Errorf("bad URL: %v; want ErrBadURL", err)
	}
	if _, err := callers.Reconnect("ws://127.0.0.1/", handler.Echo{}, engine.ReconnectOptions{Delay: -1}); !errors.Is(err, engine.ErrBadDialOptions) {
		t.Errorf("bad delay: %v; want ErrBadDialOptions", err)
	}
}
