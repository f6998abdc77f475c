package handler

import "github.com/weirws/weir/frame"

// Func is a Handler of messages alone. It accepts every connection.
type Func func(c Conn, op frame.Opcode, payload []byte)

// OnOpen accepts the connection.
func (f Func) OnOpen(Conn, *Request) error { return nil }

// OnMessage calls f.
func (f Func) OnMessage(c Conn, op frame.Opcode, payload []byte) { f(c, op, payload) }

// OnClose does nothing.
func (f Func) OnClose(Conn, CloseStatus) {}

// Funcs is a Handler made of functions. Each of them may be nil: then every
// connection is accepted, messages are ignored, and so is the close.
type Funcs struct {
	Open    func(c Conn, r *Request) error
	Message func(c Conn, op frame.Opcode, payload []byte)
	Close   func(c Conn, s CloseStatus)
}

// OnOpen calls f.Open.
func (f Funcs) OnOpen(c Conn, r *Request) error {
	if f.Open == nil {
		return nil
	}
	return f.Open(c, r)
}

// OnMessage calls f.Message.
func (f Funcs) OnMessage(c Conn, op frame.Opcode, payload []byte) {
	if f.Message != nil {
		f.Message(c, op, payload)
	}
}

// OnClose calls f.Close.
func (f Funcs) OnClose(c Conn, s CloseStatus) {
	if f.Close != nil {
		f.Close(c, s)
	}
}

// Echo is a Handler that sends back what it receives.
type Echo struct{}

// OnOpen accepts the connection.
func (Echo) OnOpen(Conn, *Request) error { return nil }

// OnMessage sends the message back. An error means that the connection is ending
// and that OnClose will tell, so it is not looked at.
func (Echo) OnMessage(c Conn, op frame.Opcode, payload []byte) { _ = c.Send(op, payload) }

// OnClose does nothing.
func (Echo) OnClose(Conn, CloseStatus) {}
