package bench

import (
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// idle holds connections that send nothing but pings, at a rate over all of them in turn,
// and checks that each is answered by a pong with its payload (RFC 6455 section 5.5.3).
// That is echo with other frames. What else a server sends does not count.
type idle struct{ *echo }

func newIdle(s *session) scenario {
	e := newEcho(s).(*echo)
	s.op = frame.Pong
	e.send = func(c handler.Conn, payload []byte) error { return c.Ping(payload) }
	return idle{e}
}

func (i idle) handler(n int) handler.Handler { return idleConn{i.echo.handler(n).(*echoConn)} }

// An idleConn is one connection.
type idleConn struct{ *echoConn }

// OnMessage does nothing.
func (idleConn) OnMessage(handler.Conn, frame.Opcode, []byte) {}

// OnControl checks a pong. The engine answers pings.
func (c idleConn) OnControl(_ handler.Conn, op frame.Opcode, payload []byte) {
	if op != frame.Pong {
		return
	}
	e, at := c.echo, now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.came(payload, at)
	c.receive(op, payload, at)
}
