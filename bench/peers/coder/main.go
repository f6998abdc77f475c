// Command coder serves the benchmark's paths on coder/websocket, the way its
// documentation and chat example do: a goroutine per connection that reads, and for
// broadcast one more that writes, with a time limit for each write.
package main

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/weirws/weir/bench/peers/hub"
	"github.com/weirws/weir/bench/peers/serve"
)

// writeTime bounds one write to a subscriber, as in the chat example.
const writeTime = 5 * time.Second

// message is what the hub hands over.
type message struct {
	kind    websocket.MessageType
	payload []byte
}

func main() {
	h := hub.New[message]()
	serve.Main(func(address string) error {
		return serve.HTTP(address, echo, func(w http.ResponseWriter, r *http.Request) { broadcast(h, w, r) })
	})
}

// accept opens the connection and takes away the limit of 32 KiB for a message.
func accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil, err // Accept has answered
	}
	c.SetReadLimit(-1)
	return c, nil
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := accept(w, r)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, payload, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, payload); err != nil {
			return
		}
	}
}

// broadcast reads what one subscriber publishes until its connection ends.
func broadcast(h *hub.Hub[message], w http.ResponseWriter, r *http.Request) {
	c, err := accept(w, r)
	if err != nil {
		return
	}
	defer c.CloseNow()
	s := h.Join()
	defer h.Leave(s)
	go write(r.Context(), c, s.Outbox) // until the hub closes the outbox or a write fails
	for {
		kind, payload, err := c.Read(r.Context())
		if err != nil {
			return
		}
		h.Publish(message{kind, payload})
	}
}

// write sends what the hub hands over; closing the connection ends broadcast too.
func write(ctx context.Context, c *websocket.Conn, outbox <-chan message) {
	defer c.CloseNow()
	for m := range outbox {
		if err := writeOne(ctx, c, m); err != nil {
			return
		}
	}
}

func writeOne(ctx context.Context, c *websocket.Conn, m message) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return c.Write(ctx, m.kind, m.payload)
}
