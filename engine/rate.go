package engine

import "github.com/weirws/weir/handler"

// A rate is what may be sent of the publications in a backlog. What it holds back is
// looked at again with the loop's next tick.
type rate struct {
	limit    handler.Rate
	at       uint32 // the engine's clock when it was looked at last
	messages int64  // thousandths of those that may be sent now
	bytes    int64  // the same; below zero after a message that was larger
}

// creditMillis is the time whose worth may be sent at once.
const creditMillis = 250

// newRate returns nil if there is no limit.
func newRate(limit handler.Rate, now uint32) *rate {
	if limit == (handler.Rate{}) {
		return nil
	}
	return &rate{limit: limit, at: now, messages: mostCredit(limit.Messages), bytes: mostCredit(limit.Bytes)}
}

// mostPerSecond is a limit that is none: what it is multiplied by does not overflow.
const mostPerSecond = 1 << 40

// mostCredit is the credit that a limit adds up to while nothing is sent.
func mostCredit(perSecond int) int64 { return 1000 + min(int64(perSecond), mostPerSecond)*creditMillis }

// advance adds the credit of the time that has passed.
func (r *rate) advance(now uint32) {
	passed := int64(now - r.at)
	r.at = now
	r.messages = credited(r.messages, r.limit.Messages, passed)
	r.bytes = credited(r.bytes, r.limit.Bytes, passed)
}

// credited is what a credit has become after so many milliseconds.
func credited(credit int64, perSecond int, millis int64) int64 {
	most := mostCredit(perSecond)
	if perSecond == 0 || millis > (most-credit)/int64(perSecond) {
		return most
	}
	return credit + millis*int64(perSecond)
}

// allows reports whether another message may be sent.
func (r *rate) allows() bool {
	return (r.limit.Messages == 0 || r.messages >= 1000) && (r.limit.Bytes == 0 || r.bytes > 0)
}

// spend takes a message of so many bytes off the credit.
func (r *rate) spend(bytes int) {
	r.messages -= 1000
	r.bytes -= 1000 * int64(bytes)
}

// SetRate bounds how much of publications is sent. See handler.Conn.
func (c *Conn) SetRate(r handler.Rate) error {
	if !r.Valid() {
		return handler.ErrRate
	}
	set := cast{then: func() { c.setRate(r) }} // what was published before goes before
	if !c.loop.mail.post(func(m *mailbox) { m.casts = append(m.casts, set) }) {
		return handler.ErrClosed
	}
	return nil
}

// setRate is SetRate on the loop. A connection with a rate always has a backlog, so
// that nothing is written past it.
func (c *Conn) setRate(limit handler.Rate) {
	if c.fd < 0 {
		return
	}
	switch {
	case c.backlog != nil:
		c.backlog.rate = newRate(limit, c.loop.engine.clockMillis())
		c.backlog.adapt(c.policy)
		c.flush()
	case limit != (handler.Rate{}):
		c.backlog = c.newBacklog()
		c.backlog.rate = newRate(limit, c.loop.engine.clockMillis())
	}
}
