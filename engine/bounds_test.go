package engine_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// flood writes n frames on a goroutine of its own, several at a time. The channel gets
// what became of it.
func flood(c *rawClient, n int, next func(i int) []byte) <-chan error {
	result := make(chan error, 1)
	go func() { // ends when all is written or the connection is closed
		w := bufio.NewWriterSize(c, 32<<10)
		var err error
		for i := 0; i < n && err == nil; i++ {
			_, err = w.Write(next(i))
		}
		result <- errors.Join(err, w.Flush())
	}()
	return result
}

// liveHeap is the bytes that a garbage collection leaves, and what is allocated while
// it runs: it settles only when everything stands still.
func liveHeap() int64 {
	var m runtime.MemStats
	for range 3 { // what lies in a sync.Pool goes with the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fixReceiveBuffer keeps the kernel from holding ever more of what is sent to c. The
// size is above the one that a socket begins with: a window that shrinks is reopened
// by probes only, seconds later.
func fixReceiveBuffer(t *testing.T, c *rawClient) {
	t.Helper()
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
		t.Fatal(err)
	}
}

// A gated handler hashes messages once its gate is open. Before each it checks that
// no more has been read from its one client than the bounds of the inbox allow.
type gated struct {
	handler.Funcs
	t       *testing.T
	gate    chan struct{}
	engine  atomic.Pointer[engine.Engine]
	bound   uint64
	handled uint64
	sum     hash.Hash
}

func (g *gated) OnMessage(_ handler.Conn, _ frame.Opcode, payload []byte) {
	<-g.gate
	if waiting := g.engine.Load().Counters().BytesIn - g.handled; waiting > g.bound {
		g.t.Errorf("%d bytes wait for the handler; want at most %d", waiting, g.bound)
	}
	g.handled += uint64(len(payload))
	g.sum.Write(payload)
}

func TestSlowHandlerHoldsSenderBack(t *testing.T) {
	const (
		total       = 200 << 20
		inboxBytes  = 1 << 20
		readBytes   = 128 << 10 // one read of a loop
		longest     = 256 << 10
		overhead    = total / 64 / 8 // headers of frames and handshake, generously
		heapAllowed = 4 << 20
	)
	sizes := []int{100, 64 << 10, 1000, longest, 1}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		g := &gated{t: t, gate: make(chan struct{}), bound: inboxBytes + readBytes + longest + overhead, sum: sha256.New()}
		ends := make(chan handler.CloseStatus, 1)
		g.Close = func(_ handler.Conn, s handler.CloseStatus) { ends <- s }
		e := startEngine(t, engine.Options{Mode: mode, InboxBytes: inboxBytes, Mux: routes(g)})
		g.engine.Store(e)
		c := dialRaw(t, e, "/")
		before := liveHeap()

		want, sent := sha256.New(), 0
		random := bytes.Repeat([]byte("0123456789abcdef"), longest/16+1)
		n := 0
		for bytes := 0; bytes < total; n++ {
			bytes += sizes[n%len(sizes)]
		}
		written := flood(c, n+1, func(i int) []byte {
			if i == n {
				return closeFrame(frame.CloseNormal, "")
			}
			payload := random[i%16:][:sizes[i%len(sizes)]]
			want.Write(payload)
			sent += len(payload)
			return masked(frame.Binary, payload)
		})
		if mode != engine.OnLoop { // there the loop itself is in the handler
			eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
		}
		eventually(t, "the heap is within the bounds", func() bool { return liveHeap()-before < heapAllowed })
		close(g.gate)
		if err := receive(t, "the writer", written); err != nil {
			t.Fatalf("write: %v", err)
		}
		if s := receive(t, "OnClose", ends); !s.Clean {
			t.Errorf("OnClose got %+v; want a clean close", s)
		}
		if !bytes.Equal(g.sum.Sum(nil), want.Sum(nil)) || g.handled != uint64(sent) {
			t.Errorf("%d bytes arrived of %d, or with another hash", g.handled, sent)
		}
	})
}

