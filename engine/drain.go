package engine

import (
	"time"

	"github.com/weirws/weir/frame"
)

const (
	drainReason    = "shutting down"
	acceptsAtDrain = 64          // times acceptsPerEvent, to empty the accept queue
	begunRequest   = time.Second // for a request whose header has begun to arrive
	drainPerSecond = 2000        // connections closed at least, whatever the pace
)

// A drainState is how far a loop has come with closing its connections.
type drainState struct {
	active  bool
	next    int     // slots from here on have been closed
	perTick float64 // connections to close each tick
	due     float64 // connections that may be closed now
}

// startDrain ends listening and has the connections of the loop closed, paced so that
// their clients do not all come back at the same moment.
func (l *loop) startDrain() {
	if l.listener.fd >= 0 {
		for i := 0; i < acceptsAtDrain && l.accept(); i++ {
			// Who waits in the queue gets a 503, not a reset.
		}
		l.closeListener()
	}
	for i := len(l.slots) - 1; i >= 0; i-- {
		if i < len(l.slots) && l.slots[i].conn != nil {
			l.slots[i].conn.dropUnused()
		}
	}
	l.closeWindow()
	l.casts = append(l.casts, cast{then: l.startClosing})
}

// startClosing begins to close connections, once they have what was published before.
func (l *loop) startClosing() {
	half := l.engine.options.DrainTime.Seconds() / 2
	pace := max(drainPerSecond, float64(len(l.slots))/max(half, l.tick.Seconds()))
	l.drain = drainState{active: true, next: len(l.slots), perTick: max(1, pace*l.tick.Seconds())}
	l.continueDrain()
}

// dropUnused closes a connection on which no request has begun, a browser's spare one
// say, and one that is being dialled.
func (c *Conn) dropUnused() {
	if c.state == stateDialing {
		c.drop(ErrClosed)
		return
	}
	if c.isUnused() {
		c.readAll()
	}
	switch {
	case c.fd < 0 || c.state != stateHeader:
	case c.isUnused():
		c.drop(nil)
	default:
		c.wakeBefore(c.loop.at(begunRequest)) // all it can still get is a 503
	}
}

func (c *Conn) isUnused() bool {
	return c.state == stateHeader && c.hs.bytes == nil && !c.tls.isShaking()
}

// continueDrain closes as many connections as are due.
func (l *loop) continueDrain() {
	d := &l.drain
	if !d.active {
		return
	}
	d.due += d.perTick
	// Connections that end meanwhile are replaced by the last slot, which has been
	// visited, so none is left out.
	for d.next = min(d.next, len(l.slots)); d.next > 0 && d.due >= 1; {
		d.next--
		if s := &l.slots[d.next]; s.open {
			d.due--
			s.conn.drain()
		}
	}
}

// drain begins to close a connection, once its handler has seen the messages that
// have arrived.
func (c *Conn) drain() {
	if c.inbox.isEmpty() {
		_ = c.Close(frame.CloseGoingAway, drainReason)
		return
	}
	c.notify(eventDrain)
}

// Draining reports how many connections are left of a drain, and whether one is
// under way.
func (e *Engine) Draining() (left int, draining bool) {
	return int(e.sockets.Load()), e.draining.Load()
}
