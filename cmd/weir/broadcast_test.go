package main

import (
	"testing"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A crowd is a hub in which a broadcast reaches so many.
type crowd struct {
	handler.Hub
	reached int
}

func (h crowd) Broadcast(frame.Opcode, []byte, handler.Audience) int { return h.reached }

// A talker is a connection to /broadcast.
type talker struct {
	handler.Conn
	hub    crowd
	closed frame.CloseCode
}

func (c *talker) Hub() handler.Hub { return c.hub }
func (c *talker) Path() string     { return "/broadcast" }

func (c *talker) Close(code frame.CloseCode, _ string) error {
	c.closed = code
	return nil
}

// Who sends more than the engine can hand out is told.
func TestBroadcastWhileBusy(t *testing.T) {
	for reached, want := range map[int]frame.CloseCode{0: frame.CloseTryAgainLater, 1: 0, 100: 0} {
		c := &talker{hub: crowd{reached: reached}}
		broadcast(c, frame.Text, []byte("to all"))
		if c.closed != want {
			t.Errorf("reached %d: closed with %d; want %d, 0 for not at all", reached, c.closed, want)
		}
	}
}
