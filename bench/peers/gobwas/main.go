// Command gobwas serves the benchmark's paths on gobwas/ws with a goroutine per
// connection: the first way that its documentation shows. For broadcast a frame is
// encoded once, and a second goroutine per connection writes.
package main

import (
	"net"
	"net/http"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/weirws/weir/bench/peers/hub"
	"github.com/weirws/weir/bench/peers/serve"
)

func main() {
	h := hub.New[[]byte]()
	serve.Main(func(address string) error {
		return serve.HTTP(address, echo, func(w http.ResponseWriter, r *http.Request) { broadcast(h, w, r) })
	})
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // UpgradeHTTP has answered
	}
	go func() { // until the connection ends, so that net/http gives its buffers back
		defer c.Close()
		for {
			payload, op, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			if err := wsutil.WriteServerMessage(c, op, payload); err != nil {
				return
			}
		}
	}()
}

func broadcast(h *hub.Hub[[]byte], w http.ResponseWriter, r *http.Request) {
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // UpgradeHTTP has answered
	}
	go subscribe(h, c) // until the connection ends
}

// subscribe reads what one subscriber publishes until its connection ends.
func subscribe(h *hub.Hub[[]byte], c net.Conn) {
	defer c.Close()
	s := h.Join()
	defer h.Leave(s)
	go write(c, s.Outbox) // until the hub closes the outbox or a write fails
	for {
		payload, op, err := wsutil.ReadClientData(c)
		if err != nil {
			return
		}
		frame, err := ws.CompileFrame(ws.NewFrame(op, true, payload))
		if err != nil {
			return
		}
		h.Publish(frame)
	}
}

// write sends what the hub hands over; closing the connection ends subscribe too.
func write(c net.Conn, outbox <-chan []byte) {
	defer c.Close()
	for frame := range outbox {
		if _, err := c.Write(frame); err != nil {
			return
		}
	}
}
