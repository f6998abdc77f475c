package engine_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

func TestSendInOnOpenFollowsResponse(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Open: func(c handler.Conn, r *handler.Request) error {
				if err := r.SetHeader("X-Id", fmt.Sprint(c.ID())); err != nil {
					return err
				}
				for i := range 3 {
					if err := c.Send(frame.Text, fmt.Append(nil, "hello ", i)); err != nil {
						return err
					}
				}
				return nil
			},
		})})
		c := dialTCP(t, e)
		c.put(t, upgrade("/"))
		r, _ := c.expectStatus(t, http.StatusSwitchingProtocols)
		if got := r.Header.Get("X-Id"); got != "1" {
			t.Errorf("X-Id is %q; want 1", got)
		}
		for i := range 3 {
			c.expectText(t, fmt.Sprint("hello ", i))
		}
	})
}

func TestCloseInOnOpen(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Open: func(c handler.Conn, r *handler.Request) error {
				_ = c.Send(frame.Text, []byte("go away"))
				return errors.Join(c.Close(4000, "full"), tr.OnOpen(c, r))
			},
			Message: tr.OnMessage,
			Close:   tr.OnClose,
		})})
		c := dialTCP(t, e)
		c.put(t, upgrade("/"), text("not delivered"))
		c.expectStatus(t, http.StatusSwitchingProtocols)
		c.expectText(t, "go away")
		c.expectClose(t, 4000)
		c.put(t, text("nor this"), closeFrame(4000, ""))
		c.expectEnd(t)
		end := receive(t, "OnClose", tr.ends)
		if got := strings.Join(tr.of(end.id), ", "); got != "open, close" || !end.status.Clean {
			t.Errorf("callbacks %s, status %+v; want open, close", got, end.status)
		}
	})
}

func TestOnOpenRefuses(t *testing.T) {
	moved := handler.Refuse(http.StatusFound, "elsewhere")
	moved.Header.Set("Location", "/b")
	tests := []struct {
		name   string
		open   func(c handler.Conn) error
		status int
		body   string
		header [2]string
	}{
		{name: "with a refusal", status: 302, body: "elsewhere", header: [2]string{"Location", "/b"},
			open: func(handler.Conn) error { return moved }},
		{name: "with a wrapped refusal", status: 401, body: "who are you?", header: [2]string{"Content-Length", "12"},
			open: func(handler.Conn) error {
				return fmt.Errorf("no token: %w", handler.Refuse(http.StatusUnauthorized, "who are you?"))
			}},
		{name: "with a status that is none", status: 500, body: "?",
			open: func(handler.Conn) error { return handler.Refuse(http.StatusOK, "?") }},
		{name: "with another error", status: 500, open: func(handler.Conn) error { return errors.New("no database") }},
		{name: "by a panic", status: 500, open: func(handler.Conn) error { panic("on purpose") }},
		{name: "after it has sent", status: 403, body: "no", open: func(c handler.Conn) error {
			_ = c.Send(frame.Text, []byte("dropped"))
			return handler.Refuse(http.StatusForbidden, "no")
		}},
		{name: "after it has closed", status: 403, body: "no", open: func(c handler.Conn) error {
			_ = c.Close(frame.CloseNormal, "")
			return handler.Refuse(http.StatusForbidden, "no")
		}},
	}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				done := make(chan (<-chan struct{}), 1)
				mux := routes(handler.Funcs{
					Open: func(c handler.Conn, _ *handler.Request) error {
						done <- c.Done()
						return tt.open(c)
					},
					Message: func(handler.Conn, frame.Opcode, []byte) { t.Error("OnMessage of a refused connection") },
					Close:   func(handler.Conn, handler.CloseStatus) { t.Error("OnClose of a refused connection") },
				})
				mux.Handle("/echo", handler.Echo{})
				e := startEngine(t, engine.Options{Mode: mode, Mux: mux})
				other := dialRaw(t, e, "/echo")
				c := dialTCP(t, e)
				c.put(t, upgrade("/"), text("not delivered"))
				r, body := c.expectStatus(t, tt.status)
				if body != tt.body || r.Header.Get(tt.header[0]) != tt.header[1] {
					t.Errorf("body %q, header %v; want %q, %v", body, r.Header, tt.body, tt.header)
				}
				c.expectEnd(t)
				_ = c.Close()
				receive(t, "Done", receive(t, "OnOpen", done))
				other.put(t, text("still there?"))
				other.expectText(t, "still there?")
				if got := e.Counters(); got.Opened != 1 || got.HandshakesRefused[tt.status] != 1 {
					t.Errorf("counters %+v; want one opened, one refused with %d", got, tt.status)
				}
			})
		}
	})
}

