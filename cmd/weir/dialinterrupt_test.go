package main

import (
	"context"
	"io"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A canceller is an output that ends a context as soon as something is written to it.
type canceller struct{ cancel context.CancelFunc }

func (c canceller) Write(p []byte) (int, error) {
	c.cancel()
	return len(p), nil
}

// An interrupt between the opening of the connection and the moment when dial hears of
// it: the close handshake takes place. The engine was closed first, once in a while.
func TestDialInterruptedWhileOpening(t *testing.T) {
	ends := make(chan handler.CloseStatus, 1)
	url := serverOf(t, handler.Funcs{Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s }}, engine.Options{})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		run(ctx, []string{"dial", url}, io.Discard, canceller{cancel})
		if s := <-ends; s.Code != frame.CloseGoingAway {
			t.Fatalf("the server's OnClose got %+v; want 1001", s)
		}
	}
}
