package websockets

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// ErrNotUTF8 is returned for data that is not valid UTF-8 where text messages are
// sent.
var ErrNotUTF8 = errors.New("websockets: text message is not UTF-8")

// Conn is one connection: a handler.Conn, so that its ID is unique in its
// endpoint and never used again, and Close has a code and a reason.
type Conn struct {
	handler.Conn
	// Request is the opening handshake as the client sent it. That of a Client's
	// connection has the header fields of the response, see engine.Engine.Dial.
	Request *handler.Request

	group *group
}

// Write queues data as one message, text or binary as Options.Binary says, and returns
// how many bytes its frame has on the wire, or would have if it were not compressed.
// It returns handler.ErrClosed once the connection is closing, handler.ErrSlowConsumer
// if too much waits for the peer already, and ErrNotUTF8; then nothing was queued. It
// copies data and never blocks.
func (c *Conn) Write(data []byte) (Wire, error) {
	if err := c.group.check(data); err != nil {
		return 0, err
	}
	if err := c.Send(c.group.op, data); err != nil {
		return 0, err
	}
	return c.group.wire(data), nil
}

// Wire is a number of bytes on the wire: those of a whole frame.
type Wire int

// Result is what became of a broadcast for one connection.
type Result struct {
	Conn *Conn
	Wire Wire  // 0 if Err is not nil
	Err  error // as of Conn.Write
}

// Results are those of a broadcast, ordered by the IDs of the connections.
type Results []Result

// Delivered is the number of connections that the message was queued for.
func (rs Results) Delivered() int { return len(rs) - rs.Failed() }

// Failed is the number of the others.
func (rs Results) Failed() (n int) {
	for _, r := range rs {
		if r.Err != nil {
			n++
		}
	}
	return n
}

// A group is the connections of one endpoint, from before their established
// callback until after their closed callback, and what they have in common.
type group struct {
	op      frame.Opcode // of the messages that are sent
	masked  bool         // they are, as those of clients
	deflate *frame.DeflateOptions

	mu    sync.Mutex
	conns map[uint64]*Conn // by ID
}

func newGroup(binary, masked bool, deflate *frame.DeflateOptions) *group {
	op := frame.Text
	if binary {
		op = frame.Binary
	}
	return &group{op: op, masked: masked, deflate: deflate, conns: make(map[uint64]*Conn)}
}

func (g *group) add(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[c.ID()] = c
}

func (g *group) remove(id uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, id)
}

func (g *group) find(id uint64) *Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns[id]
}

// all returns the connections, ordered by ID.
func (g *group) all() []*Conn {
	g.mu.Lock()
	all := make([]*Conn, 0, len(g.conns))
	for _, c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	slices.SortFunc(all, func(a, b *Conn) int { return cmp.Compare(a.ID(), b.ID()) })
	return all
}

// check returns ErrNotUTF8 if data cannot be sent.
func (g *group) check(data []byte) error {
	if g.op == frame.Text && !utf8.Valid(data) {
		return ErrNotUTF8
	}
	return nil
}

func (g *group) wire(data []byte) Wire { return Wire(frame.FrameSize(len(data), g.masked)) }

// broadcast writes data to all connections. It is encoded once.
func (g *group) broadcast(data []byte) Results {
	all := g.all()
	results := make(Results, len(all))
	err, wire := g.check(data), g.wire(data)
	message := frame.Prepare(g.op, data, g.deflate)
	for i, c := range all {
		results[i] = Result{Conn: c, Err: err}
		if err == nil {
			results[i].Err = c.SendPrepared(message)
		}
		if results[i].Err == nil {
			results[i].Wire = wire
		}
	}
	return results
}
