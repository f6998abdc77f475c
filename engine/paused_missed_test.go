package engine_test

import (
	"io"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A gatedAccountant answers messages, each when it may.
type gatedAccountant struct {
	*accountant
	gate    chan struct{}
	handled chan struct{}
}

func (g *gatedAccountant) OnOpen(c handler.Conn, _ *handler.Request) error {
	if err := c.SetRate(handler.Rate{Messages: 1}); err != nil {
		return err
	}
	return c.Subscribe("feed")
}

func (g *gatedAccountant) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	<-g.gate
	_ = c.Send(op, payload)
	g.handled <- struct{}{}
}

// What a handler is told of has a place in its inbox too. That may take the room for which
// the loop waits before it reads on.
func TestReadingGoesOnBehindMissed(t *testing.T) {
	const rounds, messages = 20, 3
	g := &gatedAccountant{accountant: newAccountant(t), gate: make(chan struct{}), handled: make(chan struct{}, messages)}
	e := startEngine(t, engine.Options{Mux: routes(g), InboxMessages: 1})
	c := dialRaw(t, e, "/")
	go func() { _, _ = io.Copy(io.Discard, c.in) }() // ends with the connection
	for range rounds {
		c.put(t, text("a"), text("b"), text("c"))
		for i := range 10 {
			publishTo(t, e, "feed", i)
		}
		for range messages {
			select {
			case g.gate <- struct{}{}:
			case <-time.After(patience):
				t.Fatal("a message was not read")
			}
			receive(t, "OnMessage", g.handled)
		}
	}
}
