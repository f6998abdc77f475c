package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// running runs an engine that has been started, until cancel is called. The error of
// Run comes through the channel.
func running(t *testing.T, e *engine.Engine) (cancel context.CancelFunc, ended <-chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- e.Run(ctx) }() // ends with the context of the test
	return cancel, result
}

func expectNil(t *testing.T, what string, ch <-chan error) {
	t.Helper()
	if err := receive(t, what, ch); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// isDraining waits until e refuses new connections.
func isDraining(t *testing.T, e *engine.Engine) {
	t.Helper()
	eventually(t, "the engine drains and listens no more", func() bool {
		c, err := net.Dial(e.Addr().Network(), e.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if _, draining := e.Draining(); !draining {
		t.Error("Draining reports false")
	}
}

// What waits for a connection reaches it before the close frame, OnClose is called,
// and Run returns nil.
func TestDrain(t *testing.T) {
	const clients, messages, size = 4, 800, 10_000 // more than socket buffers hold
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, clients)
		e := startEngine(t, engine.Options{Mode: mode, OutboxHardBytes: 2 * messages * size, Mux: routes(handler.Funcs{
			Open: tr.OnOpen,
			Message: func(c handler.Conn, op frame.Opcode, p []byte) {
				for range messages {
					_ = c.Send(frame.Binary, make([]byte, size))
				}
				tr.OnMessage(c, op, p)
			},
			Close: tr.OnClose,
		})})
		cancel, ended := running(t, e)
		var all []*rawClient
		for range clients {
			c := dialRaw(t, e, "/")
			c.put(t, text("end of queue"))
			all = append(all, c)
		}
		eventually(t, "all is queued", func() bool {
			for id := range uint64(clients) {
				if len(tr.of(id+1)) < 2 {
					return false
				}
			}
			return true
		})
		cancel()
		for _, c := range all {
			for range messages {
				if _, p, err := c.readMessage(); err != nil || len(p) != size {
					t.Fatalf("got %d bytes, error %v", len(p), err)
				}
			}
			c.expectText(t, "end of queue")
			c.expectClose(t, frame.CloseGoingAway)
			c.put(t, closeFrame(frame.CloseGoingAway, ""))
			c.expectEnd(t)
		}
		expectNil(t, "Run", ended)
		for range clients {
			if end := receive(t, "OnClose", tr.ends); !end.status.Clean || end.status.Code != frame.CloseGoingAway {
				t.Errorf("connection %d ended with %+v", end.id, end.status)
			}
		}
		if left, _ := e.Draining(); left != 0 {
			t.Errorf("%d connections left", left)
		}
	})
}

// New connections are refused while the engine drains: at once, with a 503 when the
// request had begun, or by an end when nothing had been sent.
func TestDrainRefusesNewConnections(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		cancel, ended := running(t, e)
		open, begun, unused := dialRaw(t, e, "/"), dialTCP(t, e), dialTCP(t, e)
		request := upgrade("/")
		begun.put(t, request[:20])
		eventually(t, "all are accepted and read", func() bool {
			c := e.Counters()
			return c.Sockets == 3 && c.BytesIn == uint64(len(request)+20)
		})
		cancel()
		isDraining(t, e)
		unused.expectEnd(t)
		begun.put(t, request[20:])
		r, _ := begun.expectStatus(t, http.StatusServiceUnavailable)
		if r.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		begun.expectEnd(t)
		_ = begun.Close()
		open.expectClose(t, frame.CloseGoingAway)
		open.put(t, closeFrame(frame.CloseGoingAway, ""))
		open.expectEnd(t)
		expectNil(t, "Run", ended)
	})
}

// An OnOpen that runs when the drain begins accepts, and its connection is closed.
func TestDrainDuringOnOpen(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			inside, gate := make(chan struct{}), make(chan struct{})
			e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
				Open: func(handler.Conn, *handler.Request) error {
					close(inside)
					<-gate
					return nil
				},
			})})
			cancel, ended := running(t, e)
			c := dialTCP(t, e)
			c.put(t, upgrade("/"))
			receive(t, "OnOpen", inside)
			cancel()
			isDraining(t, e)
			close(gate)
			c.expectStatus(t, http.StatusSwitchingProtocols)
			c.expectClose(t, frame.CloseGoingAway)
			c.put(t, closeFrame(frame.CloseGoingAway, ""))
			c.expectEnd(t)
			expectNil(t, "Run", ended)
		})
	}
}

