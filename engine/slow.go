package engine

import (
	"cmp"

	"github.com/weirws/weir/handler"
)

// SetSlowPolicy sets what happens to publications. See handler.Conn.
func (c *Conn) SetSlowPolicy(p handler.SlowPolicy) error {
	if !p.Valid() {
		return handler.ErrSlowPolicy
	}
	if !c.loop.do(func() { c.setPolicy(p) }) {
		return handler.ErrClosed
	}
	return nil
}

// setPolicy is SetSlowPolicy on the loop. It holds for what waits already, too.
func (c *Conn) setPolicy(p handler.SlowPolicy) {
	c.policy = p
	if c.backlog != nil {
		c.backlog.adapt(p)
		c.flush()
	}
}

// slowPolicy is the policy for a publication.
func (c *Conn) slowPolicy(p *publication) handler.SlowPolicy {
	return cmp.Or(c.policy, p.slowPolicy(), c.usualPolicy())
}

// usualPolicy is the policy for topics without one, if the connection has none of its own.
func (c *Conn) usualPolicy() handler.SlowPolicy {
	return cmp.Or(c.path.route.SlowPolicy, c.loop.engine.options.SlowPolicy)
}

func (c *Conn) newBacklog() *backlog {
	return &backlog{deflate: c.outbox.deflate, own: c.policy, usual: c.usualPolicy()}
}

// holdsBack reports whether a publication is not for the outbox yet: others wait
// already, or the socket is full and the policy is to drop something if that lasts, or
// the connection has a rate.
func (c *Conn) holdsBack(p *publication) bool {
	if c.backlog != nil && (c.backlog.rate != nil || !c.backlog.isEmpty()) {
		return true
	}
	return c.slowPolicy(p) != handler.Disconnect &&
		(c.backlog != nil || c.blocked || !c.outbox.hasRoom(&c.loop.engine.options, p.message))
}

// hold puts a publication in the backlog, or acts on its policy if as much waits with
// that as may. It reports whether the outbox is to be flushed for that.
func (c *Conn) hold(p *publication) (tell bool) {
	if c.backlog == nil {
		c.backlog = c.newBacklog()
	}
	c.waits()
	b, o := c.backlog, &c.loop.engine.options
	policy, size := b.policyOf(p), b.sizeOf(p)
	isFull := func() bool { return b.held[policy] > 0 && b.held[policy]+size > o.OutboxSoftBytes }
	if b.places == nil && (b.rate != nil || policy == handler.Conflate && isFull()) {
		b.conflate(c.conflated)
	}
	older := b.replace(p)
	switch {
	case older != nil:
		c.conflated(older)
	case policy == handler.DropNewest && isFull():
		c.missed(p, handler.DropNewest)
	default:
		for policy == handler.DropOldest && isFull() {
			c.missed(b.popDropOldest(), handler.DropOldest)
		}
		b.push(p)
	}
	if c.exceeds(policy, size) {
		c.outbox.failWith(faultSlow)
		b.discard() // which OnOpen, if it is running, might hold up
		return true
	}
	return !c.blocked || policy == handler.Disconnect // checkMarks counts that
}

// exceeds reports whether more waits with a policy that loses nothing than the hard mark
// allows, or the newest message, of size bytes, if that is larger.
func (c *Conn) exceeds(policy handler.SlowPolicy, size int) bool {
	waiting := c.backlog.held[policy]
	switch policy {
	case handler.Disconnect:
		ahead, _ := c.outbox.owed()
		waiting += ahead
	case handler.Conflate:
	default:
		return false
	}
	return waiting > max(size, c.loop.engine.options.OutboxHardBytes)
}

// conflated accounts for a publication that a newer one has replaced.
func (c *Conn) conflated(p *publication) { c.missed(p, handler.Conflate) }

// missed accounts for a publication that the connection will not get.
func (c *Conn) missed(p *publication, policy handler.SlowPolicy) {
	counter := p.missed.Load()
	if counter == nil {
		counter = c.loop.engine.count.missedOf(p.quantity.topic)
		p.missed.Store(counter)
	}
	counter[policy].Add(1)
	if _, ok := c.application().(handler.MissedHandler); !ok {
		return
	}
	b, topic := c.backlog, p.quantity.topic
	if b.missed == nil {
		b.missed = make(map[string]int)
	}
	if b.missed[topic] == 0 && len(b.missed) >= missedTopics {
		topic = OtherTopics
	}
	b.missed[topic]++
}

// take is outbox.take into the loop's scratch memory, after the backlog has moved on.
func (c *Conn) take() ([][]byte, error) {
	if c.backlog != nil && c.backlog.rate != nil {
		c.backlog.rate.advance(c.loop.engine.clockMillis())
	}
	bufs, err := c.outbox.take(c.loop.bufs[:0], c.backlog)
	c.loop.bufs = bufs
	c.refilled()
	return bufs, err
}

// refilled follows on the move of publications from the backlog to the outbox: the
// peer reads again, and the handler is told what it has missed.
func (c *Conn) refilled() {
	b := c.backlog
	if b == nil {
		return
	}
	if len(b.missed) > 0 && c.state == stateOpen && !c.inbox.isFull(&c.loop.engine.options) {
		c.tellMissed()
	}
	switch {
	case b.isEmpty() && len(b.missed) == 0 && b.rate == nil:
		c.backlog = nil
	case c.state == stateOpen && (len(b.missed) > 0 || b.rate != nil && !b.isEmpty()):
		c.wakeBefore(c.loop.now) // the next tick goes on
	}
}

// tellMissed tells the handler what the connection has missed.
func (c *Conn) tellMissed() {
	if c.backlog == nil || len(c.backlog.missed) == 0 {
		return
	}
	all := c.backlog.missed
	c.backlog.missed = nil
	if c.loop.engine.options.Mode == OnLoop {
		for topic, n := range all {
			c.callMissed(topic, n)
		}
		return
	}
	events := batches.Get().(*batch)
	for topic, n := range all {
		events.addMissed(topic, n)
	}
	if c.inbox.give(events) {
		c.loop.runnable(c)
	}
}

func (c *Conn) callMissed(topic string, n int) {
	returned := false
	defer c.recovered(&returned)
	if h, ok := c.application().(handler.MissedHandler); ok {
		h.OnMissed(c, topic, n)
	}
	returned = true
}
