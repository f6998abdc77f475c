package engine

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// connState is how far a connection has come.
type connState uint8

const (
	stateHeader    connState = iota // the opening handshake is arriving
	stateDialing                    // of Dial: connecting, or the server's response is arriving
	stateOpening                    // OnOpen is running or about to
	stateOpen                       // messages flow
	stateClosing                    // our close frame is sent or queued, the peer's has not come
	statePeerClose                  // the peer's close frame, or violation, has come; handlers finish, then our close frame follows
	stateFinishing                  // both are exchanged but for what the outbox holds
	stateLingering                  // our side is shut; what still arrives is thrown away
	stateHangUp                     // of Dial: both are exchanged, and the server is to end the stream
	stateGone                       // the socket is closed or has left the engine
)

// pauses is the set of reasons for not reading from a connection.
type pauses uint8

const (
	pauseInbox   pauses = 1 << iota // the handler is behind
	pauseOutbox                     // the peer is behind
	pauseOpening                    // OnOpen has not returned
	pauseDone                       // the peer has said its last
	pauseTLS                        // the TLS handshake is not over, and much has come already
)

// Conn is one connection. It implements handler.Conn.
type Conn struct {
	// Immutable once the opening handshake has been checked.
	loop        *loop
	id          uint64
	path        *path   // nil before
	client      *client // nil unless we are the client
	subprotocol *string // nil: none
	remote      remote

	// Owned by the loop.
	state      connState
	paused     pauses
	unread     bool               // the socket may hold bytes that the poller will not report again
	blocked    bool               // the socket took less than it was given: wait until it is writable
	readEnd    bool               // the poller has announced the end behind the last bytes
	watched    bool               // the poller watches for writability
	shut       bool               // our side of the stream is ended
	opened     bool               // OnOpen has returned nil: OnClose must be called
	admitted   bool               // counted against MaxConnections
	dense      bool               // the last read held many small frames
	controls   bool               // the handler is a handler.ControlHandler; set when the handshake is over
	policy     handler.SlowPolicy // its own; handler.DefaultSlowPolicy: none
	fd         int32              // -1 once the socket is closed or passed on: the number may already belong to another peer
	slot       uint32
	pathAt     uint32 // in the list of its path
	mark       uint32 // of the last walk that reached it by one of several topics
	heard      uint32 // loop.now when bytes arrived last
	told       uint32 // loop.now when a message arrived last
	pinged     uint32 // loop.now when the engine's last ping was sent; 0: nothing is awaited
	behind     uint32 // loop.now when the outbox rose above the soft mark; 0: it is not
	decoder    frame.Decoder
	hs         *handshake     // nil once it is over
	subscribed *subscriptions // nil: to nothing
	ending     *ending        // nil while nothing has ended the connection
	tls        *tlsLayer      // nil in plain text
	backlog    *backlog       // nil while no publication waits for the outbox

	// Any goroutine.
	pending atomic.Uint32 // what the connection in the mailbox wants; 0: it is not there
	hushed  atomic.Bool   // messages that wait are not to be delivered any more
	inbox   inbox
	outbox  outbox
	mu      sync.Mutex // for the two below
	value   any
	done    chan struct{} // nil until somebody asks
	next    *Conn         // in the run queue, whose lock it is under
}

// An ending is how a connection ends, for OnClose.
type ending struct {
	status handler.CloseStatus
	heard  bool // the peer's close frame has come
}

// A remote is the peer's address, smaller than a netip.AddrPort.
type remote struct {
	addr [16]byte
	port uint16
	kind uint8 // 0: none, 4 or 6
}

func newRemote(a netip.AddrPort) remote {
	switch {
	case !a.IsValid():
		return remote{}
	case a.Addr().Unmap().Is4():
		return remote{addr: a.Addr().As16(), port: a.Port(), kind: 4}
	default:
		return remote{addr: a.Addr().As16(), port: a.Port(), kind: 6}
	}
}

func (r remote) addrPort() netip.AddrPort {
	if r.kind == 0 {
		return netip.AddrPort{}
	}
	a := netip.AddrFrom16(r.addr)
	if r.kind == 4 {
		a = a.Unmap()
	}
	return netip.AddrPortFrom(a, r.port)
}

// ID is the connection's number, from 1, unique in its engine.
func (c *Conn) ID() uint64 { return c.id }

// RemoteAddr is the peer's address, the zero value on a unix socket.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote.addrPort() }

// Path is the path of the connection's route.
func (c *Conn) Path() string { return c.path.route.Path }

// Subprotocol is the one the opening handshake chose, or "".
func (c *Conn) Subprotocol() string {
	if c.subprotocol == nil {
		return ""
	}
	return *c.subprotocol
}

// setSubprotocol records what the opening handshake chose.
func (c *Conn) setSubprotocol(name string) {
	if name != "" {
		chosen := name // of its own, so that a connection without one allocates nothing
		c.subprotocol = &chosen
	}
}

// Hub reaches the other connections of the engine.
func (c *Conn) Hub() handler.Hub { return c.loop.engine.Hub() }

