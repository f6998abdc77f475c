// Command nbio serves the benchmark's paths on lesismal/nbio in its non-blocking
// mode, the way its examples do: event loops read and parse, and a pool of
// goroutines runs the handlers. For broadcast the application keeps the
// connections and writes to each.
package main

import (
	"net/http"
	"sync"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"github.com/weirws/weir/bench/peers/serve"
)

const (
	// maxOnline is above what the benchmark opens; the default is 10,000.
	maxOnline = 100_000
	// maxFrameBytes keeps messages in one frame.
	maxFrameBytes = 16 << 20
)

func main() { serve.Main(run) }

// run serves for as long as the process, unless it cannot start.
func run(address string) error {
	logging.SetLevel(logging.LevelError)
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", upgrade(newEcho()))
	mux.HandleFunc("/broadcast", upgrade(newBroadcast()))
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                      "tcp",
		Addrs:                        []string{address},
		MaxLoad:                      maxOnline,
		MaxWebsocketFramePayloadSize: maxFrameBytes,
		ReleaseWebsocketPayload:      true,
		IOMod:                        nbhttp.IOModNonBlocking,
		Handler:                      mux,
	})
	if err := engine.Start(); err != nil {
		return err
	}
	select {}
}

func upgrade(u *websocket.Upgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = u.Upgrade(w, r, nil) // it has answered
	}
}

func newEcho() *websocket.Upgrader {
	u := websocket.NewUpgrader()
	u.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, message []byte) {
		_ = c.WriteMessage(kind, message) // nbio ends a connection that fails
	})
	return u
}

func newBroadcast() *websocket.Upgrader {
	var mu sync.RWMutex
	subscribers := make(map[*websocket.Conn]bool)
	u := websocket.NewUpgrader()
	u.OnOpen(func(c *websocket.Conn) {
		mu.Lock()
		defer mu.Unlock()
		subscribers[c] = true
	})
	u.OnClose(func(c *websocket.Conn, _ error) {
		mu.Lock()
		defer mu.Unlock()
		delete(subscribers, c)
	})
	u.OnMessage(func(_ *websocket.Conn, kind websocket.MessageType, message []byte) {
		mu.RLock()
		defer mu.RUnlock()
		for c := range subscribers {
			_ = c.WriteMessage(kind, message)
		}
	})
	return u
}
