package websockets

import (
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// events passes what happens to the connections of an endpoint on to its callbacks.
type events struct{ *Endpoint }

// OnOpen implements handler.Handler.
func (e events) OnOpen(c handler.Conn, r *handler.Request) error {
	e.open(c, r)
	return nil
}

// open makes a connection known and calls the established callback.
func (e events) open(c handler.Conn, r *handler.Request) *Conn {
	ws := &Conn{Conn: c, Request: r, group: e.group}
	e.group.add(ws)
	opened := false
	defer func() {
		if !opened { // a panic: there will be no OnClose
			e.group.remove(ws.ID())
		}
	}()
	e.callEstablished(ws)
	opened = true
	return ws
}

// OnMessage implements handler.Handler.
func (e events) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	e.callReceive(payload, e.group.find(c.ID()), Header{Fin: true, Opcode: op})
}

// OnClose implements handler.Handler.
func (e events) OnClose(c handler.Conn, s handler.CloseStatus) {
	defer e.group.remove(c.ID())
	e.callClosed(e.group.find(c.ID()), s)
}
