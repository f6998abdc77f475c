package ambiorix

import (
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Client is one connection to an App. It is a small value: two that stand for the
// same connection are equal, and it may be kept. The methods may be called from any
// goroutine.
type Client struct {
	app  *App
	conn handler.Conn
}

// Send sends value under name. It returns handler.ErrClosed and
// handler.ErrSlowConsumer as handler.Conn.Send does, and an error of encoding/json if
// value has no JSON form; in every case nothing was sent. A json.RawMessage is sent as
// it is, but for white space. Strings that are not UTF-8 are mended.
func (c Client) Send(name string, value any) error {
	text, err := encode(name, value)
	if err != nil {
		return err
	}
	return c.conn.Send(frame.Text, text)
}

// Join puts the client in a group, which begins to exist with that. The client leaves
// it when it closes, if not before; nothing happens if it has closed already. The group
// "" is all clients; nobody needs to join it. Join returns handler.ErrClosed once the
// engine has ended.
func (c Client) Join(group string) error {
	if group == everyone {
		return nil
	}
	return c.conn.Subscribe(c.app.topic(group))
}

// Leave takes the client out of a group. Nothing happens if it is not in it.
func (c Client) Leave(group string) {
	if group != everyone {
		_ = c.conn.Unsubscribe(c.app.topic(group)) // fails only when the engine, and with it the group, has ended
	}
}

// in returns the connection if it is one of this engine's. Engines know connections by
// numbers, and each has a first.
func (c Client) in(hub handler.Hub) handler.Conn {
	if c.conn == nil || c.conn.Hub() != hub {
		return nil
	}
	return c.conn
}

// Conn is the connection underneath: its id, its address, closing it, and a value of
// the application.
func (c Client) Conn() handler.Conn { return c.conn }
