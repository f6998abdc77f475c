package websockets_test

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/websockets"
)

func TestRow01BinaryEcho(t *testing.T) {
	c := dial(t, echoes(start(t, websockets.Options{Binary: true})))
	c.send(websocket.BinaryMessage, "\x01\x00\x02")
	c.expect(websocket.BinaryMessage, "\x01\x00\x02")
}

func TestRow02TextEcho(t *testing.T) {
	c := dial(t, echoes(start(t, websockets.Options{})))
	for _, s := range []string{"héllo", "", strings.Repeat("long ", 100000)} {
		c.send(websocket.TextMessage, s)
		c.expect(websocket.TextMessage, s)
	}
}

func TestRow06AnyPath(t *testing.T) {
	requests := make(chan *handler.Request, 1)
	s := start(t, websockets.Options{})
	s.Established(func(ws *websockets.Conn) { requests <- ws.Request })
	for _, target := range []string{"/", "/ws?x=1", "/ws/", "/deep/down"} {
		dialURL(t, "ws://"+s.Addr().String()+target)
		if r := receive(t, "established", requests); r.URI != target {
			t.Errorf("the callback sees %q; want %q", r.URI, target)
		}
	}
}

func TestRow10AnyHost(t *testing.T) {
	s := echoes(start(t, websockets.Options{}))
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		c := dialURL(t, "ws://"+host+":"+port)
		c.send(websocket.TextMessage, host)
		c.expect(websocket.TextMessage, host)
	}
}

func TestRow16SendToID(t *testing.T) {
	s := start(t, websockets.Options{})
	s.Established(func(ws *websockets.Conn) { _, _ = ws.Write(strconv.AppendUint(nil, ws.ID(), 10)) })
	s.Receive(func(data []byte, _ *websockets.Conn, _ websockets.Header) {
		if id, err := strconv.ParseUint(string(data), 10, 64); err == nil {
			_, _ = s.Conn(id).Write([]byte("for you"))
		}
	})
	a, b := dial(t, s), dial(t, s)
	if _, _, err := a.ReadMessage(); err != nil {
		t.Fatalf("reading the id of a: %v", err)
	}
	_, id, err := b.ReadMessage()
	if err != nil {
		t.Fatalf("reading the id of b: %v", err)
	}
	a.send(websocket.TextMessage, string(id))
	b.expect(websocket.TextMessage, "for you")
	if s.Conn(1<<40) != nil {
		t.Error("there is a client that never was")
	}
}

func TestRow17WriteResult(t *testing.T) {
	type result struct {
		wire websockets.Wire
		err  error
	}
	for _, tt := range []struct {
		name   string
		binary bool
		data   string
		wire   websockets.Wire
		err    error
	}{
		{"hello", false, "hello", 7, nil},
		{"empty", false, "", 2, nil},
		{"two bytes of length", true, strings.Repeat("x", 126), 130, nil},
		{"eight bytes of length", true, strings.Repeat("x", 1<<16), 1<<16 + 10, nil},
		{"not UTF-8, as text", false, "\xff", 0, websockets.ErrNotUTF8},
		{"not UTF-8, as binary", true, "\xff", 3, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results := make(chan result, 2)
			s := start(t, websockets.Options{Binary: tt.binary})
			write := func(ws *websockets.Conn) {
				wire, err := ws.Write([]byte(tt.data))
				results <- result{wire, err}
			}
			s.Established(write)
			s.Closed(func(ws *websockets.Conn, _ handler.CloseStatus) { write(ws) })
			c := dial(t, s)
			if got := receive(t, "established", results); got.wire != tt.wire || !errors.Is(got.err, tt.err) {
				t.Errorf("Write: %d bytes, error %v; want %d, %v", got.wire, got.err, tt.wire, tt.err)
			}
			_ = c.Close()
			want := tt.err
			if want == nil {
				want = handler.ErrClosed
			}
			if got := receive(t, "closed", results); got.wire != 0 || !errors.Is(got.err, want) {
				t.Errorf("Write in closed: %d bytes, error %v; want 0, %v", got.wire, got.err, want)
			}
		})
	}
}

