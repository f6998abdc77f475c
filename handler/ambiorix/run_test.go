package ambiorix_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/ambiorix"
)

// TestRow66GracefulStop: the stop hooks run and may still send, clients see 1001, and
// the port is free at once.
func TestRow66GracefulStop(t *testing.T) {
	app := newChat(t)
	var mu sync.Mutex
	var calls []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, what)
	}
	app.OnStart(func() error { note("start one"); return nil })
	app.OnStart(func() error { note("start two"); return nil })
	app.OnStop(func() { note("stop one") })
	app.OnStop(func() {
		note("stop two")
		if n, err := app.Broadcast("bye", nil, ambiorix.Audience{}); n != 1 || err != nil {
			t.Errorf("Broadcast: %d, %v; want 1", n, err)
		}
	})
	e := newEngine(t, app.App, engine.Options{})
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, e) }() // awaited below
	address := e.Addr().String()
	p := join(t, address)
	cancel()
	p.expect(t, named("bye", "null"))
	p.expectClose(t, websocket.CloseGoingAway)
	if err := receive(t, "the end of Run", ended); err != nil {
		t.Errorf("Run: %v", err)
	}
	if want := []string{"start one", "start two", "stop two", "stop one"}; !slices.Equal(calls, want) {
		t.Errorf("hooks %q; want %q", calls, want)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = l.Close()
}

func TestStartHookFails(t *testing.T) {
	app := newApp(t, ambiorix.Options{})
	wrong := errors.New("no database")
	app.OnStart(func() error { return wrong })
	app.OnStart(func() error { t.Error("a hook after the one that failed"); return nil })
	app.OnStop(func() { t.Error("a stop hook although nothing has started") })
	e := newEngine(t, app, engine.Options{})
	if err := app.Run(t.Context(), e); !errors.Is(err, wrong) {
		t.Errorf("Run: %v; want %v", err, wrong)
	}
	if e.Addr() != nil {
		t.Error("the engine was started")
	}
}

func TestServerEndsByItself(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	app := newApp(t, ambiorix.Options{})
	stopped := 0
	app.OnStop(func() { stopped++ })
	e := newEngine(t, app, engine.Options{Address: taken.Addr().String()})
	if err := app.Run(t.Context(), e); err == nil {
		t.Error("Run returned nil although the port is taken")
	}
	if stopped != 1 {
		t.Errorf("stop hook called %d times", stopped)
	}
}
