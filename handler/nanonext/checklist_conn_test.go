package nanonext_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

func TestRow15UniqueIDs(t *testing.T) {
	const cycles = 1000
	var mu sync.Mutex
	seen := make(map[uint64]int)
	count := func(ws nanonext.Conn, _ *handler.Request) error {
		mu.Lock()
		defer mu.Unlock()
		seen[ws.ID()]++
		return nil
	}
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/a", Open: count}, nanonext.WebSocket{Path: "/b", Open: count})
	for i := range cycles {
		c := dial(t, s, []string{"/a", "/b"}[i%2])
		_ = c.NetConn().(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != cycles {
		t.Errorf("%d ids in %d connections", len(seen), cycles)
	}
}

func TestRow16SendToID(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "/a", Text: true, Message: func(ws nanonext.Conn, data []byte) {
			id, err := strconv.ParseUint(string(data), 10, 64)
			_ = ws.Send(fmt.Append(nil, errors.Join(err, ws.Hub().SendTo(id, frame.Text, []byte("for you")))))
		}},
		nanonext.WebSocket{Path: "/b", Text: true, Open: func(ws nanonext.Conn, _ *handler.Request) error {
			return ws.Send(strconv.AppendUint(nil, ws.ID(), 10))
		}, Message: echo},
	)
	a, b, other := dial(t, s, "/a"), dial(t, s, "/b"), dial(t, s, "/b")
	_, id, err := b.ReadMessage()
	if err != nil {
		t.Fatalf("reading the id: %v", err)
	}
	if _, _, err := other.ReadMessage(); err != nil {
		t.Fatalf("reading the id: %v", err)
	}
	a.send(websocket.TextMessage, string(id))
	a.expect(websocket.TextMessage, "<nil>")
	b.expect(websocket.TextMessage, "for you")
	other.send(websocket.TextMessage, "nothing came before")
	other.expect(websocket.TextMessage, "nothing came before")
}

func TestRow17SendResult(t *testing.T) {
	results := make(chan error, 2)
	var closed nanonext.Conn
	s := start(t, engine.Options{}, nanonext.WebSocket{
		Path: "/ws", Text: true,
		Message: func(ws nanonext.Conn, data []byte) { results <- ws.Send(data) },
		Close:   func(ws nanonext.Conn, _ handler.CloseStatus) { closed = ws; results <- ws.Send([]byte("too late")) },
	})
	c := dial(t, s, "/ws")
	c.send(websocket.TextMessage, "hi")
	c.closeWith(1000, "")
	if err := receive(t, "Message", results); err != nil {
		t.Errorf("Send to an open connection: %v", err)
	}
	if err := receive(t, "Close", results); !errors.Is(err, handler.ErrClosed) {
		t.Errorf("Send in Close: %v; want ErrClosed", err)
	}
	if err := closed.Send([]byte("later still")); !errors.Is(err, handler.ErrClosed) {
		t.Errorf("Send after Close: %v; want ErrClosed", err)
	}
}

func TestSendNotUTF8(t *testing.T) {
	results := make(chan error, 2)
	send := func(ws nanonext.Conn, data []byte) { results <- ws.Send(data) }
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "/text", Text: true, Message: send},
		nanonext.WebSocket{Path: "/binary", Message: send},
	)
	text, binary := dial(t, s, "/text"), dial(t, s, "/binary")
	text.send(websocket.BinaryMessage, "\xff\xfe")
	if err := receive(t, "Message", results); !errors.Is(err, nanonext.ErrNotUTF8) {
		t.Errorf("Send as text: %v; want ErrNotUTF8", err)
	}
	binary.send(websocket.BinaryMessage, "\xff\xfe")
	binary.expect(websocket.BinaryMessage, "\xff\xfe")
}

// closes is a server whose Close callbacks tell what they were told. A message makes it
// close with 4001.
func closes(t *testing.T) (*nanonext.Server, <-chan ended) {
	ends := make(chan ended, 1)
	return start(t, engine.Options{}, nanonext.WebSocket{
		Path: "/ws", Text: true,
		Message: func(ws nanonext.Conn, _ []byte) { _ = ws.Close(4001, "bye") },
		Close:   func(ws nanonext.Conn, s handler.CloseStatus) { ends <- ended{ws.ID(), s} },
	}), ends
}

