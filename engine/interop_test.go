package engine_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// interopMost is the largest message of the interop tests.
const interopMost = 16 << 20

// interopSizes are where the length of a frame changes its form, and the ends.
var interopSizes = []int{0, 1, 125, 126, 65535, 65536, 1 << 20, interopMost}

// eachPeer runs a test with every client library against every mode. h serves the
// connection.
func eachPeer(t *testing.T, h handler.Handler, o engine.Options, test func(t *testing.T, e *engine.Engine, p peer)) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		for _, library := range libraries {
			t.Run(library.name, func(t *testing.T) {
				o := o
				o.Mode, o.Mux = mode, routes(h)
				o.MaxMessageBytes = interopMost
				o.Deflate = frame.DeflateOptions{Enabled: true}
				e := startEngine(t, o)
				p, compressed := library.dial(t, e.Addr().String(), library.compress)
				t.Cleanup(p.abandon)
				if compressed != library.compress {
					t.Fatalf("compression negotiated: %t; want %t", compressed, library.compress)
				}
				test(t, e, p)
			})
		}
	})
}

// A client of each library gets back what it sent: every size, text and binary. The
// largest is for one of the modes, because compressing it takes the clients long.
func TestInteropEcho(t *testing.T) {
	var texts, binaries [][]byte
	for _, size := range interopSizes {
		texts, binaries = append(texts, sentences(size)), append(binaries, randomBytes(size))
	}
	eachPeer(t, handler.Echo{}, engine.Options{}, func(t *testing.T, e *engine.Engine, p peer) {
		for i, size := range interopSizes {
			if size == interopMost && e.Options().Mode != engine.Workers {
				continue
			}
			expectBack(t, p, frame.Text, texts[i])
			expectBack(t, p, frame.Binary, binaries[i])
		}
	})
}

// What can be compressed is: in both directions fewer bytes cross the wire than the
// message has.
func TestInteropCompresses(t *testing.T) {
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), Deflate: frame.DeflateOptions{Enabled: true}})
			p, _ := library.dial(t, e.Addr().String(), library.compress)
			defer p.abandon()
			message := sentences(1 << 20)
			expectBack(t, p, frame.Text, message)
			few := uint64(len(message) / 2)
			eventually(t, "few bytes, or many, to be counted both ways", func() bool {
				c := e.Counters()
				return (c.BytesIn < few) == library.compress && (c.BytesOut < few) == library.compress
			})
		})
	}
}

// Messages in fragments, of which some are empty and some cut a rune in two.
func TestInteropFragments(t *testing.T) {
	eachPeer(t, handler.Echo{}, engine.Options{}, func(t *testing.T, _ *engine.Engine, p peer) {
		for _, cut := range []int{1, 7, 1000, 300_000} {
			message := sentences(min(20*cut, 1<<20))
			var pieces [][]byte
			for rest := message; len(rest) > 0; rest = rest[min(cut, len(rest)):] {
				pieces = append(pieces, rest[:min(cut, len(rest))])
			}
			pieces = append(pieces, nil)
			if err := p.sendFragments(frame.Text, pieces); err != nil {
				t.Fatalf("sending fragments of %d bytes: %v", cut, err)
			}
			expectMessage(t, p, frame.Text, message)
		}
	})
}

