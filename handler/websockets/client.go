package websockets

import (
	"context"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// ClientOptions configure a Client. The zero value works.
type ClientOptions struct {
	// Binary sends binary messages. Default: text.
	Binary bool
	// Engine configures everything else: limits, compression, keep-alive. Its Mode is
	// always engine.Service, and it does not listen.
	Engine engine.Options
}

// A Client is the other side of a Server: connections that it opens, with the same
// callbacks, which Service runs.
type Client struct{ Endpoint }

// NewClient makes a client without connections.
func NewClient(o ClientOptions) (*Client, error) {
	c := new(Client)
	o.Engine.NoListen = true
	if err := c.start(o.Engine, newGroup(o.Binary, true, &o.Engine.Deflate)); err != nil {
		return nil, err
	}
	return c, nil
}

// Dial opens a connection to ws://host:port/path, or wss, and returns when its established
// callback has returned, or it has failed. It calls Service meanwhile, so a callback can
// call it in a goroutine only. A client may have any number of connections. Errors are
// those of engine.Engine.Dial.
func (c *Client) Dial(ctx context.Context, url string, o engine.DialOptions) (*Conn, error) {
	h := &dialled{events: events{&c.Endpoint}}
	err := await(&c.Endpoint, func() error {
		_, err := c.engine.Dial(ctx, url, h, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return h.conn, nil
}

// dialled is the events of one connection, which may have ended again when Dial
// returns.
type dialled struct {
	events
	conn *Conn // once it is open
}

// OnOpen implements handler.Handler.
func (d *dialled) OnOpen(c handler.Conn, r *handler.Request) error {
	d.conn = d.open(c, r)
	return nil
}
