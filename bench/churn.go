package bench

import (
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// churn has connections arrive at a steady rate, and the oldest one depart for each, so
// that their number stays the same.
type churn struct {
	*session
	pacer *pacer

	held      []*churnConn // in the order of their arrival; some may be gone
	staying   int          // open, and not told to depart
	arriving  int
	departing int
}

// A churnConn is one connection. All fields are under the session's lock but for those
// that do not change.
type churnConn struct {
	churn    *churn
	conn     handler.Conn
	arriving bool  // under load, and it is not open yet
	gone     bool  // without having been told to
	due      int64 // when it was to depart; 0: it stays
}

func newChurn(s *session) scenario { return &churn{session: s} }

func (c *churn) size() int { return c.job.Count }

func (c *churn) handler(int) handler.Handler { return &churnConn{churn: c} }

// OnOpen notes that the connection is there.
func (c *churnConn) OnOpen(conn handler.Conn, _ *handler.Request) error {
	h := c.churn
	h.mu.Lock()
	defer h.mu.Unlock()
	c.conn = conn
	if c.arriving {
		c.arriving = false
		h.arriving--
	}
	h.staying++
	h.held = append(h.held, c)
	return nil
}

// OnMessage does nothing.
func (c *churnConn) OnMessage(handler.Conn, frame.Opcode, []byte) {}

// OnClose takes in a departure: it was told to, and both sides sent a close frame, or it
// was dropped.
func (c *churnConn) OnClose(_ handler.Conn, status handler.CloseStatus) {
	h, at := c.churn, now()
	h.mu.Lock()
	c.gone = true
	if c.due == 0 {
		h.staying--
		h.mu.Unlock()
		h.dropped(status)
		return
	}
	defer h.mu.Unlock()
	h.departing--
	h.open--
	switch {
	case !status.Clean:
		cause := dropCause(status)
		if h.closing { // which waits for departures as long as they may take
			cause = causeUnanswered
		}
		h.tick.Errors++
		addCauses(&h.tally.Drops, map[string]int{cause: 1})
	case h.contains(c.due):
		h.tally.Departed++
		h.tally.Closings.Record(at - c.due)
	}
}

func (c *churn) start() {
	c.pacer = newPacer(c.session, c.job.Config.Rate, c.job.Worker, c.job.Config.Workers, c.turn)
	c.pacer.start()
}

// turn has a connection arrive, and the oldest depart if there are enough, on the pacer's
// goroutine.
func (c *churn) turn(k int, due int64) {
	c.mu.Lock()
	var oldest *churnConn
	if c.staying+c.arriving >= c.job.Count {
		oldest = c.oldest()
	}
	if oldest != nil {
		oldest.due = due
		c.staying--
		c.departing++
	}
	next := &churnConn{churn: c, arriving: true}
	c.arriving++
	if c.contains(due) {
		c.tally.SendLag.Record(now() - due)
	}
	c.mu.Unlock()
	if oldest != nil {
		_ = oldest.conn.Close(frame.CloseNormal, "") // if the server closes already, OnClose tells all the same
	}
	c.arrive(k%c.job.Count, next, func(err error) { next.came(due, err) })
}

// oldest takes the connection that arrived first out of those that stay; nil if there is
// none.
func (c *churn) oldest() *churnConn {
	for len(c.held) > 0 {
		first := c.held[0]
		c.held[0] = nil
		c.held = c.held[1:]
		if !first.gone {
			return first
		}
	}
	return nil
}

// came takes in what has become of an arrival that was due at a time.
func (c *churnConn) came(due int64, err error) {
	h, at := c.churn, now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.arrived(due, at)
		return
	}
	c.arriving = false
	h.arriving--
	h.failed(err)
}

func (c *churn) sweep(int64) {}

func (c *churn) stop() []publications {
	c.pacer.wait()
	return nil
}

func (c *churn) settled([]publications) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arriving == 0 && c.departing == 0
}

func (c *churn) finish([]publications) {}
func (c *churn) spread() []spread      { return nil }