func TestRow18ServerCloses(t *testing.T) {
	s, ends := closes(t)
	c := dial(t, s, "/ws")
	c.send(websocket.TextMessage, "go on")
	c.expectClose(4001, "bye")
	if end := receive(t, "Close", ends); end.status.Code != 4001 || !end.status.Clean || end.status.Err != nil {
		t.Errorf("status %+v; want 4001, clean", end.status)
	}
}

func TestRow19ClientCloses(t *testing.T) {
	s, _ := closes(t)
	c := dial(t, s, "/ws")
	c.closeWith(4002, "enough")
	c.expectClose(4002, "")
}

func TestRow20CloseCallback(t *testing.T) {
	s, ends := closes(t)
	dial(t, s, "/ws").closeWith(4002, "enough")
	if end := receive(t, "Close", ends); end.status.Code != 4002 || end.status.Reason != "enough" || !end.status.Clean {
		t.Errorf("status %+v; want 4002 enough, clean", end.status)
	}
	killed := dial(t, s, "/ws")
	if err := killed.NetConn().(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatalf("SetLinger: %v", err)
	}
	_ = killed.NetConn().Close()
	if end := receive(t, "Close", ends); end.status.Code != frame.CloseAbnormal || end.status.Clean || end.status.Err == nil {
		t.Errorf("status %+v; want 1006, not clean, an error", end.status)
	}
}

// A trace writes down the callbacks of each connection.
type trace struct {
	mu    sync.Mutex
	calls map[uint64][]string
	ends  chan uint64
}

func newTrace(connections int) *trace {
	return &trace{calls: make(map[uint64][]string), ends: make(chan uint64, connections)}
}

func (tr *trace) add(ws nanonext.Conn, call string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.calls[ws.ID()] = append(tr.calls[ws.ID()], call)
}

func (tr *trace) handler() nanonext.WebSocket {
	return nanonext.WebSocket{
		Path:    "/ws",
		Open:    func(ws nanonext.Conn, _ *handler.Request) error { tr.add(ws, "open"); return nil },
		Message: func(ws nanonext.Conn, data []byte) { tr.add(ws, string(data)) },
		Close:   func(ws nanonext.Conn, _ handler.CloseStatus) { tr.add(ws, "close"); tr.ends <- ws.ID() },
	}
}

// expect waits for clients to end, each with these messages.
func (tr *trace) expect(t *testing.T, clients int, messages []string) {
	t.Helper()
	want := slices.Concat([]string{"open"}, messages, []string{"close"})
	for range clients {
		id := receive(t, "Close", tr.ends)
		tr.mu.Lock()
		if got := tr.calls[id]; !slices.Equal(got, want) {
			t.Errorf("connection %d: callbacks %q; want %q", id, got, want)
		}
		tr.mu.Unlock()
	}
}

func TestRow21OpenMessagesClose(t *testing.T) {
	const clients = 100
	tr := newTrace(clients)
	s := start(t, engine.Options{}, tr.handler())
	for range clients {
		c := dial(t, s, "/ws")
		c.send(websocket.TextMessage, "first")
		c.send(websocket.TextMessage, "second")
		c.closeWith(1000, "")
	}
	tr.expect(t, clients, []string{"first", "second"})
}

func TestRow22NoLossBeforeClose(t *testing.T) {
	const clients, messages = 20, 50
	var want []string
	var burst bytes.Buffer
	for i := range messages {
		want = append(want, fmt.Sprint("message ", i))
		burst.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(want[i])))))
	}
	burst.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))))
	tr := newTrace(clients)
	s := start(t, engine.Options{}, tr.handler())
	for range clients {
		c := dial(t, s, "/ws")
		if _, err := c.NetConn().Write(burst.Bytes()); err != nil {
			t.Fatalf("write: %v", err)
		}
		_ = c.NetConn().Close()
	}
	tr.expect(t, clients, want)
}

