package bench

import (
	"errors"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// sweepsPerTimeout is how often replies are looked for that are overdue.
const sweepsPerTimeout = 8

// echo sends messages and checks that each comes back as it was: with InFlight of
// them on their way on each connection, or at a rate over all connections in turn.
type echo struct {
	*session
	conns []echoConn
	send  func(c handler.Conn, payload []byte) error
	pacer *pacer // nil in a closed loop
	swept int64  // when sweep looked last
	stood int    // messages that something unknown stands for; under the session's lock

	reply  []byte // scratch of the loop
	kicked []byte // scratch of the worker's goroutine, or of the pacer
}

// An echoConn is one connection. All fields are under the session's lock but for
// those that do not change.
type echoConn struct {
	echo  *echo
	conn  handler.Conn // nil unless open
	index uint32       // among the connections of all workers

	sequence   sequence // of what comes back
	sent       uint32
	first, end uint32 // the numbers that were due in the measured time
	begun      bool   // first is set
	kicking    bool   // the worker's goroutine may not have sent the last number yet: the loop must not send
	flying     int    // messages that were sent and have neither come back nor been given up
	touched    int64  // when something was sent or came last
}

func newEcho(s *session) scenario {
	send := func(c handler.Conn, payload []byte) error { return c.Send(s.op, payload) }
	return &echo{session: s, conns: make([]echoConn, s.job.Count), send: send}
}

func (e *echo) size() int { return len(e.conns) }

func (e *echo) handler(i int) handler.Handler {
	c := &e.conns[i]
	c.echo, c.index = e, uint32(e.job.First+i)
	return c
}

// OnOpen notes that the connection is there.
func (c *echoConn) OnOpen(conn handler.Conn, _ *handler.Request) error {
	c.echo.mu.Lock()
	defer c.echo.mu.Unlock()
	c.conn = conn
	return nil
}

// OnMessage checks what has come and, in a closed loop, sends the next.
func (c *echoConn) OnMessage(conn handler.Conn, op frame.Opcode, payload []byte) {
	e, at := c.echo, now()
	e.mu.Lock()
	e.came(payload, at)
	c.receive(op, payload, at)
	number, n := c.reserve(e.job.Config.InFlight-c.flying, at)
	e.mu.Unlock()
	for i := range uint32(n) {
		e.reply = e.stamps.append(e.reply[:0], stamp{c.index, number + i, at})
		if e.send(conn, e.reply) != nil {
			return // it is ending, which OnClose will tell
		}
	}
}

// OnClose notes that the connection is gone.
func (c *echoConn) OnClose(_ handler.Conn, status handler.CloseStatus) {
	c.echo.mu.Lock()
	c.conn = nil
	c.forget(c.flying)
	c.echo.stood -= c.sequence.standing()
	c.echo.mu.Unlock()
	c.echo.dropped(status)
}

// forget takes n messages off those on their way.
func (c *echoConn) forget(n int) {
	c.flying -= n
	c.echo.flying -= n
}

// receive finds out what a message is.
func (c *echoConn) receive(op frame.Opcode, payload []byte, at int64) {
	e := c.echo
	s, start, known, whole := e.stamps.find(payload)
	own := known && s.sender == c.index && s.number < c.sent
	good := own && whole && start == 0 && len(payload) == e.job.Config.PayloadBytes && op == e.op
	if known && s.sender != c.index {
		e.tick.Errors++
		if e.contains(s.due) {
			e.tally.Foreign++
		}
		return // what is due here may still come
	}
	if !own {
		c.receiveUnknown(at)
		return
	}
	if s.number == c.sent-1 {
		c.kicking = false // it has sent that, whether or not it knows
	}
	c.touched = at
	a, _ := c.sequence.arrive(s.number, at)
	if a == inOrder || a == reordered {
		c.forget(1)
	}
	if good && a == duplicate {
		if a = c.sequence.redeem(s.number); a != duplicate {
			e.stood--
			e.tally.Unasked++ // what stood for it; an error of the timeline already
		}
	}
	if good && a != duplicate {
		e.took(s.due, at)
	}
	if good && a == inOrder {
		return
	}
	e.tick.Errors++
	switch {
	case !good && a == duplicate:
		e.tally.Unasked++
	case !good:
		c.sequence.wrongFor(s.number)
	case !e.contains(s.due):
	case a == duplicate:
		e.tally.Duplicate++
	case a == reordered:
		e.tally.Reordered++
	case a == late:
		e.tally.Late++
	}
}

// receiveUnknown has a message that is none of ours stand for the one that should come next, until
// that comes itself.
func (c *echoConn) receiveUnknown(at int64) {
	e := c.echo
	e.tick.Errors++
	if c.flying <= 0 || c.sequence.next == c.sent {
		e.tally.Unasked++
		return
	}
	c.touched = at
	c.sequence.standFor(at)
	c.forget(1)
	e.stood++
}

// reserve takes the numbers of the next messages, at most most of them, in a closed
// loop. It returns the first and how many.
func (c *echoConn) reserve(most int, at int64) (first uint32, n int) {
	e := c.echo
	if e.pacer != nil || c.kicking || c.conn == nil || most <= 0 || at < e.span.Start || at >= e.span.End {
		return 0, 0
	}
	first = c.sent
	c.count(most, at)
	return first, most
}

// count counts n messages as sent that are due at a time.
func (c *echoConn) count(n int, due int64) {
	e := c.echo
	if e.contains(due) {
		if !c.begun {
			c.begun, c.first = true, c.sent
		}
		c.end = c.sent + uint32(n)
		e.tally.Sent += uint64(n)
	}
	c.sent += uint32(n)
	c.flying += n
	e.flying += n
	c.touched = due
}

func (e *echo) start() {
	if rate := e.job.Config.Rate; rate > 0 {
		e.mu.Lock()
		e.pacer = newPacer(e.session, rate, e.job.Worker, e.job.Config.loaders(), e.sendDue)
		e.mu.Unlock()
		e.pacer.start()
		return
	}
	for i := range e.conns {
		e.kick(&e.conns[i])
	}
}

// kick sends one message where none is on its way. Its reply brings on as many as
// are to be in flight.
func (e *echo) kick(c *echoConn) {
	e.mu.Lock()
	at := now()
	number, n := c.reserve(1, at)
	conn := c.conn
	c.kicking = n > 0
	e.mu.Unlock()
	if n == 0 {
		return
	}
	e.kicked = e.stamps.append(e.kicked[:0], stamp{c.index, number, at})
	_ = e.send(conn, e.kicked) // OnClose tells
	e.mu.Lock()
	c.kicking = false
	e.mu.Unlock()
}

// sendDue sends message k of this worker's open loop, on the pacer's goroutine.
func (e *echo) sendDue(k int, due int64) {
	c := &e.conns[k%len(e.conns)]
	e.mu.Lock()
	conn, number := c.conn, c.sent
	if conn != nil {
		c.count(1, due)
	}
	if stage := e.stage(due); stage != nil {
		stage.Due++
	}
	e.mu.Unlock()
	err := errGone
	if conn != nil {
		e.kicked = e.stamps.append(e.kicked[:0], stamp{c.index, number, due})
		err = e.send(conn, e.kicked)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		c.unsent(conn != nil, due)
	} else if e.contains(due) {
		e.tally.SendLag.Record(now() - due)
	}
}

var errGone = errors.New("bench: connection gone")

// unsent counts a message that could not be sent, and takes back that it was counted
// as sent.
func (c *echoConn) unsent(counted bool, due int64) {
	e := c.echo
	e.tick.Errors++
	if e.contains(due) {
		e.tally.Unsent++
	}
	if !counted {
		return
	}
	c.sent--
	if e.contains(due) {
		c.end--
		e.tally.Sent--
	}
	if c.conn != nil { // OnClose has forgotten it otherwise
		c.forget(1)
	}
}

// sweep gives up, in a closed loop, what has not come back in time, so that the
// connection goes on.
func (e *echo) sweep(at int64) {
	timeout := int64(e.job.Config.Timeout)
	if e.pacer != nil || at-e.swept < timeout/sweepsPerTimeout {
		return
	}
	e.swept = at
	limit := at - timeout
	for i := range e.conns {
		c := &e.conns[i]
		e.mu.Lock()
		if c.conn != nil {
			c.forget(c.sequence.giveUp(limit))
		}
		if c.flying > 0 && c.touched < limit {
			c.sequence.pass(c.sent)
			c.forget(c.flying)
		}
		idle := c.flying == 0 && c.sent > 0
		e.mu.Unlock()
		if idle {
			e.kick(c)
		}
	}
}

func (e *echo) stop() []publications {
	if e.pacer != nil {
		e.pacer.wait()
	}
	return nil
}

func (e *echo) settled([]publications) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.flying == 0 && e.stood == 0
}

func (e *echo) spread() []spread { return nil }

func (e *echo) finish([]publications) {
	e.tally.Expected = e.tally.Sent
	for i := range e.conns {
		c := &e.conns[i]
		e.tally.Lost += uint64(c.sequence.missing(c.first, c.end))
		e.tally.Wrong += uint64(c.sequence.wrongs(c.first, c.end))
	}
}
