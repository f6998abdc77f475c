package engine_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// enders are the ways of ending an engine from within.
var enders = []struct {
	name string
	end  func(e *engine.Engine) error
}{
	{"Shutdown", func(e *engine.Engine) error { return e.Shutdown(context.Background()) }},
	{"Close", (*engine.Engine).Close},
}

// A handler that ends its own engine, from as deep as it likes. Waiting would take the
// whole of the timeouts, which are longer than the test's patience.
func TestHandlerEndsItsEngine(t *testing.T) {
	for _, ender := range enders {
		t.Run(ender.name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode engine.Mode) {
				results := make(chan error, 1)
				mux := handler.NewMux()
				e := startEngine(t, engine.Options{Mode: mode, Mux: mux, DrainTime: 10 * patience, CloseTimeout: 10 * patience})
				h, ends := closings()
				h.Message = func(handler.Conn, frame.Opcode, []byte) {
					err := deep(100, func() error { return ender.end(e) })
					select {
					case <-e.Done():
						t.Error("the engine has ended while a handler runs")
					default:
					}
					results <- err
				}
				mux.Handle("/", h)
				_, ended := running(t, e)
				c, other := dialRaw(t, e, "/"), dialRaw(t, e, "/")
				c.put(t, text("end"))
				expectNil(t, ender.name, results)
				if ender.name == "Shutdown" {
					for _, c := range []*rawClient{c, other} {
						c.expectClose(t, frame.CloseGoingAway)
						c.put(t, closeFrame(frame.CloseGoingAway, ""))
						c.expectEnd(t)
					}
				}
				expectNil(t, "Run", ended)
				for range 2 {
					receive(t, "OnClose", ends)
				}
			})
		})
	}
}

// deep calls f with n more calls on the stack.
func deep(n int, f func() error) error {
	if n == 0 {
		return f()
	}
	return deep(n-1, f)
}

// What the HTTP side calls may end the engine, too: its answer arrives.
func TestHTTPHandlerEndsItsEngine(t *testing.T) {
	pages := http.NewServeMux()
	e := startEngine(t, engine.Options{HTTP: pages, DrainTime: 10 * patience, CloseTimeout: 10 * patience})
	pages.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		if err := e.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	_, ended := running(t, e)
	c := dialTCP(t, e)
	c.put(t, []byte("POST /stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"))
	c.expectStatus(t, http.StatusAccepted)
	expectNil(t, "Run", ended)
}

// A handler that ends the context of Run.
func TestHandlerEndsRun(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		ctx, cancel := context.WithCancel(t.Context())
		e := startEngine(t, engine.Options{
			Mode: mode, DrainTime: 10 * patience, CloseTimeout: 10 * patience,
			Mux: routes(handler.Func(func(handler.Conn, frame.Opcode, []byte) { cancel() })),
		})
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }() // ends when the handler is called
		c := dialRaw(t, e, "/")
		c.put(t, text("end"))
		c.expectClose(t, frame.CloseGoingAway)
		_ = c.Close()
		expectNil(t, "Run", ended)
	})
}

// Anywhere else Shutdown waits, also on a goroutine that a handler has started.
func TestShutdownOnGoroutineOfHandlerWaits(t *testing.T) {
	results := make(chan error, 1)
	mux := handler.NewMux()
	e := startEngine(t, engine.Options{Mux: mux})
	mux.Handle("/", handler.Func(func(handler.Conn, frame.Opcode, []byte) {
		go func() { // ends with the engine
			err := e.Shutdown(context.Background())
			select {
			case <-e.Done():
			default:
				t.Error("Shutdown has returned before the end")
			}
			results <- err
		}()
	}))
	c := dialRaw(t, e, "/")
	c.put(t, text("end"))
	c.expectClose(t, frame.CloseGoingAway)
	_ = c.Close()
	expectNil(t, "Shutdown", results)
}