// A second signal: Close cuts what the drain is waiting for.
func TestCloseCutsDrain(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		e := startEngine(t, engine.Options{Mode: mode, CloseTimeout: 2 * patience, DrainTime: 4 * patience, Mux: routes(h)})
		cancel, ended := running(t, e)
		c := dialRaw(t, e, "/")
		cancel()
		c.expectClose(t, frame.CloseGoingAway) // and is not answered
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		expectNil(t, "Run", ended)
		if s := receive(t, "OnClose", ends); s.Code != frame.CloseAbnormal || s.Clean {
			t.Errorf("OnClose got %+v; want 1006", s)
		}
		if mode != engine.Service && e.Counters().Connections != 0 {
			t.Errorf("counters %+v", e.Counters())
		}
	})
}

// What is left when the drain time is over, or the context of Shutdown done, is cut.
func TestDrainTimeIsOver(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		done, cancel := context.WithCancel(t.Context())
		cancel()
		for name, shutdown := range map[string]func(e *engine.Engine) error{
			"DrainTime": func(e *engine.Engine) error { return e.Shutdown(t.Context()) },
			"context":   func(e *engine.Engine) error { return e.Shutdown(done) },
		} {
			t.Run(name, func(t *testing.T) {
				h, ends := closings()
				e := startEngine(t, engine.Options{Mode: mode, CloseTimeout: 2 * patience, DrainTime: 50 * time.Millisecond, Mux: routes(h)})
				dialRaw(t, e, "/")
				eventually(t, "the connection is open", func() bool { return e.Counters().Connections == 1 })
				if err := shutdown(e); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				if s := receive(t, "OnClose", ends); s.Code != frame.CloseAbnormal || s.Clean {
					t.Errorf("OnClose got %+v; want 1006", s)
				}
			})
		}
	})
}

func TestHandlersStillRunning(t *testing.T) {
	inside, gate := make(chan struct{}), make(chan struct{})
	closed := make(chan handler.CloseStatus, 1)
	e := newEngine(t, engine.Options{
		CloseTimeout: 20 * time.Millisecond, DrainTime: 20 * time.Millisecond,
		Mux: routes(handler.Funcs{
			Message: func(handler.Conn, frame.Opcode, []byte) {
				close(inside)
				<-gate
			},
			Close: func(_ handler.Conn, s handler.CloseStatus) { closed <- s },
		}),
	})
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	cancel, ended := running(t, e)
	dialRaw(t, e, "/").put(t, text("stuck"))
	receive(t, "OnMessage", inside)
	cancel()
	if err := receive(t, "Run", ended); !errors.Is(err, engine.ErrHandlersRunning) {
		t.Errorf("Run: %v; want ErrHandlersRunning", err)
	}
	if err := e.Close(); !errors.Is(err, engine.ErrHandlersRunning) {
		t.Errorf("Close: %v; want ErrHandlersRunning", err)
	}
	close(gate)
	receive(t, "OnClose", closed)
}

func TestStartAndEndTwice(t *testing.T) {
	e := startEngine(t, engine.Options{})
	if err := e.Start(); !errors.Is(err, engine.ErrStarted) {
		t.Errorf("second Start: %v; want ErrStarted", err)
	}
	var ends []<-chan error
	for range 3 {
		result := make(chan error, 1)
		go func() { result <- e.Shutdown(t.Context()) }() // ends with the engine
		ends = append(ends, result)
	}
	for _, end := range ends {
		expectNil(t, "Shutdown", end)
	}
	if err := e.Close(); err != nil {
		t.Errorf("Close after Shutdown: %v", err)
	}
	if err := e.Run(t.Context()); err != nil {
		t.Errorf("Run after Close: %v; want nil, as the engine has ended", err)
	}
	if err := e.Run(t.Context()); !errors.Is(err, engine.ErrStarted) {
		t.Errorf("second Run: %v; want ErrStarted", err)
	}
}

