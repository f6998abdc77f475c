package nanonext_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

func TestRow64PortZero(t *testing.T) {
	s := newServer(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Message: echo})
	if got := s.URL(); got != "http://127.0.0.1:0" || s.State() != nanonext.NotStarted {
		t.Errorf("before Start: %s, %v; want the URL given", got, s.State())
	}
	if err := s.Start(); err != nil {
		t.Fatalf("Start: %v", err)
	}
	defer s.Close()
	_, port, err := net.SplitHostPort(address(t, s))
	if err != nil || port == "0" || s.State() != nanonext.Started {
		t.Errorf("after Start: %s, %v, error %v; want the port that was bound", s.URL(), s.State(), err)
	}
	c := dial(t, s, "/ws")
	c.send(websocket.TextMessage, "hi")
	c.expect(websocket.TextMessage, "hi")
	_ = c.Close()
}

func TestRow65PortInUse(t *testing.T) {
	first := start(t, engine.Options{})
	second, err := nanonext.NewServer(first.URL(), engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Message: echo})
	if err != nil {
		t.Fatalf("NewServer: %v", err)
	}
	for range 2 {
		if err := second.Start(); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), address(t, first)) {
			t.Fatalf("Start on a port in use: %v; want EADDRINUSE and the address", err)
		}
	}
	if err := first.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := second.Start(); err != nil {
		t.Fatalf("Start on the port that is free again: %v", err)
	}
	defer second.Close()
	c := dial(t, second, "/ws")
	c.send(websocket.TextMessage, "hi")
	c.expect(websocket.TextMessage, "hi")
	_ = c.Close()
}

func TestRow66GracefulStop(t *testing.T) {
	ends := make(chan ended, 1)
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Close: func(ws nanonext.Conn, s handler.CloseStatus) {
		ends <- ended{ws.ID(), s}
	}})
	at, c := address(t, s), dial(t, s, "/ws")
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }() // ends with the server
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("client got %v; want close 1001", err)
	}
	if end := receive(t, "the Close callback", ends); end.status.Code != frame.CloseGoingAway || !end.status.Clean {
		t.Errorf("status %+v; want 1001, clean", end.status)
	}
	if err := receive(t, "Close", closed); err != nil {
		t.Errorf("Close: %v", err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = l.Close()
	if s.State() != nanonext.Closed {
		t.Errorf("state %v; want closed", s.State())
	}
	if err := errors.Join(s.Close(), s.Start(), s.Serve(t.Context())); !errors.Is(s.Close(), nanonext.ErrClosed) ||
		!errors.Is(s.Start(), nanonext.ErrClosed) || !errors.Is(s.Serve(t.Context()), nanonext.ErrClosed) {
		t.Errorf("after Close: %v; want ErrClosed from each", err)
	}
}

func TestRow67ServeStartService(t *testing.T) {
	echoes := nanonext.WebSocket{Path: "/ws", Text: true, Message: echo}
	t.Run("Serve blocks until its context ends", func(t *testing.T) {
		s := newServer(t, engine.Options{}, echoes)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }() // ends with ctx
		eventually(t, "the start", func() bool { return s.State() == nanonext.Started })
		c := dial(t, s, "/ws")
		c.send(websocket.TextMessage, "hi")
		c.expect(websocket.TextMessage, "hi")
		cancel()
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("client got %v; want close 1001", err)
		}
		if err := receive(t, "Serve", served); err != nil || s.State() != nanonext.Closed {
			t.Errorf("Serve: %v, state %v; want nil, closed", err, s.State())
		}
	})
	t.Run("Serve ends with Close", func(t *testing.T) {
		s := newServer(t, engine.Options{}, echoes)
		served := make(chan error, 1)
		go func() { served <- s.Serve(t.Context()) }() // ends with Close
		eventually(t, "the start", func() bool { return s.State() == nanonext.Started })
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := receive(t, "Serve", served); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Run("Service runs callbacks and returns when idle", func(t *testing.T) {
		s := start(t, engine.Options{Mode: engine.Service}, echoes)
		if n := s.Service(time.Millisecond); n != 0 {
			t.Errorf("Service of an idle server ran %d callbacks", n)
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() { // ends when the client has its echo
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					s.Service(time.Millisecond)
				}
			}
		}()
		c := dial(t, s, "/ws")
		c.send(websocket.TextMessage, "hi")
		c.expect(websocket.TextMessage, "hi")
		close(stop)
		<-stopped
	})
}

func TestRow79SendFromOutside(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws"})
	clients := []*client{dial(t, s, "/ws"), dial(t, s, "/ws")}
	eventually(t, "two connections", func() bool { return s.Hub().Count("/ws") == 2 })
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for range 3 {
		<-ticker.C
		if n := s.Hub().Broadcast(frame.Text, []byte("tick"), handler.Audience{}); n != 2 {
			t.Errorf("a tick went to %d connections; want 2", n)
		}
	}
	for _, c := range clients {
		for range 3 {
			c.expect(websocket.TextMessage, "tick")
		}
	}
}
