// Command gws serves the benchmark's paths on lxzan/gws, the way its README and
// chatroom example do: a goroutine per connection that reads, the library's own
// map of connections, and its Broadcaster, which encodes once and writes from a
// queue per connection. ParallelEnabled stays off: with it, messages of one
// connection overtake each other.
package main

import (
	"net/http"

	"github.com/lxzan/gws"

	"github.com/weirws/weir/bench/peers/serve"
)

func main() {
	serve.Main(func(address string) error {
		return serve.HTTP(address, upgrade(echo{}), upgrade(&broadcast{
			sessions: gws.NewConcurrentMap[*gws.Conn, *gws.Conn](16, 128),
		}))
	})
}

func upgrade(events gws.Event) http.HandlerFunc {
	upgrader := gws.NewUpgrader(events, &gws.ServerOption{})
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // Upgrade has answered
		}
		go c.ReadLoop() // until the connection ends; not on this goroutine, so that net/http's memory is freed
	}
}

type echo struct{ gws.BuiltinEventHandler }

// OnMessage sends the message back.
func (echo) OnMessage(c *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = c.WriteMessage(message.Opcode, message.Bytes()) // gws ends a connection that fails
}

type broadcast struct {
	gws.BuiltinEventHandler
	sessions *gws.ConcurrentMap[*gws.Conn, *gws.Conn]
}

// OnOpen adds a subscriber.
func (b *broadcast) OnOpen(c *gws.Conn) { b.sessions.Store(c, c) }

// OnClose takes a subscriber out.
func (b *broadcast) OnClose(c *gws.Conn, _ error) { b.sessions.Delete(c) }

// OnMessage sends the message to everyone.
func (b *broadcast) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer message.Close()
	shared := gws.NewBroadcaster(message.Opcode, message.Bytes())
	defer shared.Close()
	b.sessions.Range(func(_, c *gws.Conn) bool {
		_ = shared.Broadcast(c)
		return true
	})
}