// Send queues one message. See handler.Conn.
func (c *Conn) Send(op frame.Opcode, payload []byte) error {
	if op != frame.Text && op != frame.Binary {
		return handler.ErrOpcode
	}
	e := c.loop.engine
	if !c.outbox.deflate.Enabled() {
		return c.queued(c.outbox.appendFrame(e, op, payload))
	}
	b := frame.NewBuffer(frame.FrameSize(len(payload), c.outbox.masks))
	b.B = c.outbox.appendDeflated(b.B, op, payload, &e.options.Deflate)
	return c.queued(c.outbox.appendBuffer(e, b))
}

// SendPrepared queues a message that has been encoded before. See handler.Conn.
func (c *Conn) SendPrepared(m *frame.Prepared) error {
	if op := m.Op(); op != frame.Text && op != frame.Binary {
		return handler.ErrOpcode
	}
	return c.queued(c.outbox.appendShared(c.loop.engine, m, false))
}

// Ping queues a ping. See handler.Conn.
func (c *Conn) Ping(payload []byte) error {
	if len(payload) > maxControlPayload {
		return handler.ErrPingTooLong
	}
	return c.queued(c.outbox.appendFrame(c.loop.engine, frame.Ping, payload))
}

const maxControlPayload = 125

// Close begins the close handshake. See handler.Conn.
func (c *Conn) Close(code frame.CloseCode, reason string) error {
	if !code.Valid() {
		return handler.ErrCloseCode
	}
	if !c.outbox.appendClose(code, reason) {
		return handler.ErrClosed
	}
	c.hushed.Store(true)
	c.ask(wantClose)
	return nil
}

// Abort cuts the connection: what is queued is lost, no message that waits is delivered
// any more, and the peer's end of the TCP connection is reset, without a close frame.
// OnClose gets handler.ErrAborted, unless the connection has ended otherwise. It may be
// called from any goroutine and does not wait.
func (c *Conn) Abort() {
	c.hushed.Store(true)
	c.ask(wantAbort)
}

// queued passes on the outcome of appending to the outbox, after it has told the
// loop.
func (c *Conn) queued(a appended) error {
	if a.tell {
		c.ask(wantFlush)
	}
	return a.err
}

// Subscribe subscribes to a topic. See handler.Conn.
func (c *Conn) Subscribe(topic string) error {
	if !isSubject(topic, true) {
		return handler.ErrTopic
	}
	s := &c.loop.engine.subjects
	s.add(topic, 1)
	if !c.loop.mail.post(func(m *mailbox) { m.casts = append(m.casts, cast{conn: c, name: topic}) }) {
		s.add(topic, -1)
		return handler.ErrClosed
	}
	return nil
}

// Unsubscribe ends a subscription. See handler.Conn.
func (c *Conn) Unsubscribe(topic string) error {
	if !isSubject(topic, true) {
		return handler.ErrTopic
	}
	if !c.loop.mail.post(func(m *mailbox) { m.casts = append(m.casts, cast{conn: c, name: topic, part: true}) }) {
		return handler.ErrClosed
	}
	return nil
}

// Value returns the application's value.
func (c *Conn) Value() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value
}

// SetValue stores the application's value.
func (c *Conn) SetValue(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = v
}

// Done is closed once the socket is gone.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
	}
	return c.done
}

// signalDone closes the channel that Done returns.
func (c *Conn) signalDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = closedChannel
		return
	}
	close(c.done)
}

// closedChannel is Done of connections that nobody asked before they were gone.
var closedChannel = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// attend does what other goroutines have asked of the connection.
func (c *Conn) attend() {
	what := c.pending.Swap(0)
	if what&wantOpen != 0 {
		c.decideOpen()
	}
	if c.fd < 0 {
		return
	}
	if what&wantAbort != 0 {
		c.abort()
		return
	}
	if what&wantClose != 0 && c.state == stateOpen {
		c.startClosing()
	}
	if what&wantFinish != 0 && c.state == statePeerClose {
		c.startFinishing()
	}
	if what&(wantFlush|wantClose|wantFinish) != 0 {
		c.flush()
	}
	if what&wantRecords != 0 {
		c.resume(pauseTLS)
	}
	if what&wantRead != 0 {
		c.resume(pauseInbox)
	}
}

// at is how far in the future of the loop d lies.
func (l *loop) at(d time.Duration) uint32 { return l.now + uint32(d.Milliseconds()) }

// wake sets when the sweep is to look at the connection.
func (c *Conn) wake(at uint32) { c.loop.slots[c.slot].deadline = at }

// wakeBefore makes the sweep look at the connection at the latest then.
func (c *Conn) wakeBefore(at uint32) {
	if s := &c.loop.slots[c.slot]; before(at, s.deadline) {
		s.deadline = at
	}
}

// before compares two points on a loop's clock, which wraps after 49 days.
func before(a, b uint32) bool { return int32(a-b) < 0 }

var _ handler.Conn = (*Conn)(nil)
