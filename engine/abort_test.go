package engine_test

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// expectReset reads the end of a connection that was cut: no frame, and no end of the
// stream.
func (c *rawClient) expectReset(t *testing.T) {
	t.Helper()
	if b, err := c.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got byte %#x, error %v; want a reset", b, err)
	}
}

// aborting is a listener that cuts its connection upon the first message.
func aborting() *listener {
	h := newListener()
	h.Message = func(c handler.Conn, _ frame.Opcode, p []byte) {
		h.events <- string(p)
		c.(*engine.Conn).Abort()
	}
	return h
}

// expectAborted waits for the OnClose of a connection that was cut.
func (l *listener) expectAborted(t *testing.T) {
	t.Helper()
	s := receive(t, "OnClose", l.ends)
	if s.Clean || s.Code != frame.CloseAbnormal || !errors.Is(s.Err, handler.ErrAborted) {
		t.Errorf("OnClose got %+v; want 1006 and ErrAborted", s)
	}
}

// A handler cuts its connection: it gets none of the messages behind, one OnClose, and the
// peer a reset. Others do not notice.
func TestAbort(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h := aborting()
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
		other := dialRaw(t, e, "/")
		c := dialRaw(t, e, "/")
		c.put(t, text("a"), text("b"), text("c"))
		c.expectReset(t)
		h.expectAborted(t)
		h.expect(t, "a")
		if got := e.Counters(); len(h.events) > 0 || got.Drops["aborted"] != 1 || got.Connections != 1 {
			t.Errorf("%d more events, drops %v, %d open; want 0, 1 aborted, 1", len(h.events), got.Drops, got.Connections)
		}
		other.put(t, text("alive"))
		h.expect(t, "alive")
	})
}

// Over TLS the peer gets no close_notify either.
func TestAbortOverTLS(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h := aborting()
		e, ca := startTLS(t, engine.Options{Mode: mode, Mux: routes(h)})
		c := dialSecure(t, e, ca.client(), "/")
		c.put(t, text("a"))
		c.expectReset(t)
		h.expectAborted(t)
	})
}

// What is queued goes with the connection, however much, and a peer that does not read is
// no obstacle.
func TestAbortWithAFullOutbox(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h := newListener()
		h.Message = func(c handler.Conn, op frame.Opcode, _ []byte) {
			for range 8 {
				_ = c.Send(op, make([]byte, 1<<20))
			}
			c.(*engine.Conn).Abort()
		}
		e := startEngine(t, engine.Options{Mode: mode, OutboxHardBytes: 64 << 20, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		fixReceiveBuffer(t, c)
		c.put(t, text("a"))
		h.expectAborted(t)
		if n, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) || n > 7<<20 {
			t.Errorf("%d bytes came, then %v; want a reset before the end", n, err)
		}
	})
}

// A client cuts: while it opens, while it is open, while it closes, and when all is over.
func TestAbortOfAClient(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		theirs := newListener()
		server := startEngine(t, engine.Options{Mode: mode, Mux: routes(theirs)})
		callers := startCallers(t, engine.Options{Mode: mode})
		lost := func() {
			t.Helper()
			if s := receive(t, "OnClose of the server", theirs.ends); s.Clean || s.Code != frame.CloseAbnormal {
				t.Errorf("OnClose of the server got %+v; want 1006", s)
			}
		}

		h := newListener()
		h.Open = func(c handler.Conn, _ *handler.Request) error {
			c.(*engine.Conn).Abort()
			return nil
		}
		dial(t, callers, urlOf(server, "/"), h, engine.DialOptions{})
		h.expectAborted(t)
		lost()

		h = newListener()
		c := dial(t, callers, urlOf(server, "/"), h, engine.DialOptions{})
		c.Abort()
		c.Abort()
		h.expectAborted(t)
		lost()
		c.Abort()
		if err := c.Send(frame.Text, nil); !errors.Is(err, handler.ErrClosed) {
			t.Errorf("Send after OnClose: %v", err)
		}
		if n := len(h.ends) + len(theirs.ends); n > 0 {
			t.Errorf("%d more OnClose", n)
		}
	})
}