func TestRow22NoLossBeforeClose(t *testing.T) {
	const clients, messages = 20, 50
	var received, closed atomic.Int64
	s := start(t, websockets.Options{})
	s.Receive(func([]byte, *websockets.Conn, websockets.Header) { received.Add(1) })
	s.Closed(func(*websockets.Conn, handler.CloseStatus) { closed.Add(1) })
	for range clients {
		c := dial(t, s)
		for i := range messages {
			c.send(websocket.TextMessage, strconv.Itoa(i))
		}
		c.send(websocket.CloseMessage, string(websocket.FormatCloseMessage(1000, "")))
		_ = c.Close()
	}
	eventually(t, "the closed callbacks", func() bool { return closed.Load() == clients })
	if got := received.Load(); got != clients*messages {
		t.Errorf("%d messages arrived; want %d", got, clients*messages)
	}
}

func TestRow24BroadcastToAll(t *testing.T) {
	s := start(t, websockets.Options{})
	s.Receive(func(data []byte, _ *websockets.Conn, _ websockets.Header) { s.Broadcast(data) })
	// A newcomer is among the clients already when it is announced.
	s.Established(func(ws *websockets.Conn) { s.Broadcast(fmt.Append(nil, "enter ", ws.ID())) })
	clients := []*client{dial(t, s), dial(t, s), dial(t, s)}
	for i, c := range clients {
		for id := i + 1; id <= len(clients); id++ {
			c.expect(websocket.TextMessage, fmt.Sprint("enter ", id))
		}
	}
	clients[1].send(websocket.TextMessage, "once")
	clients[1].send(websocket.TextMessage, "again")
	for _, c := range clients {
		c.expect(websocket.TextMessage, "once")
		c.expect(websocket.TextMessage, "again")
	}
}

func TestRow26BroadcastResult(t *testing.T) {
	s := listen(t, websockets.Options{}) // Service is called by the test: it decides what has happened
	clients := []*client{}
	for range 3 {
		done := make(chan *client, 1)
		go func() { done <- dial(t, s) }() // ends with the dial, for which the test waits
		for len(s.Conns()) <= len(clients) {
			s.Service(patience)
		}
		clients = append(clients, receive(t, "dial", done))
	}
	leaving := s.Conns()[1]
	if err := leaving.Close(frame.CloseNormal, "leave"); err != nil {
		t.Fatalf("Close: %v", err)
	}
	results := s.Broadcast([]byte("hello"))
	if len(results) != 3 || results.Delivered() != 2 || results.Failed() != 1 {
		t.Errorf("%d results, %d delivered, %d failed; want 3, 2, 1", len(results), results.Delivered(), results.Failed())
	}
	for _, r := range results {
		switch {
		case r.Conn == leaving && (!errors.Is(r.Err, handler.ErrClosed) || r.Wire != 0):
			t.Errorf("result for the one that leaves: %d, %v; want 0, ErrClosed", r.Wire, r.Err)
		case r.Conn != leaving && (r.Err != nil || r.Wire != 7):
			t.Errorf("result for connection %d: %d, %v; want 7, nil", r.Conn.ID(), r.Wire, r.Err)
		}
	}
	clients[0].expect(websocket.TextMessage, "hello")
	clients[2].expect(websocket.TextMessage, "hello")
	if results := s.Broadcast([]byte("\xff")); results.Failed() != 3 || !errors.Is(results[0].Err, websockets.ErrNotUTF8) {
		t.Errorf("broadcast of what is not UTF-8: %+v; want ErrNotUTF8 for all", results)
	}
}

func TestRow27ClosedClientsAreForgotten(t *testing.T) {
	s := start(t, websockets.Options{})
	for range 100 {
		_ = dial(t, s).Close()
	}
	eventually(t, "no client", func() bool { return len(s.Conns()) == 0 })
}

func TestRow28Enumerate(t *testing.T) {
	s := start(t, websockets.Options{})
	all := []*client{}
	for n := range 5 {
		all = append(all, dial(t, s))
		if got := len(s.Conns()); got != n+1 {
			t.Errorf("%d clients; want %d", got, n+1)
		}
	}
	for i, ws := range s.Conns() {
		if ws.ID() != uint64(i+1) || ws.RemoteAddr().String() != all[i].LocalAddr().String() {
			t.Errorf("client %d is %d from %v; want them in order", i, ws.ID(), ws.RemoteAddr())
		}
	}
}

