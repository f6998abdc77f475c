package handler

import "github.com/weirws/weir/frame"

// A Handler responds to the events of connections. For one connection they come
// in order and never overlap: OnOpen once and first, OnMessage for each message
// as it arrived, OnClose once and last. Those of different connections run
// concurrently. A panic in a callback closes its connection with 1011
// (frame.CloseInternalError) and harms no other. The same goes for runtime.Goexit, which
// testing.T.FailNow calls, unless handlers run on the event loops: then it ends the engine.
type Handler interface {
	// OnOpen is called when the opening handshake has been checked and before
	// the response is sent. It may take its time, a database look-up say, as
	// long as handlers do not run on the event loops.
	//
	// A nil return accepts the connection. An error refuses it: a *Refusal, found
	// with errors.As, says with which response, and anything else is answered
	// with a bare 500. A refused connection gets no OnClose.
	//
	// c may be used already: messages are sent after the response, in order,
	// and are dropped if the connection is refused. r is the application's to
	// keep; the engine keeps no reference to it.
	OnOpen(c Conn, r *Request) error

	// OnMessage is called for one whole message. op is frame.Text, and payload
	// is then valid UTF-8, or frame.Binary. payload is valid, and may be
	// overwritten, until OnMessage returns.
	OnMessage(c Conn, op frame.Opcode, payload []byte)

	// OnClose is called when the connection has ended, whoever ended it, unless
	// OnOpen refused it. c cannot be sent to any more; its other methods work.
	OnClose(c Conn, s CloseStatus)
}

// A MissedHandler is a Handler that wants to know what slow connections miss. A
// Handler need not be one. TellMissed makes one that tells the peers.
type MissedHandler interface {
	// OnMissed is called when n messages that were published to topic have been
	// dropped for c, or replaced by newer ones, as its SlowPolicy says: once c reads again,
	// and at the latest before OnClose. topic is "" for broadcasts, and OtherTopics for
	// all beyond 256 topics at a time. It comes in order with the other callbacks of c, after
	// OnOpen and before OnClose. The sum of all n is exact.
	OnMissed(c Conn, topic string, n int)
}

// OtherTopics stands for topics that are not counted one by one. It is no valid topic.
const OtherTopics = "other topics"

// A ControlHandler is a Handler that wants to see the pings and pongs of its peers. A
// Handler need not be one: pings are answered, and pongs taken in, without it.
type ControlHandler interface {
	// OnControl is called for each frame.Ping, which the engine answers, and each
	// frame.Pong, whether or not a ping has asked for it, of Conn.Ping or the engine's own,
	// which has no payload (RFC 6455 sections 5.5.2 and 5.5.3). It comes in order with
	// OnMessage, and what waits counts against the same bounds. payload has at most 125
	// bytes; it is valid, and may be overwritten, until OnControl returns.
	OnControl(c Conn, op frame.Opcode, payload []byte)
}

// CloseStatus says how a connection ended.
type CloseStatus struct {
	// Code is the one in the peer's close frame: 1005 (frame.CloseNoStatus) if
	// the frame had none, 1006 (frame.CloseAbnormal) if there was no frame.
	Code frame.CloseCode
	// Reason is the text in the peer's close frame.
	Reason string
	// Clean reports whether both sides sent a close frame (RFC 6455 section
	// 7.1.4).
	Clean bool
	// Err is nil for an ordinary close, by either side. Otherwise it is why the
	// connection ended: ErrSlowConsumer, ErrPongTimeout, ErrIdleTimeout,
	// ErrCloseTimeout, ErrAborted, ErrPanic, a *frame.ProtocolError or an I/O error. Test it
	// with errors.Is and errors.As.
	Err error
}
