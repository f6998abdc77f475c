package engine_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// compressed is a whole message as a client sends it that agreed to permessage-deflate.
func compressed(t *testing.T, payload []byte) []byte {
	t.Helper()
	o := frame.DeflateOptions{Enabled: true}
	d, _ := frame.NegotiateDeflate(o, []string{"permessage-deflate"})
	return d.AppendMasked(nil, frame.Binary, [4]byte{1, 2, 3, 4}, payload, &o)
}

// One read may bring a hundred messages that inflate to a mebibyte each. They are inflated
// as the handler gets on, all of them, in order, and the close behind them comes last.
func TestInflatedMessagesKeepToTheInbox(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		const size, n = 1 << 20, 200
		gate, closed := make(chan struct{}), make(chan handler.CloseStatus, 1)
		var got []byte // the first byte of each
		h := handler.Funcs{
			Message: func(_ handler.Conn, _ frame.Opcode, p []byte) {
				<-gate
				if len(p) != size {
					t.Errorf("message of %d bytes", len(p))
				}
				got = append(got, p[0])
			},
			Close: func(_ handler.Conn, s handler.CloseStatus) { closed <- s },
		}
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h), Deflate: frame.DeflateOptions{Enabled: true}})
		c := dialRaw(t, e, "/", "Sec-WebSocket-Extensions: permessage-deflate")
		var in, want []byte
		for i := range n {
			in = append(in, compressed(t, bytes.Repeat([]byte{byte(i)}, size))...)
			want = append(want, byte(i))
		}
		before := liveHeap()
		c.put(t, in, closeFrame(frame.CloseNormal, ""))
		if mode != engine.OnLoop { // there the loop itself is in the handler
			eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
		}
		if held := liveHeap() - before; held > 8<<20 {
			t.Errorf("%d MiB wait for the handler", held>>20)
		}
		close(gate)
		if s := receive(t, "OnClose", closed); s.Code != frame.CloseNormal || !s.Clean {
			t.Errorf("OnClose(%+v)", s)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("messages %v; want each once, in order", got)
		}
	})
}

// The same over TLS, where the end of the stream comes with the messages.
func TestInflatedMessagesBeforeTheEndOfTLS(t *testing.T) {
	const size, n = 1 << 20, 40
	gate, seen := make(chan struct{}), make(chan int, n+1)
	h := handler.Funcs{
		Message: func(_ handler.Conn, _ frame.Opcode, p []byte) { <-gate; seen <- len(p) },
		Close:   func(handler.Conn, handler.CloseStatus) { seen <- -1 },
	}
	e, ca := startTLS(t, engine.Options{Mux: routes(h), Deflate: frame.DeflateOptions{Enabled: true}})
	c := dialTLS(t, e, ca.client())
	c.put(t, upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate"))
	c.expectStatus(t, http.StatusSwitchingProtocols)
	c.put(t, bytes.Repeat(compressed(t, make([]byte, size)), n))
	if err := c.Close(); err != nil { // close_notify follows on the last record
		t.Fatal(err)
	}
	close(gate)
	for i := range n {
		if got := receive(t, fmt.Sprint("message ", i), seen); got != size {
			t.Fatalf("after %d messages came %d", i, got)
		}
	}
	if got := receive(t, "OnClose", seen); got != -1 {
		t.Errorf("message of %d bytes after the last", got)
	}
}

// A connection that ends while the rest of what it sent waits gives that back.
func TestUndecodedIsDropped(t *testing.T) {
	gate, closed := make(chan struct{}), make(chan handler.CloseStatus, 1)
	h := handler.Funcs{
		Message: func(handler.Conn, frame.Opcode, []byte) { <-gate },
		Close:   func(_ handler.Conn, s handler.CloseStatus) { closed <- s },
	}
	e := startEngine(t, engine.Options{Mux: routes(h), Deflate: frame.DeflateOptions{Enabled: true}})
	c := dialRaw(t, e, "/", "Sec-WebSocket-Extensions: permessage-deflate")
	c.put(t, bytes.Repeat(compressed(t, make([]byte, 1<<20)), 50))
	eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
	e.Hub().Each("", func(c handler.Conn) bool { return c.Close(frame.CloseNormal, "") == nil })
	c.expectClose(t, frame.CloseNormal)
	close(gate)
	c.kill(t)
	receive(t, "OnClose", closed)
}
