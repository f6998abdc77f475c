package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A listener is a Handler that tells through a channel what comes, pings and pongs too.
type listener struct {
	handler.Funcs
	events chan string
	ends   chan handler.CloseStatus
}

func newListener() *listener {
	l := &listener{events: make(chan string, 1000), ends: make(chan handler.CloseStatus, 10)}
	l.Message = func(_ handler.Conn, op frame.Opcode, p []byte) { l.events <- fmt.Sprintf("%v %s", op, p) }
	l.Close = func(_ handler.Conn, s handler.CloseStatus) { l.ends <- s }
	return l
}

func (l *listener) OnControl(_ handler.Conn, op frame.Opcode, p []byte) {
	l.events <- fmt.Sprintf("%v %s", op, p)
}

// expect waits for these events, in this order.
func (l *listener) expect(t *testing.T, want ...string) {
	t.Helper()
	for i, w := range want {
		if got := receive(t, w, l.events); got != w {
			t.Fatalf("event %d is %.50q; want %.50q", i, got, w)
		}
	}
}

// Pings and pongs reach the handler in order with messages, wherever the stream is cut.
func TestControlFrames(t *testing.T) {
	long := strings.Repeat("x", 125)
	stream := slices.Concat(text("a"), masked(frame.Ping, []byte("1")), masked(frame.Pong, []byte(long)), text("b"),
		fragment(frame.Text, "c").append(nil), masked(frame.Ping, nil), masked(frame.Continuation, []byte("d")), masked(frame.Pong, nil))
	want := []string{"text a", "ping 1", "pong " + long, "text b", "ping ", "text cd", "pong "}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		for _, size := range []int{1, 7, len(stream)} {
			h := newListener()
			e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
			c := dialRaw(t, e, "/")
			for piece := range slices.Chunk(stream, size) {
				c.put(t, piece)
			}
			h.expect(t, want...)
			for _, payload := range []string{"1", ""} {
				if op, p, err := c.readFrame(); err != nil || op != frame.Pong || string(p) != payload {
					t.Fatalf("got opcode %d, %q, error %v; want the pong %q", op, p, err, payload)
				}
			}
			if got := e.Counters().MessagesIn; got != 3 {
				t.Errorf("%d messages counted; want 3", got)
			}
		}
	})
}

// The handler hears nothing any more once it has closed.
func TestControlFramesAfterClose(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h := newListener()
		h.Message = func(c handler.Conn, _ frame.Opcode, _ []byte) { _ = c.Close(frame.CloseNormal, "") }
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		c.put(t, text("close"), masked(frame.Ping, nil), masked(frame.Pong, nil))
		c.expectClose(t, frame.CloseNormal)
		c.put(t, masked(frame.Ping, nil), closeFrame(frame.CloseNormal, ""))
		c.expectEnd(t)
		if s := receive(t, "OnClose", h.ends); !s.Clean || len(h.events) > 0 {
			t.Errorf("OnClose got %+v, after %d events", s, len(h.events))
		}
	})
}

// Both ends ping, and each sees the other's ping and the pong to its own; so does the
// handler of a Reconnector.
func TestPing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, conns := newListener(), make(chan handler.Conn, 2)
		h.Open = func(c handler.Conn, _ *handler.Request) error {
			conns <- c
			return nil
		}
		server, callers := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)}), startCallers(t, engine.Options{Mode: mode})
		check := func(client handler.Conn, theirs *listener) {
			if err := receive(t, "OnOpen", conns).Ping([]byte("from server")); err != nil {
				t.Fatal(err)
			}
			theirs.expect(t, "ping from server")
			h.expect(t, "pong from server")
			if err := client.Ping([]byte("from client")); err != nil {
				t.Fatal(err)
			}
			h.expect(t, "ping from client")
			theirs.expect(t, "pong from client")
		}
		theirs := newListener()
		client := dial(t, callers, urlOf(server, "/"), theirs, engine.DialOptions{})
		check(client, theirs)
		if err := client.Ping(make([]byte, 126)); !errors.Is(err, handler.ErrPingTooLong) {
			t.Errorf("Ping of 126 bytes: %v", err)
		}
		if err := client.Close(frame.CloseNormal, ""); err != nil {
			t.Fatal(err)
		}
		if err := client.Ping(nil); !errors.Is(err, handler.ErrClosed) {
			t.Errorf("Ping after Close: %v", err)
		}
		r, err := callers.Reconnect(urlOf(server, "/"), theirs, engine.ReconnectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "connected again", func() bool { return r.Conn() != nil })
		check(r.Conn(), theirs)
		if err := r.Close(frame.CloseNormal, ""); err != nil {
			t.Fatal(err)
		}
		receive(t, "the end of the Reconnector", r.Done())
	})
}

// The engine's own pings come back as pongs without a payload.
func TestPongOfTheEnginesPing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h := newListener()
		e := startEngine(t, engine.Options{Mode: mode, PingInterval: 10 * time.Millisecond, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		c.expectPing(t, true)
		h.expect(t, "pong ")
	})
}

// A handler that is slow to take pings and pongs holds the peer back as with messages:
// what waits is bounded, and nothing is lost.
func TestControlFloodOfASlowHandler(t *testing.T) {
	const frames, bound = 100_000, 64
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			gate, numbers := make(chan struct{}), make(chan uint64, frames)
			h := &doorkeeper{gate: gate, numbers: numbers}
			e := startEngine(t, engine.Options{Mode: mode, InboxMessages: bound, Mux: routes(h)})
			c := dialRaw(t, e, "/")
			before := liveHeap()
			payload := make([]byte, 125)
			written := flood(c, frames, func(i int) []byte {
				binary.BigEndian.PutUint64(payload, uint64(i))
				return masked(frame.Pong, payload)
			})
			eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
			eventually(t, "little waits in memory", func() bool { return liveHeap()-before < 2<<20 })
			if len(written) > 0 {
				t.Error("the writer was not held back")
			}
			close(gate)
			for i := range uint64(frames) {
				if got := receive(t, "a pong", numbers); got != i {
					t.Fatalf("pong %d came; want %d", got, i)
				}
			}
			if err := receive(t, "the writer", written); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A doorkeeper takes no ping or pong before its gate opens, and tells their numbers.
type doorkeeper struct {
	handler.Funcs
	gate    <-chan struct{}
	numbers chan<- uint64
}

func (g *doorkeeper) OnControl(_ handler.Conn, _ frame.Opcode, p []byte) {
	<-g.gate
	g.numbers <- binary.BigEndian.Uint64(p)
}

// A panic in OnControl costs its connection, and no other.
func TestPanicInOnControl(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h := &panicking{newListener()}
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
		other := dialRaw(t, e, "/")
		c := dialRaw(t, e, "/")
		c.put(t, masked(frame.Pong, nil))
		c.expectClose(t, frame.CloseInternalError)
		if s := receive(t, "OnClose", h.ends); !errors.Is(s.Err, handler.ErrPanic) {
			t.Errorf("OnClose got %+v; want ErrPanic", s)
		}
		other.put(t, text("alive"))
		h.expect(t, "text alive")
	})
}

type panicking struct{ *listener }

func (panicking) OnControl(handler.Conn, frame.Opcode, []byte) { panic("OnControl") }
