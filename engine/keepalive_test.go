package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// closings returns a Handler that echoes, and a channel that gets each OnClose.
func closings() (handler.Funcs, <-chan handler.CloseStatus) {
	ends := make(chan handler.CloseStatus, 10)
	return handler.Funcs{
		Message: handler.Echo{}.OnMessage,
		Close:   func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
	}, ends
}

// expectPing reads the next frame, which must be a ping, and answers it if asked to.
func (c *rawClient) expectPing(t *testing.T, answer bool) {
	t.Helper()
	op, payload, err := c.readFrame()
	if err != nil || op != frame.Ping {
		t.Fatalf("got opcode %d, error %v; want a ping", op, err)
	}
	if answer {
		c.put(t, masked(frame.Pong, payload))
	}
}

func TestPongKeepsAlive(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		e := startEngine(t, engine.Options{Mode: mode, PingInterval: 20 * time.Millisecond, PongTimeout: 2 * patience, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		for range 5 {
			c.expectPing(t, true)
		}
		c.put(t, text("alive"))
		c.expectText(t, "alive")
		if len(ends) > 0 {
			t.Errorf("OnClose got %+v", <-ends)
		}
	})
}

func TestMissingPong(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		e := startEngine(t, engine.Options{Mode: mode, PingInterval: 20 * time.Millisecond, PongTimeout: 40 * time.Millisecond, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		c.expectPing(t, false)
		c.expectEnd(t)
		s := receive(t, "OnClose", ends)
		if s.Code != frame.CloseAbnormal || s.Clean || !errors.Is(s.Err, handler.ErrPongTimeout) {
			t.Errorf("OnClose got %+v; want 1006 and ErrPongTimeout", s)
		}
		if got := e.Counters().Drops["pong timeout"]; got != 1 {
			t.Errorf("%d dropped for want of a pong; want 1", got)
		}
	})
}

// A peer that answers pings and sends no message is idle.
func TestIdleTimeout(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		e := startEngine(t, engine.Options{Mode: mode, PingInterval: 10 * time.Millisecond, IdleTimeout: 60 * time.Millisecond, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		c.expectPing(t, true)
		c.expectClose(t, frame.CloseGoingAway) // answers the pings that come before
		c.expectEnd(t)
		_ = c.Close()
		s := receive(t, "OnClose", ends)
		if s.Code != frame.CloseAbnormal || s.Clean || !errors.Is(s.Err, handler.ErrIdleTimeout) {
			t.Errorf("OnClose got %+v; want 1006 and ErrIdleTimeout", s)
		}
	})
}

// A connection that is never pinged before its idle timeout was looked at no sooner than
// its first ping.
func TestIdleTimeoutBelowPingInterval(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		e := startEngine(t, engine.Options{Mode: mode, PingInterval: time.Hour, IdleTimeout: 60 * time.Millisecond, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		if op, _, err := c.readFrame(); err != nil || op != frame.Close {
			t.Fatalf("got opcode %d, error %v; want a close frame and nothing before", op, err)
		}
		_ = c.Close()
		if s := receive(t, "OnClose", ends); !errors.Is(s.Err, handler.ErrIdleTimeout) {
			t.Errorf("OnClose got %+v; want ErrIdleTimeout", s)
		}
	})
}

func TestNoPingsWithNegativeInterval(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, PingInterval: -1, IdleTimeout: 50 * time.Millisecond, Mux: routes(handler.Echo{})})
		c := dialRaw(t, e, "/")
		if op, _, err := c.readFrame(); err != nil || op != frame.Close {
			t.Errorf("got opcode %d, error %v; want a close frame and nothing before", op, err)
		}
	})
}

// A connection from which the engine does not read, because its handler is behind,
// is neither idle nor dead. A second one shows that the time for that has passed.
func TestPausedConnectionIsNotIdle(t *testing.T) {
	const messages = 10
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			gate := make(chan struct{})
			mux := routes(handler.Func(func(c handler.Conn, op frame.Opcode, p []byte) {
				<-gate
				_ = c.Send(op, p)
			}))
			mux.Handle("/idle", handler.Echo{})
			e := startEngine(t, engine.Options{
				Mode: mode, Loops: 1, InboxMessages: 2, Mux: mux,
				PingInterval: 10 * time.Millisecond, PongTimeout: 20 * time.Millisecond, IdleTimeout: 50 * time.Millisecond,
			})
			busy := dialRaw(t, e, "/")
			for range messages {
				busy.put(t, text("x"))
			}
			eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
			for range 3 {
				idle := dialRaw(t, e, "/idle")
				idle.expectClose(t, frame.CloseGoingAway)
			}
			close(gate)
			for range messages {
				busy.expectText(t, "x")
			}
		})
	}
}

// The peer leaves our close frame unanswered.
func TestCloseTimeout(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		h.Message = func(c handler.Conn, _ frame.Opcode, _ []byte) { _ = c.Close(frame.CloseNormal, "") }
		e := startEngine(t, engine.Options{Mode: mode, CloseTimeout: 40 * time.Millisecond, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		c.put(t, text("close me"))
		c.expectClose(t, frame.CloseNormal)
		s := receive(t, "OnClose", ends)
		if s.Code != frame.CloseAbnormal || s.Clean || !errors.Is(s.Err, handler.ErrCloseTimeout) {
			t.Errorf("OnClose got %+v; want 1006 and ErrCloseTimeout", s)
		}
		c.expectEnd(t)
	})
}

// The peer has closed and the handler is stuck in an earlier message: the peer gets
// its answer in time, and the handler sees everything in order when it goes on.
func TestPeerClosesWhileHandlerIsStuck(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			gate := make(chan struct{})
			tr := newTrace(t, 1)
			e := startEngine(t, engine.Options{Mode: mode, CloseTimeout: 40 * time.Millisecond, Mux: routes(handler.Funcs{
				Open: tr.OnOpen,
				Message: func(c handler.Conn, op frame.Opcode, p []byte) {
					<-gate
					tr.OnMessage(c, op, p)
				},
				Close: tr.OnClose,
			})})
			c := dialRaw(t, e, "/")
			c.put(t, text("a"), text("b"), closeFrame(4003, ""))
			c.expectClose(t, 4003)
			c.expectEnd(t)
			close(gate)
			end := receive(t, "OnClose", tr.ends)
			if got := strings.Join(tr.of(end.id), ", "); got != "open, a, b, close" || !end.status.Clean {
				t.Errorf("callbacks %s, status %+v; want open, a, b, close, clean", got, end.status)
			}
		})
	}
}
