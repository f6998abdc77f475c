package nanonext

import (
	"errors"
	"unicode/utf8"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// ErrNotUTF8 is returned by Conn.Send on the path of a handler for text if the data
// is not valid UTF-8. Nothing was sent.
var ErrNotUTF8 = errors.New("nanonext: text message is not UTF-8")

// WebSocket serves the connections of one path. Each callback may be nil; for one
// connection they come in order and never overlap. A panic in one closes the connection
// with 1011.
type WebSocket struct {
	// Path of the handshake, percent-decoded, or "*" for every path without a handler of
	// its own. A Directory, or another handler with a prefix, does not count as one.
	Path string
	// Text makes Conn.Send send text messages. Default: binary ones.
	Text bool
	// Strict closes with 1003 a connection that sends the other kind of message.
	// Default: both are delivered, and answers are of the handler's kind.
	Strict bool
	// Subprotocols the handler speaks. Default: those of the engine's options.
	Subprotocols []string
	// Origins, as in handler.CheckOrigin, that may connect besides the same one.
	// Default: those of the engine's options.
	Origins []string

	// Open is called before the handshake is answered. An error refuses the connection,
	// with the response that it says if it is a *handler.Refusal and with 500 otherwise.
	// ws may be sent to already: that follows the handshake.
	Open func(ws Conn, r *handler.Request) error
	// Message is called for each message. data is valid until it returns.
	Message func(ws Conn, data []byte)
	// Close is called once and last, whoever ended the connection. ws cannot be sent to
	// any more.
	Close func(ws Conn, s handler.CloseStatus)
}

// Conn is a connection of a WebSocket handler. It is a small value, to be copied. It
// has the methods of the handler.Conn that it is made of, except for Send. Where a
// handler.Conn is wanted, as in handler.Audience, that is its field Conn.
type Conn struct {
	handler.Conn
	op frame.Opcode
}

// Send queues one message of the handler's kind. It returns handler.ErrClosed once the
// connection is closing, handler.ErrSlowConsumer if too much waits for the peer already,
// and ErrNotUTF8. It copies data, never blocks, and may be called from any goroutine.
func (c Conn) Send(data []byte) error {
	if c.op == frame.Text && !utf8.Valid(data) {
		return ErrNotUTF8
	}
	return c.Conn.Send(c.op, data)
}

func (h WebSocket) register(r *router) error { return r.addSocket(h) }

// socketHandler is a WebSocket as the engine calls it.
type socketHandler struct {
	WebSocket
	op frame.Opcode
}

func newSocketHandler(h WebSocket) handler.Handler {
	op := frame.Binary
	if h.Text {
		op = frame.Text
	}
	return socketHandler{h, op}
}

// OnOpen implements handler.Handler.
func (h socketHandler) OnOpen(c handler.Conn, r *handler.Request) error {
	if h.Open == nil {
		return nil
	}
	return h.Open(Conn{c, h.op}, r)
}

// OnMessage implements handler.Handler.
func (h socketHandler) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	if h.Strict && op != h.op {
		// An error means that the connection is closing already.
		_ = c.Close(frame.CloseUnsupportedData, h.op.String()+" messages only")
		return
	}
	if h.Message != nil {
		h.Message(Conn{c, h.op}, payload)
	}
}

// OnClose implements handler.Handler.
func (h socketHandler) OnClose(c handler.Conn, s handler.CloseStatus) {
	if h.Close != nil {
		h.Close(Conn{c, h.op}, s)
	}
}