// A blocked OnOpen, or OnMessage, holds one runner and nobody else's connection.
func TestSlowHandlersDelayNobodyElse(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			release, inside := make(chan struct{}), make(chan struct{}, 2)
			block := func() {
				inside <- struct{}{}
				<-release
			}
			mux := routes(handler.Echo{})
			mux.Handle("/open", handler.Funcs{Open: func(handler.Conn, *handler.Request) error { block(); return nil }})
			mux.Handle("/message", handler.Func(func(c handler.Conn, op frame.Opcode, p []byte) { block(); _ = c.Send(op, p) }))
			e := startEngine(t, engine.Options{Mode: mode, Mux: mux})
			if mode == engine.Service {
				serve(t, e, 2) // two of the four will be blocked
			}
			opening := dialTCP(t, e)
			opening.put(t, upgrade("/open"))
			busy := dialRaw(t, e, "/message")
			busy.put(t, text("later"))
			for range 2 {
				receive(t, "the slow handlers", inside)
			}
			for range 10 {
				c := dialRaw(t, e, "/")
				c.put(t, text("quick"))
				c.expectText(t, "quick")
			}
			close(release)
			opening.expectStatus(t, http.StatusSwitchingProtocols)
			busy.expectText(t, "later")
		})
	}
}

func TestFramesInSameSegmentAsUpgrade(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		long := strings.Repeat("long ", 100_000)
		for _, cut := range []int{0, 1, 3} { // what of the last message comes later
			c := dialTCP(t, e)
			rest := text("third")
			c.put(t, upgrade("/"), text("first"), text(long), rest[:len(rest)-cut])
			c.expectStatus(t, http.StatusSwitchingProtocols)
			c.put(t, rest[len(rest)-cut:])
			c.expectText(t, "first")
			c.expectText(t, long)
			c.expectText(t, "third")
		}
	})
}

func TestByteByByte(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		c := dialTCP(t, e)
		for _, b := range append(upgrade("/"), text("in pieces")...) {
			c.put(t, []byte{b})
		}
		c.expectStatus(t, http.StatusSwitchingProtocols)
		c.expectText(t, "in pieces")
		for _, b := range closeFrame(frame.CloseNormal, "done") {
			c.put(t, []byte{b})
		}
		c.expectClose(t, frame.CloseNormal)
		c.expectEnd(t)
	})
}

// The peer is gone before OnOpen returns nil: OnOpen has accepted, so OnClose follows.
func TestPeerVanishesDuringOnOpen(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		inside, release := make(chan struct{}), make(chan struct{})
		ends := make(chan handler.CloseStatus, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Open: func(handler.Conn, *handler.Request) error {
				inside <- struct{}{}
				<-release
				return nil
			},
			Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
		})})
		c := dialTCP(t, e)
		c.put(t, upgrade("/"))
		receive(t, "OnOpen", inside)
		c.kill(t)
		close(release)
		if s := receive(t, "OnClose", ends); s.Code != frame.CloseAbnormal || s.Clean || s.Err == nil {
			t.Errorf("OnClose got %+v; want 1006 with an error", s)
		}
		eventually(t, "the socket is gone", func() bool { return e.Counters().Sockets == 0 })
	})
}

// The engine is closed while OnOpen runs, and the socket with it: OnOpen accepts
// too late, and OnClose follows all the same.
func TestEngineClosesDuringOnOpen(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			inside, ends := make(chan struct{}), make(chan handler.CloseStatus, 1)
			e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
				Open: func(c handler.Conn, _ *handler.Request) error {
					close(inside)
					<-c.Done()
					return nil
				},
				Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
			})})
			c := dialTCP(t, e)
			c.put(t, upgrade("/"))
			receive(t, "OnOpen", inside)
			if err := e.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			if s := receive(t, "OnClose", ends); s.Code != frame.CloseAbnormal || s.Clean {
				t.Errorf("OnClose got %+v; want 1006", s)
			}
		})
	}
}