// An inbox so small that reading stops and goes on for every few messages.
func TestTinyInbox(t *testing.T) {
	const messages = 20_000
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, InboxMessages: 2, InboxBytes: 64, Mux: routes(handler.Echo{})})
		c := dialRaw(t, e, "/")
		written := flood(c, messages, func(i int) []byte { return text(fmt.Sprint(i)) })
		for i := range messages {
			c.expectText(t, fmt.Sprint(i))
		}
		if err := receive(t, "the writer", written); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOutboxHardMark(t *testing.T) {
	const hard, message = 64 << 20, 64 << 10
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		conns, ends := make(chan handler.Conn, 1), make(chan handler.CloseStatus, 1)
		e := startEngine(t, engine.Options{Mode: mode, OutboxHardBytes: hard, Mux: routes(handler.Funcs{
			Message: func(c handler.Conn, _ frame.Opcode, _ []byte) { conns <- c },
			Close:   func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
		})})
		client := dialRaw(t, e, "/")
		fixReceiveBuffer(t, client)
		client.put(t, text("hello"))
		conn := receive(t, "OnMessage", conns)
		before := liveHeap()
		payload, sent := make([]byte, message), 0
		var err error
		for ; err == nil && sent < 4*hard; sent += message {
			err = conn.Send(frame.Binary, payload)
		}
		if !errors.Is(err, handler.ErrSlowConsumer) || sent < hard {
			t.Fatalf("Send: %v after %d bytes; want ErrSlowConsumer after %d", err, sent, hard)
		}
		if err := conn.Send(frame.Text, nil); !errors.Is(err, handler.ErrClosed) {
			t.Errorf("next Send: %v; want ErrClosed", err)
		}
		eventually(t, "the queue is freed", func() bool { return liveHeap()-before < hard/4 })
		for { // what had been written is whole, then comes the close frame
			op, p, err := client.readMessage()
			var closed peerClosed
			if errors.As(err, &closed) && closed.code == frame.ClosePolicyViolation {
				break
			}
			if err != nil || op != frame.Binary || len(p) != message {
				t.Fatalf("got opcode %d, %d bytes, error %v", op, len(p), err)
			}
		}
		client.expectEnd(t)
		_ = client.Close()
		s := receive(t, "OnClose", ends)
		if s.Code != frame.CloseAbnormal || s.Clean || !errors.Is(s.Err, handler.ErrSlowConsumer) {
			t.Errorf("OnClose got %+v; want 1006 and ErrSlowConsumer", s)
		}
		if got := e.Counters().Drops["slow consumer"]; got != 1 {
			t.Errorf("%d dropped as slow consumers; want 1", got)
		}
	})
}

// A countingReader counts what is read through it.
type countingReader struct {
	io.Reader
	taken atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.taken.Add(int64(n))
	return n, err
}

// While the peer is behind, nothing is read from it: what it has sent is handled when
// it has caught up, but for what the kernel holds.
func TestOutboxSoftMarkPausesReading(t *testing.T) {
	const (
		total  = 48 << 20
		kernel = 16 << 20 // socket buffers of both sides, generously
	)
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		var in countingReader // what the client has read
		takenThen := make(chan int64, 1)
		e := startEngine(t, engine.Options{
			Mode: mode, OutboxSoftBytes: 64 << 10, OutboxHardBytes: 2 * total,
			Mux: routes(handler.Func(func(c handler.Conn, op frame.Opcode, payload []byte) {
				if string(payload) == "flood" {
					_ = c.Send(frame.Binary, make([]byte, total))
					return
				}
				takenThen <- in.taken.Load()
				_ = c.Send(op, payload)
			})),
		})
		c := dialRaw(t, e, "/")
		fixReceiveBuffer(t, c)
		in.Reader = c.Conn
		c.in = bufio.NewReader(&in)
		c.put(t, text("flood"))
		eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
		c.put(t, text("after"))
		if _, p, err := c.readMessage(); err != nil || len(p) != total {
			t.Fatalf("got %d bytes, error %v", len(p), err)
		}
		c.expectText(t, "after")
		if got := receive(t, "the handler", takenThen); got < total-kernel {
			t.Errorf("handled when the client had taken %d of %d bytes", got, total)
		}
	})
}