func TestRow22bEarlyFrames(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Message: echo})
	request := append([]byte("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
		ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("early"))))...)
	for _, piece := range []int{len(request), 1} {
		conn, err := net.Dial("tcp", address(t, s))
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		defer conn.Close()
		for part := range slices.Chunk(request, piece) {
			if _, err := conn.Write(part); err != nil {
				t.Fatalf("write: %v", err)
			}
		}
		var got []byte
		for !bytes.HasSuffix(got, []byte("\x81\x05early")) {
			buf := make([]byte, 512)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("in pieces of %d: got %q, then %v; want an echo", piece, got, err)
			}
			got = append(got, buf[:n]...)
		}
	}
}

func TestRow23Order(t *testing.T) {
	const messages = 10000
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Message: echo})
	c := dial(t, s, "/ws")
	sent := make(chan error, 1)
	go func() { // ends with the messages, or with the connection
		for i := range messages {
			if err := c.WriteMessage(websocket.TextMessage, strconv.AppendInt(nil, int64(i), 10)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range messages {
		c.expect(websocket.TextMessage, strconv.Itoa(i))
	}
	if err := receive(t, "the sender", sent); err != nil {
		t.Errorf("sending: %v", err)
	}
}

func TestRow24BroadcastToAll(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Message: func(ws nanonext.Conn, data []byte) {
		ws.Hub().Broadcast(frame.Text, data, handler.Audience{})
	}})
	clients := []*client{dial(t, s, "/ws"), dial(t, s, "/ws"), dial(t, s, "/ws")}
	eventually(t, "three connections", func() bool { return s.Hub().Count("") == 3 })
	clients[0].send(websocket.TextMessage, "first")
	clients[0].send(websocket.TextMessage, "second")
	for _, c := range clients {
		c.expect(websocket.TextMessage, "first")
		c.expect(websocket.TextMessage, "second")
	}
}

func TestRow25BroadcastToSome(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "/a", Text: true, Message: func(ws nanonext.Conn, data []byte) {
			ws.Hub().Broadcast(frame.Text, data, handler.Audience{Path: "/a", Except: ws.Conn})
			_ = ws.Send([]byte("done"))
		}},
		nanonext.WebSocket{Path: "/b", Text: true, Message: echo},
	)
	sender, peer, other := dial(t, s, "/a"), dial(t, s, "/a"), dial(t, s, "/b")
	eventually(t, "three connections", func() bool { return s.Hub().Count("") == 3 })
	sender.send(websocket.TextMessage, "to the others on /a")
	peer.expect(websocket.TextMessage, "to the others on /a")
	sender.expect(websocket.TextMessage, "done")
	other.send(websocket.TextMessage, "nothing came before")
	other.expect(websocket.TextMessage, "nothing came before")
}

func TestRow37PanicIsIsolated(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Message: func(ws nanonext.Conn, data []byte) {
		if string(data) == "panic" {
			panic("as told")
		}
		echo(ws, data)
	}})
	bad, good := dial(t, s, "/ws"), dial(t, s, "/ws")
	bad.send(websocket.TextMessage, "panic")
	bad.expectClose(1011, "")
	good.send(websocket.TextMessage, "fine")
	good.expect(websocket.TextMessage, "fine")
}

func TestRow71MismatchPolicy(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "/binary", Strict: true, Message: echo},
		nanonext.WebSocket{Path: "/text", Strict: true, Text: true, Message: echo},
		nanonext.WebSocket{Path: "/lenient", Text: true, Message: echo},
	)
	c := dial(t, s, "/binary")
	c.send(websocket.BinaryMessage, "fine")
	c.expect(websocket.BinaryMessage, "fine")
	c.send(websocket.TextMessage, "not this")
	c.expectClose(1003, "binary messages only")

	c = dial(t, s, "/text")
	c.send(websocket.TextMessage, "fine")
	c.expect(websocket.TextMessage, "fine")
	c.send(websocket.BinaryMessage, "not this")
	c.expectClose(1003, "text messages only")

	c = dial(t, s, "/lenient")
	c.send(websocket.BinaryMessage, "answered as text")
	c.expect(websocket.TextMessage, "answered as text")
}