// Whatever the moment at which the engine is closed: each OnOpen that accepted gets
// its OnClose, and no other does.
func TestOpensAndClosesMatchWhenEngineCloses(t *testing.T) {
	const rounds, clients = 30, 20
	for _, mode := range []engine.Mode{engine.Workers, engine.OnLoop} {
		t.Run(mode.String(), func(t *testing.T) {
			for range rounds {
				var opens, closes atomic.Int64
				started := make(chan struct{}, clients)
				e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
					Open: func(c handler.Conn, _ *handler.Request) error {
						started <- struct{}{}
						_ = c.Send(frame.Text, []byte("hello"))
						opens.Add(1)
						return nil
					},
					Close: func(handler.Conn, handler.CloseStatus) { closes.Add(1) },
				})})
				for range clients {
					c := dialTCP(t, e)
					c.put(t, upgrade("/"))
				}
				receive(t, "the first OnOpen", started)
				if err := e.Close(); err != nil {
					t.Fatalf("Close: %v", err)
				}
				if o, c := opens.Load(), closes.Load(); o != c {
					t.Fatalf("%d connections opened, %d closed", o, c)
				}
			}
		})
	}
}

// More than the outbox takes before the opening handshake is answered: the response
// comes first even so.
func TestOnOpenSendsTooMuch(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		sends := make(chan error, 1)
		e := startEngine(t, engine.Options{
			Mode: mode, OutboxSoftBytes: 1 << 10, OutboxHardBytes: 4 << 10,
			Mux: routes(handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error {
				var err error
				for i := 0; i < 100 && err == nil; i++ {
					err = c.Send(frame.Binary, make([]byte, 1<<10))
				}
				sends <- err
				return nil
			}}),
		})
		c := dialRaw(t, e, "/")
		c.expectClose(t, frame.ClosePolicyViolation)
		if err := receive(t, "OnOpen", sends); !errors.Is(err, handler.ErrSlowConsumer) {
			t.Errorf("Send: %v; want ErrSlowConsumer", err)
		}
	})
}

func TestIdsNeverRepeat(t *testing.T) {
	const connects = 1000
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		ids := make(chan uint64, connects)
		h := handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error { ids <- c.ID(); return nil }}
		mux := routes(h)
		mux.Handle("/other", h)
		e := startEngine(t, engine.Options{Mode: mode, Mux: mux})
		seen := make(map[uint64]bool)
		for i := range connects {
			c := dialRaw(t, e, []string{"/", "/other"}[i%2])
			_ = c.Close()
			id := receive(t, "OnOpen", ids)
			if id == 0 || seen[id] {
				t.Fatalf("connection %d has id %d, which is 0 or taken", i, id)
			}
			seen[id] = true
		}
		eventually(t, "all connections are gone", func() bool { return e.Hub().Count("") == 0 && e.Counters().Sockets == 0 })
	})
}

// What is valid but unusual in a request must not be found wanting once OnOpen has
// accepted it: then OnClose was never called.
func TestUnusualHandshakeIsAccepted(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		for _, fields := range []string{
			"Connection: Upgrade\r\nUpgrade: websocket, other/2",
			"Connection: Upgrade\r\nUpgrade: other, WebSocket",
			"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: other",
			"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: websocket",
			"Connection: Upgrade\r\nConnection: x\r\nUpgrade: websocket",
		} {
			tr := newTrace(t, 1)
			e := startEngine(t, engine.Options{Mode: mode, Mux: routes(tr)})
			c := dialTCP(t, e)
			c.put(t, []byte("GET / HTTP/1.1\r\nHost:\r\n"+fields+
				"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
			r, _ := c.expectStatus(t, http.StatusSwitchingProtocols)
			if got := r.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Errorf("%q: Sec-WebSocket-Accept %q", fields, got)
			}
			c.put(t, closeFrame(frame.CloseNormal, ""))
			receive(t, "OnClose", tr.ends)
		}
	})
}
