package websockets

import (
	"sync/atomic"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Header is what a receive callback gets to know of the frame of a message. Messages
// arrive whole: fragments have been put together, and extensions undone. So Fin is true
// and the reserved bits are false.
type Header struct {
	Fin, RSV1, RSV2, RSV3 bool
	// Opcode is frame.Text or frame.Binary.
	Opcode frame.Opcode
}

// Callbacks are what an application does about connections. Each may be missing, and be
// replaced at any time, from any goroutine: the next event goes to the new one. They
// never overlap, and come in order for each connection. A panic in one closes the connection
// with 1011.
type Callbacks struct {
	established atomic.Pointer[func(*Conn)]
	receive     atomic.Pointer[func([]byte, *Conn, Header)]
	closed      atomic.Pointer[func(*Conn, handler.CloseStatus)]
}

// Established sets what is called once for a new connection. The connection may be
// written to already: the handshake goes first.
func (cb *Callbacks) Established(f func(ws *Conn)) { set(&cb.established, f, f == nil) }

// Receive sets what is called for each message. data is the bytes of a text as well as
// of a binary message, and valid until the callback returns.
func (cb *Callbacks) Receive(f func(data []byte, ws *Conn, h Header)) {
	set(&cb.receive, f, f == nil)
}

// Closed sets what is called once, and last, when a connection has ended, whoever ended
// it.
func (cb *Callbacks) Closed(f func(ws *Conn, s handler.CloseStatus)) { set(&cb.closed, f, f == nil) }

// set replaces a callback, by nothing if it is nil.
func set[F any](callback *atomic.Pointer[F], f F, isNil bool) {
	if isNil {
		callback.Store(nil)
		return
	}
	callback.Store(&f)
}

func (cb *Callbacks) callEstablished(ws *Conn) {
	if f := cb.established.Load(); f != nil {
		(*f)(ws)
	}
}

func (cb *Callbacks) callReceive(data []byte, ws *Conn, h Header) {
	if f := cb.receive.Load(); f != nil {
		(*f)(data, ws, h)
	}
}

func (cb *Callbacks) callClosed(ws *Conn, s handler.CloseStatus) {
	if f := cb.closed.Load(); f != nil {
		(*f)(ws, s)
	}
}
