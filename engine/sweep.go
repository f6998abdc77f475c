package engine

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	longestTick  = 250 * time.Millisecond
	shortestTick = 5 * time.Millisecond
	ticksPerTime = 8 // a deadline is kept to an eighth of the shortest time configured
	farAhead     = 1 << 30 * time.Millisecond
)

// sweepInterval is how often loops look for deadlines that have passed.
func (e *Engine) sweepInterval() time.Duration {
	shortest := longestTick * ticksPerTime
	for _, d := range e.options.timeouts() {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	return max(shortestTick, shortest/ticksPerTime)
}

// startClock lets the loop tick while it has connections, or waits for descriptors.
func (l *loop) startClock() {
	if l.ticks {
		return
	}
	l.ticks = true
	l.now = l.engine.clockMillis()
	l.due = l.engine.elapsed() + l.tick
	l.clock.start(l.tick)
}

// onTick looks for deadlines that have passed. It reads the slots only, which lie
// side by side, and touches a connection when there is something to do.
func (l *loop) onTick() {
	l.clock.hush()
	now := l.engine.elapsed()
	l.count.late(now - l.due)
	l.due = now + l.tick
	l.now = l.engine.clockMillis()
	l.descriptorFreed()
	l.continueDrain()
	// From the end, because a connection that is dropped is replaced by the last.
	for i := len(l.slots) - 1; i >= 0; i-- {
		if i < len(l.slots) && l.slots[i].conn != nil && !before(l.now, l.slots[i].deadline) {
			l.slots[i].conn.onDeadline()
		}
	}
	l.keepBudget()
	if len(l.slots) == 0 && !l.starved {
		l.ticks = false
		l.clock.start(0)
	}
}

// onDeadline acts on time that has passed.
func (c *Conn) onDeadline() {
	switch c.state {
	case stateHeader:
		if c.tls != nil && c.tls.phase != tlsOpen {
			c.drop(nil) // there is no way yet to tell the client why
			return
		}
		c.refuse(handler.Refuse(http.StatusRequestTimeout, "request header took too long"))
	case stateDialing:
		c.dialingTooSlow()
	case stateOpening:
		c.wake(c.loop.at(farAhead))
	case stateOpen:
		c.checkAlive()
		if c.fd >= 0 && c.backlog != nil {
			c.flush()
		}
	case statePeerClose:
		// The handler takes too long to answer what came before the close frame.
		c.startFinishing()
	case stateClosing, stateFinishing:
		c.drop(handler.ErrCloseTimeout)
	case stateLingering, stateHangUp:
		c.drop(nil)
	}
}

// checkAlive ends a connection whose peer is dead, idle, or behind for too long,
// and pings one that is silent.
func (c *Conn) checkAlive() {
	l, o := c.loop, &c.loop.engine.options
	next := l.at(farAhead)
	passed := func(since uint32, d time.Duration) bool {
		if d <= 0 {
			return false
		}
		due := since + uint32(d.Milliseconds())
		if before(due, next) {
			next = due
		}
		return !before(l.now, due)
	}
	if c.paused != 0 {
		// Nothing is read, so silence says nothing about the peer.
		c.pinged, c.heard, c.told = 0, l.now, l.now
	}
	switch {
	case c.paused&pauseOutbox != 0 && passed(c.behind, o.SlowTimeout):
		c.fail(handler.ErrSlowConsumer)
		return
	case passed(c.told, o.IdleTimeout):
		c.fail(handler.ErrIdleTimeout)
		return
	}
	if c.pinged != 0 && !before(c.heard, c.pinged) {
		c.pinged = 0
	}
	switch {
	case c.pinged != 0 && passed(c.pinged, o.PongTimeout):
		c.drop(handler.ErrPongTimeout)
		return
	case c.pinged != 0:
		passed(l.now, l.engine.pingDelay()) // the pong may have come by then
	case passed(c.heard, l.engine.pingDelay()):
		c.pinged = l.now
		next = l.at(farAhead)
		passed(c.told, o.IdleTimeout)
		passed(c.pinged, o.PongTimeout)
		passed(c.pinged, l.engine.pingDelay())
		_ = c.queued(c.outbox.appendFrame(l.engine, frame.Ping, nil))
	}
	c.wake(next)
}

// pingDelay is PingInterval with up to a quarter added at random; negative: never.
func (e *Engine) pingDelay() time.Duration {
	d := e.options.PingInterval
	if d <= 0 {
		return d
	}
	return d + rand.N(d/4+1)
}
