package main

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
)

func TestServeDrainsUnderLoad(t *testing.T) {
	for name, signal := range map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			const clients = 100
			w := serveApart(t, "", "--address", "127.0.0.1:0")
			var busy, clientsEnd sync.WaitGroup
			busy.Add(clients)
			for range clients {
				c := w.dial(t, "/echo", nil)
				clientsEnd.Go(func() {
					if err := echoUntilClosed(c, busy.Done); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
						t.Errorf("a client saw %v", err)
					}
				})
			}
			busy.Wait()
			if err := w.process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			clientsEnd.Wait()
			if code := w.wait(t); code != exitOK {
				t.Errorf("exit code %d", code)
			}
			w.stderr.waitFor(t, `(?m)^draining: \d+ connections? left\nstopped$`)
			if c, err := net.Dial("tcp", w.address); err == nil {
				c.Close()
				t.Error("it still listens")
			}
		})
	}
}

var errNotEchoed = errors.New("an echo differs from what was sent")

// echoUntilClosed has one message after the other echoed until an error, which it
// returns. It calls busy after the first.
func echoUntilClosed(c *websocket.Conn, busy func()) error {
	text := strings.Repeat("load", 100)
	for i := 0; ; i++ {
		if i == 1 {
			busy()
		}
		// That the server has gone is told by reading, with the reason.
		_ = c.WriteMessage(websocket.TextMessage, []byte(text))
		_, got, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if string(got) != text {
			return errNotEchoed
		}
	}
}

func TestServeIsCutByASecondSignal(t *testing.T) {
	w := serveApart(t, "", "--address", "127.0.0.1:0", "--close-timeout", "1h", "--drain-time", "1h")
	c := w.dial(t, "/echo", nil) // does not read, and so does not answer the close frame
	write(t, c, "hello")
	wantMessage(t, c, "hello")
	if err := w.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// The second line is told after a second.
	w.stderr.waitFor(t, `(?m)^draining: 1 connection left\ndraining: 1 connection left$`)
	if err := w.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := w.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	w.stderr.waitFor(t, `(?m)^cutting 1 connection\nstopped$`)
}

// A second signal that comes when nothing is left has nothing to cut.
func TestServeIsSignalledAgainWhenNothingIsLeft(t *testing.T) {
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	if err := (&server{engine: e, said: announcer{w: &said}}).awaitDrain(nil, signals); err != nil {
		t.Error(err)
	}
	if want := "draining: 0 connections left\nstopped\n"; said.String() != want {
		t.Errorf("it said %q, want %q", &said, want)
	}
}

func TestServeEndsWithItsDrainTime(t *testing.T) {
	w := serveHere(t, "--address", "127.0.0.1:0", "--close-timeout", "1h", "--drain-time", "50ms")
	c := w.dial(t, "/echo", nil)
	write(t, c, "hello")
	wantMessage(t, c, "hello")
	if code := w.end(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the client saw %v", err)
	}
}
