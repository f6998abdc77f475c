// Command fasthttp serves the benchmark's paths on fasthttp/websocket, the way
// its examples do. They are gorilla's, on the server of fasthttp.
package main

import (
	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/weirws/weir/bench/peers/hub"
	"github.com/weirws/weir/bench/peers/serve"
)

func main() {
	h := hub.New[*websocket.PreparedMessage]()
	serve.Main(func(address string) error {
		return fasthttp.ListenAndServe(address, func(ctx *fasthttp.RequestCtx) {
			switch string(ctx.Path()) {
			case "/echo":
				_ = upgrader.Upgrade(ctx, echo) // it has answered
			case "/broadcast":
				_ = upgrader.Upgrade(ctx, func(c *websocket.Conn) { broadcast(h, c) })
			default:
				ctx.Error("no such path", fasthttp.StatusNotFound)
			}
		})
	})
}

var upgrader = websocket.FastHTTPUpgrader{}

func echo(c *websocket.Conn) {
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
func broadcast(h *hub.Hub[*websocket.PreparedMessage], c *websocket.Conn) {
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
