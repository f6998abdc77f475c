package ambiorix

import (
	"cmp"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"

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
// returns how many they are; of a group this is the number of members, Except
// included. The error is that of encoding/json if value has no JSON form; then nothing
// was sent. A client that is too slow to take it is treated as by handler.Conn.Send.
func (a *App) Broadcast(name string, value any, to Audience) (int, error) {
	text, err := encode(name, value)
	if err != nil {
		return 0, err
	}
	sent := 0
	if to.Group == everyone {
		for _, at := range a.places.list() {
			sent += at.hub.Broadcast(frame.Text, text, handler.Audience{Path: at.path, Except: to.Except.in(at.hub)})
		}
		return sent, nil
	}
	topic := a.topic(to.Group)
	for _, hub := range a.places.hubs() {
		n, publishErr := hub.Publish(topic, frame.Text, text, handler.PublishOptions{Except: to.Except.in(hub)})
		sent += n
		err = errors.Join(err, publishErr)
	}
	return sent, err
}

// topic is what the members of a group are subscribed to: no other App has it, and any
// name makes one token.
func (a *App) topic(group string) string {
	return "ambiorix." + strconv.FormatUint(a.number, 10) + "." + base64.RawURLEncoding.EncodeToString([]byte(group))
}

// Clients returns all clients; those of one engine are in the order in which they
// connected. Those that have closed are not among them.
func (a *App) Clients() []Client {
	var clients []Client
	for _, at := range a.places.list() {
		at.hub.Each(at.path, func(c handler.Conn) bool {
			clients = append(clients, a.Client(c))
			return true
		})
	}
	slices.SortFunc(clients, func(x, y Client) int { return cmp.Compare(x.conn.ID(), y.conn.ID()) })
	return clients
}

// Count is the number of clients in a group: "" is all. It lags a little behind those
// that join, leave and close.
func (a *App) Count(group string) int {
	n := 0
	if group == everyone {
		for _, at := range a.places.list() {
			n += at.hub.Count(at.path)
		}
		return n
	}
	topic := a.topic(group)
	for _, hub := range a.places.hubs() {
		n += hub.Subscriptions(topic)
	}
	return n
}

// Client returns the client that a connection of the App is, for a Handler that wraps
// App.Handler.
func (a *App) Client(c handler.Conn) Client { return Client{app: a, conn: c} }
