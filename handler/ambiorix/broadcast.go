package ambiorix

import (
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// everyone is the group that all clients are in.
const everyone = ""

// Audience names the clients that a broadcast is for. The zero value is all of them.
type Audience struct {
	// Group restricts it to the clients that have joined this group.
	Group string
	// Except is a client to leave out: the sender, say. The zero Client is nobody.
	Except Client
}

// Broadcast sends value under name to every client that to names, encoded once, and
// returns how many of them it was queued for. It is not for those that are closing or
// too slow to take it. The error is that of encoding/json if value has no JSON form;
// then nothing was sent.
func (a *App) Broadcast(name string, value any, to Audience) (int, error) {
	text, err := encode(name, value)
	if err != nil {
		return 0, err
	}
	m := frame.Prepare(frame.Text, text, nil)
	sent := 0
	for _, c := range a.clients.list(to.Group) {
		if c != to.Except.conn && c.SendPrepared(m) == nil {
			sent++
		}
	}
	return sent, nil
}

// Clients returns the clients in a group, in the order in which they connected: "" is
// all. Those that have closed are not among them.
func (a *App) Clients(group string) []Client {
	conns := a.clients.ordered(group)
	clients := make([]Client, len(conns))
	for i, c := range conns {
		clients[i] = a.Client(c)
	}
	return clients
}

// Count is the number of Clients.
func (a *App) Count(group string) int { return a.clients.count(group) }

// Client returns the client that a connection of the App is, for a Handler that wraps
// App.Handler.
func (a *App) Client(c handler.Conn) Client { return Client{app: a, conn: c} }