func TestRow48RawReceive(t *testing.T) {
	type received struct {
		data string
		id   uint64
		h    websockets.Header
	}
	got := make(chan received, 1)
	s := start(t, websockets.Options{Engine: engine.Options{Deflate: frame.DeflateOptions{Enabled: true}}})
	s.Receive(func(data []byte, ws *websockets.Conn, h websockets.Header) { got <- received{string(data), ws.ID(), h} })
	c := dial(t, s)
	for kind, op := range map[int]frame.Opcode{websocket.TextMessage: frame.Text, websocket.BinaryMessage: frame.Binary} {
		c.send(kind, "bytes")
		if r, want := receive(t, "receive", got), (received{"bytes", 1, websockets.Header{Fin: true, Opcode: op}}); r != want {
			t.Errorf("received %+v; want %+v", r, want)
		}
	}
}

func TestRow49DefaultPort(t *testing.T) {
	const want = "127.0.0.1:7681"
	s, err := websockets.NewServer(websockets.Options{})
	if errors.Is(err, syscall.EADDRINUSE) {
		// Something else has the port: it must be this one.
		var op *net.OpError
		if !errors.As(err, &op) || op.Addr.String() != want {
			t.Errorf("NewServer: %v; want it to be about %s", err, want)
		}
		return
	}
	if err != nil {
		t.Fatalf("NewServer: %v", err)
	}
	defer s.Close()
	if got := s.Addr().String(); got != want {
		t.Errorf("listens on %s; want %s", got, want)
	}
	s.Daemonize()
	_ = dialURL(t, "ws://"+want).Close()
}

func TestRow50ManyServers(t *testing.T) {
	a, b := start(t, websockets.Options{}), start(t, websockets.Options{})
	ca, cb := dial(t, a), dial(t, b)
	if n := a.Broadcast([]byte("for a")).Delivered(); n != 1 {
		t.Errorf("delivered to %d clients; want 1", n)
	}
	b.Broadcast([]byte("for b"))
	ca.expect(websocket.TextMessage, "for a")
	cb.expect(websocket.TextMessage, "for b")
}

func TestRow51CallbacksAreReplaced(t *testing.T) {
	s := start(t, websockets.Options{})
	c := dial(t, s)
	for _, answer := range []string{"first", "second"} {
		s.Receive(func(_ []byte, ws *websockets.Conn, _ websockets.Header) { _, _ = ws.Write([]byte(answer)) })
		c.send(websocket.TextMessage, "who are you?")
		c.expect(websocket.TextMessage, answer)
	}
	ends := make(chan string, 1)
	s.Closed(func(*websockets.Conn, handler.CloseStatus) { ends <- "first" })
	s.Closed(func(*websockets.Conn, handler.CloseStatus) { ends <- "second" })
	_ = c.Close()
	if got := receive(t, "closed", ends); got != "second" {
		t.Errorf("the %s closed callback ran; want the second", got)
	}
}

func TestRow52MissingCallbacks(t *testing.T) {
	s := echoes(start(t, websockets.Options{}))
	s.Receive(nil)
	s.Established(nil)
	s.Closed(nil)
	c := dial(t, s)
	c.send(websocket.TextMessage, "nobody listens")
	c.send(websocket.CloseMessage, string(websocket.FormatCloseMessage(1000, "")))
	c.expectClose(1000)
	eventually(t, "no client", func() bool { return len(s.Conns()) == 0 })
}

// A callback that panics closes its connection and no other, and leaves nothing behind.
func TestRow37PanicIsIsolated(t *testing.T) {
	s := echoes(start(t, websockets.Options{}))
	good := dial(t, s)
	s.Established(func(*websockets.Conn) { panic("as told") })
	_, r, err := websocket.DefaultDialer.Dial("ws://"+s.Addr().String(), nil)
	if err == nil || r == nil || r.StatusCode != 500 {
		t.Errorf("dial: %v; want 500", err)
	}
	if n := len(s.Conns()); n != 1 {
		t.Errorf("%d clients; want 1", n)
	}
	s.Established(nil)
	bad := dial(t, s)
	s.Receive(func([]byte, *websockets.Conn, websockets.Header) { panic("as told") })
	bad.send(websocket.TextMessage, "go on")
	bad.expectClose(1011)
	echoes(s)
	good.send(websocket.TextMessage, "fine")
	good.expect(websocket.TextMessage, "fine")
}