func TestSlowTimeout(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		ends := make(chan handler.CloseStatus, 1)
		e := startEngine(t, engine.Options{
			Mode: mode, OutboxSoftBytes: 64 << 10, OutboxHardBytes: 64 << 20,
			SlowTimeout: 30 * time.Millisecond, CloseTimeout: 30 * time.Millisecond,
			Mux: routes(handler.Funcs{
				Message: func(c handler.Conn, _ frame.Opcode, _ []byte) {
					_ = c.Send(frame.Binary, make([]byte, 32<<20))
				},
				Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
			}),
		})
		c := dialRaw(t, e, "/")
		fixReceiveBuffer(t, c)
		c.put(t, text("flood"))
		if s := receive(t, "OnClose", ends); !errors.Is(s.Err, handler.ErrSlowConsumer) || s.Clean {
			t.Errorf("OnClose got %+v; want ErrSlowConsumer", s)
		}
	})
}

// A client that writes without reading is held back, and gets every answer, in
// order, when it reads.
func TestEchoToClientThatDoesNotRead(t *testing.T) {
	const (
		total, size = 50 << 20, 10_000
		heapAllowed = 4 << 20 // an inbox, an outbox up to its soft mark, and the client
	)
	const messages = total / size
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		c := dialRaw(t, e, "/")
		fixReceiveBuffer(t, c)
		before := liveHeap()
		payload := make([]byte, size)
		written := flood(c, messages, func(i int) []byte {
			binary.BigEndian.PutUint64(payload, uint64(i))
			return masked(frame.Binary, payload)
		})
		eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
		eventually(t, "the heap is within the bounds", func() bool { return liveHeap()-before < heapAllowed })
		for i := range messages {
			_, p, err := c.readMessage()
			if err != nil || len(p) != size || binary.BigEndian.Uint64(p) != uint64(i) {
				t.Fatalf("message %d: got %d bytes, error %v", i, len(p), err)
			}
		}
		if err := receive(t, "the writer", written); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPingFloodWithoutReading(t *testing.T) {
	const pings = 200_000
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		c := dialRaw(t, e, "/")
		fixReceiveBuffer(t, c)
		payload := make([]byte, 125)
		written := flood(c, pings, func(i int) []byte {
			binary.BigEndian.PutUint64(payload, uint64(i))
			return masked(frame.Ping, payload)
		})
		eventually(t, "reading has stopped", func() bool { return e.Counters().Pauses > 0 })
		for i := range pings {
			op, p, err := c.readFrame()
			if err != nil || op != frame.Pong || len(p) != 125 || binary.BigEndian.Uint64(p) != uint64(i) {
				t.Fatalf("pong %d: got opcode %d, %d bytes, error %v", i, op, len(p), err)
			}
		}
		if err := receive(t, "the writer", written); err != nil {
			t.Fatal(err)
		}
	})
}

// A peer that floods and never reads costs its own connection only: it is cut, and
// the writer sees that.
func TestPeerThatNeverReadsIsCut(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		ends := make(chan handler.CloseStatus, 1)
		mux := routes(handler.Funcs{
			Message: handler.Echo{}.OnMessage,
			Close:   func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
		})
		mux.Handle("/other", handler.Echo{})
		e := startEngine(t, engine.Options{
			Mode: mode, Mux: mux,
			SlowTimeout: 50 * time.Millisecond, CloseTimeout: 50 * time.Millisecond,
		})
		c := dialRaw(t, e, "/")
		fixReceiveBuffer(t, c)
		written := flood(c, 100_000, func(int) []byte { return masked(frame.Binary, make([]byte, 1<<10)) })
		if err := receive(t, "the writer", written); err == nil {
			t.Error("the writer was never held back")
		}
		if s := receive(t, "OnClose", ends); !errors.Is(s.Err, handler.ErrSlowConsumer) {
			t.Errorf("OnClose got %+v; want ErrSlowConsumer", s)
		}
		other := dialRaw(t, e, "/other")
		other.put(t, text("alive"))
		other.expectText(t, "alive")
		_, _ = io.Copy(io.Discard, c) // ends: the socket is closed
	})
}
