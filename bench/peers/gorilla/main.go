// Command gorilla serves the benchmark's paths on gorilla/websocket, the way
// its documentation and chat example do: a goroutine per connection that reads,
// and for broadcast a hub and a second goroutine per connection that writes.
package main

import (
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/bench/peers/hub"
	"github.com/weirws/weir/bench/peers/serve"
)

func main() {
	h := hub.New[*websocket.PreparedMessage]()
	serve.Main(func(address string) error {
		return serve.HTTP(address, echo, func(w http.ResponseWriter, r *http.Request) { broadcast(h, w, r) })
	})
}

var upgrader = websocket.Upgrader{}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer c.Close()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(kind, message); err != nil {
			return
		}
	}
}

// broadcast reads what one subscriber publishes until its connection ends.
func broadcast(h *hub.Hub[*websocket.PreparedMessage], w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer c.Close()
	s := h.Join()
	defer h.Leave(s)
	go write(c, s.Outbox) // until the hub closes the outbox or a write fails
	for {
		kind, payload, err := c.ReadMessage()
		if err != nil {
			return
		}
		message, err := websocket.NewPreparedMessage(kind, payload)
		if err != nil {
			return
		}
		h.Publish(message)
	}
}

// write sends what the hub hands over; closing the connection ends broadcast too.
func write(c *websocket.Conn, outbox <-chan *websocket.PreparedMessage) {
	defer c.Close()
	for message := range outbox {
		if err := c.WritePreparedMessage(message); err != nil {
			return
		}
	}
}
