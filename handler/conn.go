package handler

import (
	"net/netip"

	"github.com/weirws/weir/frame"
)

// Conn is one WebSocket connection, seen from the application. All methods may
// be called from any goroutine, and none of them blocks.
//
// The engine implements Conn. A test of an application embeds it in a struct and
// implements the methods its handler calls.
type Conn interface {
	// ID is unique over all paths of one engine and never reused. It is not 0.
	ID() uint64

	// Send queues one message. op is frame.Text, and payload is then valid
	// UTF-8, which is not checked, or frame.Binary. It returns ErrOpcode for
	// another op, ErrClosed once the close handshake has begun and
	// ErrSlowConsumer if too much is queued already; then nothing was queued.
	// Send copies payload.
	Send(op frame.Opcode, payload []byte) error

	// SendPrepared is Send for a message that was encoded before. Only a
	// reference to m is queued, so m costs its memory once, whatever the number
	// of connections it is sent to. It returns the errors of Send, ErrOpcode if m
	// is a control frame.
	SendPrepared(m *frame.Prepared) error

	// Ping queues a ping frame. It returns ErrPingTooLong if payload is above 125
	// bytes (RFC 6455 section 5.5), ErrClosed and ErrSlowConsumer as Send does.
	// Ping copies payload. A ControlHandler gets to see the pong; the engine watches over
	// the peer with pings of its own.
	Ping(payload []byte) error

	// Close begins the close handshake: the close frame follows what is queued,
	// and nothing can be queued behind it. It returns ErrCloseCode, and does
	// nothing, if code must not be sent (frame.CloseCode.Valid), and ErrClosed if
	// the close handshake has begun already: by Close, or by the peer, whose close
	// frame counts once the handler has seen what came before it. A reason above 123
	// bytes is cut at the border of a rune.
	Close(code frame.CloseCode, reason string) error

	// Subscribe makes what is published to a topic from now on reach the
	// connection, until Unsubscribe or its end. A topic is tokens with dots between
	// them, "orders.eu.new"; a star stands for any one token, "orders.*.new", and > at
	// the end for one or more, "orders.>". Subscribing again has no effect. It returns
	// ErrTopic if topic is malformed and ErrClosed once the engine has ended.
	Subscribe(topic string) error

	// Unsubscribe ends the subscription to exactly this topic or pattern, if there
	// is one. Errors are those of Subscribe.
	Unsubscribe(topic string) error

	// SetSlowPolicy sets what happens to publications when the peer is slow to read,
	// whatever their topic; DefaultSlowPolicy takes that back. It holds for what waits, and
	// for what is published after it returns by the same goroutine. It returns
	// ErrSlowPolicy if p is none of the policies, and ErrClosed once the engine has
	// ended.
	SetSlowPolicy(p SlowPolicy) error

	// SetRate bounds how much of what is published is sent to the connection, from what
	// is published next by the same goroutine. The bound holds over the time since; a
	// quarter of a second's worth and one message may come at once. The zero Rate ends
	// it. It returns ErrRate if r is negative and ErrClosed once the engine has ended.
	SetRate(r Rate) error

	// RemoteAddr is the address of the peer: the zero AddrPort on a unix socket.
	RemoteAddr() netip.AddrPort

	// Path is the path of the route that the connection came in on, "*" for the
	// route of all other paths. What the client asked for is Request.Path.
	Path() string

	// Subprotocol is the one chosen in the opening handshake, "" if none was.
	Subprotocol() string

	// Value returns what SetValue stored last, nil before. The engine does not
	// look at it, and lets go of it with the connection.
	Value() any

	// SetValue stores one value of the application with the connection.
	SetValue(v any)

	// Done is closed once the socket is gone, which is before OnClose is called,
	// or the connection was refused. It is the same channel on every call.
	Done() <-chan struct{}

	// Hub reaches the other connections of the same engine.
	Hub() Hub
}
