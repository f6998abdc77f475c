package handler

import "fmt"

// SlowPolicy says what happens to what is published, by Hub.Publish or
// Hub.Broadcast, when a connection's peer reads more slowly than that comes. A
// connection that keeps up gets everything, at once, whatever its policy. Messages
// of Conn.Send are no publications: they are never dropped, and Send says when there
// are too many.
//
// The policy is the one that the connection has set, or else that of the topic, of the
// route, or of the engine, the first of these that there is. Publications of several
// policies wait in one line, in their order, and each is treated as if the others were not there.
//
// With a policy that drops, what is published and does not fit into the socket waits
// as references to messages that all connections share, up to the engine's soft mark for
// each policy. It never makes the engine stop reading from the connection or close it, except
// as Conflate says. A peer that takes nothing at all is found dead by its missing pongs.
type SlowPolicy uint8

const (
	// DefaultSlowPolicy is the next policy in that line. The engine's own is Disconnect.
	DefaultSlowPolicy SlowPolicy = iota
	// Disconnect drops nothing. A connection that stays above the soft mark, or
	// reaches the hard one, with these publications and the messages of Conn.Send together,
	// is closed with 1008.
	Disconnect
	// DropNewest drops what is published while as much waits as the soft mark allows.
	DropNewest
	// DropOldest drops what has waited longest, to make room for what is published.
	DropOldest
	// Conflate keeps the newest value of each key: see PublishOptions.Key. Once more
	// waits than the soft mark allows, a message takes the place of the one with the same
	// key, until the peer has caught up. So keys come in the order in which they first
	// changed. If there are so many keys that their newest values exceed the hard mark,
	// the connection is closed with 1008.
	Conflate
)

// String returns the policy in words, for logs and metrics.
func (p SlowPolicy) String() string {
	switch p {
	case DefaultSlowPolicy:
		return "default"
	case Disconnect:
		return "disconnect"
	case DropNewest:
		return "drop newest"
	case DropOldest:
		return "drop oldest"
	case Conflate:
		return "conflate"
	}
	return fmt.Sprintf("slow policy %d", uint8(p))
}

// Valid reports whether p is one of the policies above.
func (p SlowPolicy) Valid() bool { return p <= Conflate }

// A Rate bounds what of publications is sent to one connection. What comes faster
// waits and is conflated, as with the policy Conflate from the first message on: see
// PublishOptions.Key. The zero value is no bound.
type Rate struct {
	// Messages is how many are sent in a second at most. 0: any number.
	Messages int
	// Bytes is how many bytes of frames are sent in a second at most; a larger message
	// is sent too and makes the next one wait. 0: any number.
	Bytes int
}

// Valid reports whether no field is negative.
func (r Rate) Valid() bool { return r.Messages >= 0 && r.Bytes >= 0 }
