package engine

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/weirws/weir/handler"
)

// weightClasses is how many sizes of queues are told apart, by powers of two.
const weightClasses = 48

// weights is the bytes that wait for the connections of a loop, summed up over those
// whose sum has the same number of bits. Its loop stores, all loops read: so each can
// tell how large a queue is too large without looking at the others' connections.
type weights [weightClasses]atomic.Int64

func (w *weights) total() (sum int64) {
	for i := range w {
		sum += w[i].Load()
	}
	return sum
}

func weightClass(bytes int) int { return min(bits.Len(uint(bytes)), weightClasses-1) }

// weight is the number of bytes that wait for the connection.
func (c *Conn) weight() int {
	waiting, _ := c.outbox.status()
	if c.backlog != nil {
		waiting += c.backlog.bytes
	}
	if c.tls != nil {
		waiting += c.tls.unsent()
	}
	return waiting
}

// waits makes the next tick look at how much is queued for the connection.
func (c *Conn) waits() { c.loop.slots[c.slot].waits = true }

// weigh sums up what waits for the loop's connections.
func (l *loop) weigh() {
	var sums [weightClasses]int64
	for i := range l.slots {
		s := &l.slots[i]
		if !s.waits {
			continue
		}
		n := s.conn.weight()
		s.waits = n > 0
		sums[weightClass(n)] += int64(n)
	}
	for i, n := range sums {
		l.count.queued[i].Store(n)
	}
}

// keepBudget acts on the connections with the largest queues while more is queued in
// the engine than Options.MaxQueuedBytes.
func (l *loop) keepBudget() {
	l.weigh()
	least, share := l.engine.overBudget(l)
	if share <= 0 {
		return
	}
	type weighed struct {
		conn  *Conn
		bytes int
	}
	var worst []weighed
	for i := range l.slots {
		if s := &l.slots[i]; s.waits {
			if n := s.conn.weight(); weightClass(n) >= least {
				worst = append(worst, weighed{s.conn, n})
			}
		}
	}
	slices.SortFunc(worst, func(a, b weighed) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, w := range worst {
		if share <= 0 {
			break
		}
		share -= int64(w.conn.shed())
	}
	l.weigh()
}

// overBudget returns the class of the smallest queues that have to be acted on, and how
// many bytes are to go from queues of that class and above of one loop.
func (e *Engine) overBudget(l *loop) (least int, share int64) {
	most := int64(e.options.MaxQueuedBytes)
	if most == 0 {
		return 0, 0
	}
	excess := -most
	var all [weightClasses]int64 // as they stand now: other loops go on storing
	for _, other := range e.loops {
		for class := range all {
			n := other.count.queued[class].Load()
			all[class] += n
			excess += n
		}
	}
	for least = weightClasses - 1; least > 0 && excess > 0; least-- {
		own := l.count.queued[least].Load()
		if all[least] >= excess {
			return least, share + int64(math.Ceil(float64(own)*float64(excess)/float64(all[least])))
		}
		share += own
		excess -= all[least]
	}
	return least, share
}

// shed acts on a connection as its policy says, and returns how many bytes of its queue
// that has freed. If publications are dropped, half of them are at a time.
func (c *Conn) shed() (freed int) {
	before := c.weight()
	switch {
	case c.state < stateOpening:
		return 0
	case c.state > stateOpen:
		c.drop(handler.ErrSlowConsumer)
	case c.backlog != nil && c.backlog.droppable() >= before/2:
		c.backlog.thinOut(c.missed)
	case c.state == stateOpening: // it fails when OnOpen has returned, which may take long
		if c.outbox.failWith(faultSlow) {
			c.outbox.discard()
		}
		if c.backlog != nil {
			c.backlog.discard()
		}
	default:
		c.fail(handler.ErrSlowConsumer)
	}
	return before - c.weight()
}
