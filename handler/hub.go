package handler

import (
	"iter"

	"github.com/weirws/weir/frame"
)

// Hub is all connections of one engine. A connection is among them from shortly after its
// OnOpen returned nil, and before its peer has the answer to the opening handshake, until its
// close handshake begins or its socket is gone. All methods may be called from any goroutine,
// and none of them blocks.
type Hub interface {
	// Broadcast queues one message, encoded once, on every connection that to
	// names. It returns their number. A connection that is too slow to take the
	// message is treated as its SlowPolicy says. op is as for Conn.Send; for another
	// one, or where Publish returns ErrBusy, nothing is sent and the number is 0. Broadcast
	// copies payload.
	Broadcast(op frame.Opcode, payload []byte, to Audience) int

	// Publish queues one message, encoded once, on every connection that is
	// subscribed to topic, by its name or by a pattern. A connection gets it once,
	// however many of its subscriptions match; one that is too slow to take it is treated
	// as its SlowPolicy says. The number is that of the subscriptions. It returns ErrTopic
	// if topic is malformed or has wildcards, ErrOpcode as Conn.Send does, and ErrBusy while
	// 64 MiB of publications wait for an event loop to hand them out; then nobody gets it, and it
	// may be tried again later. Publish copies payload.
	//
	// What is published and broadcast by one call after the other reaches every connection
	// in that order, whatever the topics, and Conn.Subscribe and Unsubscribe take their place
	// in it. What was given to Conn.Send before comes before, what is given to it afterwards may
	// overtake, as may Conn.Close, behind which nothing follows. Nothing is promised about calls
	// that overlap.
	Publish(topic string, op frame.Opcode, payload []byte, o PublishOptions) (int, error)

	// Subscriptions is the number of subscriptions to exactly this topic or pattern.
	Subscriptions(topic string) int

	// Topics yields what is subscribed to, patterns included, and the number of
	// subscriptions, in no particular order.
	Topics() iter.Seq2[string, int]

	// SendTo is Conn.Send to the connection with this id. It returns ErrNotFound
	// if there is none.
	SendTo(id uint64, op frame.Opcode, payload []byte) error

	// Conn returns the connection with this id, and whether there is one.
	Conn(id uint64) (Conn, bool)

	// Count is the number of connections on the route with this path: "" is
	// all, "*" those of the route of all other paths.
	Count(path string) int

	// Each calls f for the connections that Count counts, in no particular
	// order, until f returns false. A connection that opens or ends while Each
	// runs may be visited or not; none is visited twice. No lock is held while f
	// runs, so f may use the Conn, its Close included, and the Hub.
	Each(path string, f func(Conn) bool)
}

// PublishOptions say more about a publication. The zero value is for all subscribers
// of the topic.
type PublishOptions struct {
	// Except, if not nil, is the connection to leave out, by its ID: the sender,
	// say.
	Except Conn
	// Key says what the message is a value of, within the topic: the name of a
	// quantity that changes, say. For a connection with the policy Conflate that is
	// behind it replaces an older message of the same topic and key. Messages without a
	// key are values of the topic itself, and broadcasts of their path.
	Key string
}

// Audience names the connections that a broadcast is for. The zero value is all
// of them.
type Audience struct {
	// Path restricts it to the connections of the route with this path.
	Path string
	// Except, if not nil, is the connection to leave out, by its ID: the sender,
	// say.
	Except Conn
}
