package handler

import (
	"errors"

	"github.com/weirws/weir/frame"
)

// TellMissed returns a Handler that does what h does and tells the peers of slow connections
// what they miss: for each call of OnMissed, which h gets too if it is a MissedHandler, it sends
// the message that format makes of the topic, as OnMissed gets it, and the number of messages.
//
// What a peer has received of a topic and was told it has missed are together all that was
// published to it, once it has caught up. Where the message stands among the publications
// does not say which ones are missing. It is sent by Conn.Send: so it is not dropped, and a
// connection that has no room for it is closed with 1008.
//
// format may be called from several goroutines at the same time. It gives its payload away.
// An opcode other than frame.Text, with valid UTF-8, and frame.Binary makes OnMissed panic.
func TellMissed(h Handler, format func(topic string, n int) (op frame.Opcode, payload []byte)) Handler {
	t := missedTeller{h, format}
	if c, ok := h.(ControlHandler); ok {
		return struct {
			missedTeller
			ControlHandler
		}{t, c}
	}
	return t
}

// A missedTeller is a Handler made by TellMissed.
type missedTeller struct {
	Handler
	format func(topic string, n int) (frame.Opcode, []byte)
}

// OnMissed tells the peer of c. Errors but the one mean that the connection is ending.
func (t missedTeller) OnMissed(c Conn, topic string, n int) {
	if h, ok := t.Handler.(MissedHandler); ok {
		h.OnMissed(c, topic, n)
	}
	if err := c.Send(t.format(topic, n)); errors.Is(err, ErrOpcode) {
		panic(err)
	}
}
