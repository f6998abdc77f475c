package engine_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Many goroutines send to one connection and close it at the same time. One Close
// succeeds, and the peer gets exactly the messages whose Send did, before the close frame.
func TestSendWhileClosing(t *testing.T) {
	const rounds, senders = 20, 8
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		conns := make(chan handler.Conn, 1)
		h, ends := closings()
		h.Message = func(c handler.Conn, _ frame.Opcode, _ []byte) { conns <- c }
		e := startEngine(t, engine.Options{Mode: mode, OutboxHardBytes: 64 << 20, Mux: routes(h)})
		for range rounds {
			client := dialRaw(t, e, "/")
			client.put(t, text("go"))
			c := receive(t, "OnMessage", conns)
			var sent, closed atomic.Int64
			var work errgroup.Group
			for s := range senders {
				work.Go(func() error {
					for i := 0; ; i++ {
						switch err := sendOne(c, s, i); {
						case errors.Is(err, handler.ErrClosed), errors.Is(err, handler.ErrNotFound):
							return nil
						case err != nil:
							return err
						}
						sent.Add(1)
						if s%2 == 0 && i == 50*s && c.Close(4000, "") == nil {
							closed.Add(1)
						}
					}
				})
			}
			got := int64(0)
			var err error
			for err == nil {
				if _, _, err = client.readMessage(); err == nil {
					got++
				}
			}
			if failed := work.Wait(); failed != nil {
				t.Fatalf("Send: %v", failed)
			}
			var end peerClosed
			if !errors.As(err, &end) || end.code != 4000 {
				t.Errorf("the client's last frame: %v; want a close frame with 4000", err)
			}
			if got != sent.Load() || closed.Load() != 1 {
				t.Errorf("%d messages arrived of %d, %d of the Closes succeeded", got, sent.Load(), closed.Load())
			}
			client.put(t, closeFrame(4000, ""))
			client.expectEnd(t)
			if s := receive(t, "OnClose", ends); !s.Clean {
				t.Errorf("OnClose got %+v; want a clean close", s)
			}
		}
	})
}

// sendOne sends in one of the ways there are.
func sendOne(c handler.Conn, sender, number int) error {
	payload := fmt.Appendf(nil, "%d %d", sender, number)
	switch number % 4 {
	case 0:
		return c.SendPrepared(frame.Prepare(frame.Binary, payload, nil))
	case 1:
		return c.Hub().SendTo(c.ID(), frame.Text, payload)
	default:
		return c.Send(frame.Text, payload)
	}
}

// Goroutines close connections, send, look around and store values while clients kill
// theirs: nobody fails but by ErrClosed and ErrNotFound, and each OnClose comes once.
func TestEverybodyAtOnce(t *testing.T) {
	const clients, goroutines = 60, 4
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, clients)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(tr)})
		all := make([]*rawClient, clients)
		for i := range all {
			all[i] = dialRaw(t, e, "/")
		}
		eventually(t, "all are in the hub", func() bool { return e.Hub().Count("") == clients })
		var work errgroup.Group
		for g := range goroutines {
			work.Go(func() error { return meddle(e.Hub(), g, clients) })
		}
		for i, c := range all {
			switch i % 3 {
			case 0:
				c.kill(t)
			case 1:
				c.put(t, text("hello"), closeFrame(frame.CloseNormal, ""))
			}
		}
		if err := work.Wait(); err != nil {
			t.Error(err)
		}
		for _, c := range all {
			_ = c.Close()
		}
		seen := make(map[uint64]bool)
		for range clients {
			end := receive(t, "OnClose", tr.ends)
			if seen[end.id] {
				t.Errorf("connection %d: OnClose twice", end.id)
			}
			seen[end.id] = true
		}
	})
}

// meddle does everything that any goroutine may do to each of n connections.
func meddle(hub handler.Hub, g, n int) error {
	for id := uint64(1); id <= uint64(n); id++ {
		hub.Broadcast(frame.Text, []byte("storm"), handler.Audience{})
		if err := hub.SendTo(id, frame.Binary, make([]byte, 100)); unexpected(err) {
			return err
		}
		c, ok := hub.Conn(id)
		if !ok {
			continue
		}
		c.SetValue(g)
		if v, ok := c.Value().(int); !ok || v < 0 {
			return fmt.Errorf("connection %d has the value %v", id, v)
		}
		if err := c.Ping([]byte("alive?")); unexpected(err) {
			return err
		}
		if err := c.Close(frame.CloseNormal, "storm"); int(id)%5 == g && unexpected(err) {
			return err
		}
		select {
		case <-c.Done():
		default:
		}
	}
	return nil
}

func unexpected(err error) bool {
	return err != nil && !errors.Is(err, handler.ErrClosed) && !errors.Is(err, handler.ErrNotFound)
}
