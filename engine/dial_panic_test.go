package engine_test

import (
	"errors"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A done that panics ends its connection, as a handler does, and nothing else.
func TestDialAsyncWithDoneThatPanics(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		server := startEngine(t, engine.Options{Mux: routes(h)})
		callers := startCallers(t, engine.Options{Mode: mode, Loops: 1})
		errs := make(chan error, 2)
		done := func(_ *engine.Conn, err error) {
			errs <- err
			panic("done")
		}
		callers.DialAsync("ws://"+closedPort(t)+"/", handler.Echo{}, engine.DialOptions{}, done)
		if err := receive(t, "done without a connection", errs); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("done got %v; want ECONNREFUSED", err)
		}
		c := newCaller()
		callers.DialAsync(urlOf(server, "/"), c, engine.DialOptions{}, done)
		if err := receive(t, "done with a connection", errs); err != nil {
			t.Errorf("done got %v", err)
		}
		if s := receive(t, "OnClose", c.ends); !errors.Is(s.Err, handler.ErrPanic) {
			t.Errorf("OnClose got %+v; want ErrPanic", s)
		}
		if s := receive(t, "the server's OnClose", ends); s.Code != frame.CloseInternalError {
			t.Errorf("the server got %+v; want 1011", s)
		}
		dial(t, callers, urlOf(server, "/"), handler.Echo{}, engine.DialOptions{})
	})
}

// A Down that panics does not keep a Reconnector from coming back: neither when an attempt
// has failed nor when a connection has ended.
func TestReconnectWithDownThatPanics(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		server := startEngine(t, engine.Options{Mux: routes(handler.Func(func(c handler.Conn, _ frame.Opcode, _ []byte) {
			_ = c.Close(frame.CloseNormal, "")
		}))})
		callers := startCallers(t, engine.Options{Mode: mode})
		for _, url := range []string{urlOf(server, "/"), "ws://" + closedPort(t) + "/"} {
			downs := make(chan error, 1)
			r, err := callers.Reconnect(url, handler.Funcs{
				Open: func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, nil) },
			}, engine.ReconnectOptions{Delay: time.Millisecond, Down: func(err error, _ time.Duration) {
				select {
				case downs <- err:
				default:
				}
				panic("down")
			}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				receive(t, "Down", downs)
			}
			_ = r.Close(frame.CloseNormal, "")
			receive(t, "Done", r.Done())
		}
	})
}

func TestDialWithProxyThatPanics(t *testing.T) {
	callers := startCallers(t, engine.Options{})
	o := engine.DialOptions{Proxy: func(*http.Request) (*url.URL, error) { panic("proxy") }}
	if _, err := callers.Dial(t.Context(), "ws://127.0.0.1/", handler.Echo{}, o); !errors.Is(err, handler.ErrPanic) {
		t.Errorf("Dial: %v; want ErrPanic", err)
	}
}