func TestEndBeforeStart(t *testing.T) {
	e := newEngine(t, engine.Options{})
	if err := e.Shutdown(t.Context()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Shutdown: %v; want ErrClosed", err)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := e.Start(); !errors.Is(err, engine.ErrStarted) {
		t.Errorf("Start: %v; want ErrStarted", err)
	}
	if err := e.Run(t.Context()); !errors.Is(err, engine.ErrStarted) {
		t.Errorf("Run: %v; want ErrStarted", err)
	}
}

// The context of each Shutdown bounds the drain, also of one that another has begun.
func TestSecondShutdownCutsTheDrain(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), DrainTime: time.Hour, CloseTimeout: time.Hour})
	c := dialRaw(t, e, "/") // it answers no close frame
	first := make(chan error, 1)
	go func() { first <- e.Shutdown(t.Context()) }()
	c.expectClose(t, frame.CloseGoingAway)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	second := make(chan error, 1)
	go func() { second <- e.Shutdown(ctx) }()
	expectNil(t, "the second Shutdown", second)
	expectNil(t, "the first Shutdown", first)
}

// Everything goes away with the engine, and the port is free at once.
func TestPortIsFreeAfterClose(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		address := "127.0.0.1:0"
		for i := range 5 {
			e := startEngine(t, engine.Options{Mode: mode, Address: address, Mux: routes(handler.Echo{})})
			c := dialRaw(t, e, "/")
			c.put(t, text(fmt.Sprint(i)))
			c.expectText(t, fmt.Sprint(i))
			address = e.Addr().String()
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			c.expectEnd(t)
		}
	})
}

// Messages that have arrived when the drain begins are handled and answered before the
// close frame, though the handler is slow.
func TestDrainHandlesWhatHasArrived(t *testing.T) {
	const messages = 20
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			entered, goOn := make(chan struct{}, messages), make(chan struct{})
			e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Func(func(c handler.Conn, op frame.Opcode, p []byte) {
				entered <- struct{}{}
				<-goOn
				_ = c.Send(op, p)
			}))})
			cancel, ended := running(t, e)
			c := dialRaw(t, e, "/")
			for i := range messages {
				c.put(t, text(fmt.Sprint(i)))
			}
			receive(t, "OnMessage", entered)
			eventually(t, "all messages have arrived", func() bool { return e.Counters().MessagesIn == messages })
			cancel()
			isDraining(t, e)
			close(goOn)
			for i := range messages {
				c.expectText(t, fmt.Sprint(i))
			}
			c.expectClose(t, frame.CloseGoingAway)
			c.put(t, closeFrame(frame.CloseGoingAway, ""))
			c.expectEnd(t)
			expectNil(t, "Run", ended)
		})
	}
}

// What was published before the drain began reaches every connection, and ahead of the
// close frame: a goodbye, say.
func TestDrainFollowsPublications(t *testing.T) {
	const clients, messages = 100, 200
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(subscriber())})
		cancel, ended := running(t, e)
		var all []*rawClient
		for range clients {
			c, _ := dialSubscriber(t, e, "topic")
			all = append(all, c)
		}
		for i := range messages {
			if i%2 == 0 {
				publish(t, e, "topic", fmt.Sprint(i), nil)
			} else {
				e.Hub().Broadcast(frame.Text, []byte(fmt.Sprint(i)), handler.Audience{})
			}
		}
		cancel()
		for _, c := range all {
			for i := range messages {
				c.expectText(t, fmt.Sprint(i))
			}
			c.expectClose(t, frame.CloseGoingAway)
			c.put(t, closeFrame(frame.CloseGoingAway, ""))
		}
		expectNil(t, "Run", ended)
	})
}

// Close from another goroutine waits for a Start that is under way, whichever comes
// first.
func TestCloseDuringStart(t *testing.T) {
	for range 20 {
		e := newEngine(t, engine.Options{Loops: 2})
		started := make(chan error, 1)
		go func() { started <- e.Start() }()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, "Start", started); err != nil && !errors.Is(err, engine.ErrStarted) {
			t.Errorf("Start: %v", err)
		}
		receive(t, "Done", e.Done())
	}
}