// Many messages under way at a time come back in order.
func TestInteropPipelined(t *testing.T) {
	const messages = 200
	eachPeer(t, handler.Echo{}, engine.Options{}, func(t *testing.T, _ *engine.Engine, p peer) {
		sent := make(chan error, 1)
		go func() { // ends when all are sent, or the socket is closed
			for i := range messages {
				if err := p.send(frame.Binary, randomBytes(i*20)); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for i := range messages {
			expectMessage(t, p, frame.Binary, randomBytes(i*20))
		}
		if err := receive(t, "everything to be sent", sent); err != nil {
			t.Errorf("sending: %v", err)
		}
	})
}

// Pings of the client are answered.
func TestInteropPing(t *testing.T) {
	eachPeer(t, handler.Echo{}, engine.Options{}, func(t *testing.T, _ *engine.Engine, p peer) {
		if err := p.ping(); err != nil {
			t.Errorf("ping: %v", err)
		}
		expectBack(t, p, frame.Text, []byte("after the ping"))
	})
}

// The engine's pings are answered: it does not send the next before that.
func TestInteropPinged(t *testing.T) {
	o := engine.Options{PingInterval: 10 * time.Millisecond, PongTimeout: patience}
	eachPeer(t, handler.Echo{}, o, func(t *testing.T, e *engine.Engine, p peer) {
		type result struct {
			payload []byte
			err     error
		}
		got := make(chan result, 1)
		go func() { // ends with the message, or the socket
			_, payload, err := p.receive()
			got <- result{payload, err}
		}()
		eventually(t, "three pings, and two pongs in between", func() bool { return e.Counters().MessagesOut >= 3 })
		if err := p.send(frame.Text, []byte("still here")); err != nil {
			t.Fatalf("send: %v", err)
		}
		if r := receive(t, "the echo", got); r.err != nil || string(r.payload) != "still here" {
			t.Errorf("received %q, %v; want the echo", r.payload, r.err)
		}
	})
}

// The client begins the close handshake.
func TestInteropClientCloses(t *testing.T) {
	h, closed := newClosing()
	eachPeer(t, h, engine.Options{}, func(t *testing.T, e *engine.Engine, p peer) {
		expectBack(t, p, frame.Text, []byte("hello"))
		if err := p.close(4001, "that will do"); err != nil {
			t.Errorf("close: %v", err)
		}
		s := receive(t, "OnClose", closed)
		if s.Code != 4001 || s.Reason != "that will do" {
			t.Errorf("OnClose got %+v; want code 4001", s)
		}
		// gws has hung up by the time the answer comes.
		if _, hangsUp := p.(*gwsPeer); !s.Clean && !hangsUp {
			t.Errorf("OnClose got %+v; want a clean close", s)
		}
		eventually(t, "the socket to be closed", func() bool { return e.Counters().Sockets == 0 })
	})
}

// The handler begins the close handshake, behind what it has sent.
func TestInteropServerCloses(t *testing.T) {
	h, closed := newClosing()
	eachPeer(t, h, engine.Options{}, func(t *testing.T, e *engine.Engine, p peer) {
		if err := p.send(frame.Text, []byte("close")); err != nil {
			t.Fatalf("send: %v", err)
		}
		expectMessage(t, p, frame.Text, []byte("last words"))
		_, _, err := p.receive()
		var status peerClosed
		if !errors.As(err, &status) || status != (peerClosed{4002, "as you wish"}) {
			t.Errorf("client got %v; want close code 4002", err)
		}
		if s := receive(t, "OnClose", closed); s.Code != 4002 || !s.Clean || s.Err != nil {
			t.Errorf("OnClose got %+v; want a clean close with code 4002", s)
		}
		eventually(t, "the socket to be closed", func() bool { return e.Counters().Sockets == 0 })
	})
}

// newClosing returns an echo handler that closes when it is told to, and the channel
// that gets what OnClose got.
func newClosing() (handler.Handler, <-chan handler.CloseStatus) {
	closed := make(chan handler.CloseStatus, 1)
	return handler.Funcs{
		Message: func(c handler.Conn, op frame.Opcode, payload []byte) {
			if string(payload) == "close" {
				_ = c.Send(frame.Text, []byte("last words"))
				_ = c.Close(4002, "as you wish")
				return
			}
			_ = c.Send(op, payload)
		},
		Close: func(_ handler.Conn, s handler.CloseStatus) { closed <- s },
	}, closed
}

func expectBack(t *testing.T, p peer, op frame.Opcode, payload []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- p.send(op, payload) }() // ends when it is sent, or the socket is closed
	expectMessage(t, p, op, payload)
	if err := receive(t, "the message to be sent", sent); err != nil {
		t.Errorf("sending %d bytes: %v", len(payload), err)
	}
}

func expectMessage(t *testing.T, p peer, op frame.Opcode, want []byte) {
	t.Helper()
	gotOp, got, err := p.receive()
	if err != nil || gotOp != op || !bytes.Equal(got, want) {
		t.Fatalf("received opcode %d, %d bytes %.40q, %v; want opcode %d, %d bytes %.40q", gotOp, len(got), got, err, op, len(want), want)
	}
}

// sentences is n bytes of valid UTF-8 with runes of every length, of a few words in random
// order: it can be compressed, and not without bound.
func sentences(n int) []byte {
	few := []string{"größe, ", "尺寸, ", "🌊 ", "a wave. "}
	random := rand.New(rand.NewPCG(uint64(n), 1))
	p := make([]byte, 0, n)
	for {
		word := few[random.IntN(len(few))]
		if len(p)+len(word) > n {
			return append(p, bytes.Repeat([]byte("."), n-len(p))...)
		}
		p = append(p, word...)
	}
}

// randomBytes is n bytes that cannot be compressed, the same for the same n.
func randomBytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(p)
	return p
}
