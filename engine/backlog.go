package engine

import (
	"cmp"
	"slices"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A backlog is publications that wait before the outbox of one connection, because its
// peer is slow to read and their policy is not handler.Disconnect, or because they follow
// such ones. It exists only while there are any, something of them is to be told, or the
// connection has a rate. The connection's loop owns it.
type backlog struct {
	deflate frame.Deflate
	own     handler.SlowPolicy // of the connection; 0: none
	usual   handler.SlowPolicy // of topics without one
	items   []*publication     // nil: one that is gone
	next    int                // items before it are gone, and it is not
	dead    int                // items that are gone
	oldest  int                // no item before it has the policy handler.DropOldest
	bytes   int                // waiting
	held    [policies]int      // of these, by policy

	// While the backlog conflates: where the publication of each quantity is, by hash.
	// Two quantities with the same hash keep each other from being found, which costs a
	// replacement and nothing else.
	places map[uint64]int

	rate   *rate          // nil: as fast as the peer reads
	missed map[string]int // messages by topic that the handler is to be told of
}

const policies = handler.Conflate + 1

func (b *backlog) isEmpty() bool { return b.next == len(b.items) }

func (b *backlog) sizeOf(p *publication) int { return len(p.message.Bytes(b.deflate)) }

func (b *backlog) policyOf(p *publication) handler.SlowPolicy {
	return cmp.Or(b.own, p.slowPolicy(), b.usual)
}

// conflates reports whether a publication may take the place of an older one.
func (b *backlog) conflates(p *publication) bool {
	return b.rate != nil || b.policyOf(p) == handler.Conflate
}

// push puts a publication at the end.
func (b *backlog) push(p *publication) {
	if b.places != nil && b.conflates(p) {
		b.places[p.hash] = len(b.items)
	}
	b.items = append(b.items, p)
	b.count(p, 1)
}

// count accounts for n publications like p.
func (b *backlog) count(p *publication, n int) {
	size := b.sizeOf(p)
	b.bytes += n * size
	b.held[b.policyOf(p)] += n * size
}

// pop takes the oldest publication.
func (b *backlog) pop() *publication { return b.remove(b.next) }

// popDropOldest takes the oldest publication with the policy handler.DropOldest, of which
// there must be one.
func (b *backlog) popDropOldest() *publication {
	i := max(b.oldest, b.next)
	for b.items[i] == nil || b.policyOf(b.items[i]) != handler.DropOldest {
		i++
	}
	b.oldest = i
	return b.remove(i)
}

func (b *backlog) remove(i int) *publication {
	p := b.items[i]
	if b.places != nil && b.places[p.hash] == i {
		delete(b.places, p.hash)
	}
	b.items[i] = nil
	b.count(p, -1)
	b.dead++
	for b.next < len(b.items) && b.items[b.next] == nil {
		b.next++
	}
	if b.dead >= keptItems && b.dead >= len(b.items)/2 {
		b.compact()
	}
	return p
}

// compact moves the items to the front.
func (b *backlog) compact() {
	n := 0
	for i, p := range b.items {
		if p == nil {
			continue
		}
		if b.places != nil && b.places[p.hash] == i {
			b.places[p.hash] = n
		}
		b.items[n] = p
		n++
	}
	clear(b.items[n:])
	b.items = b.items[:n]
	b.next, b.dead, b.oldest = 0, 0, 0
}

// rebuild leaves only what keeps says, and accounts for it anew.
func (b *backlog) rebuild(keeps func(*publication) bool) {
	all := b.items
	b.items = b.items[:0] // behind what is still to be read of all
	clear(b.places)
	b.next, b.dead, b.oldest, b.bytes, b.held = 0, 0, 0, 0, [policies]int{}
	for _, p := range all {
		if p != nil && keeps(p) {
			b.push(p)
		}
	}
	clear(all[len(b.items):])
}

// adapt follows on a change of the connection's own policy, or of its rate. What is
// conflated from now on is another matter.
func (b *backlog) adapt(own handler.SlowPolicy) {
	b.own, b.places = own, nil
	b.rebuild(func(*publication) bool { return true })
}

// discard forgets everything that waits.
func (b *backlog) discard() {
	*b = backlog{deflate: b.deflate, own: b.own, usual: b.usual, rate: b.rate, missed: b.missed}
}

// replace puts a publication in the place of an older one of the same quantity, which
// it returns, or nil if there is none.
func (b *backlog) replace(p *publication) (older *publication) {
	place, ok := b.places[p.hash]
	if !ok || b.items[place].quantity != p.quantity || !b.conflates(p) {
		return nil
	}
	older = b.items[place]
	b.items[place] = p
	more := b.sizeOf(p) - b.sizeOf(older)
	b.bytes += more
	b.held[b.policyOf(p)] += more
	return older
}

// conflate leaves the newest publication of each quantity, at the place of the
// oldest, where that is to be. From then on replace works. dropped is called for the others.
func (b *backlog) conflate(dropped func(*publication)) {
	b.places = make(map[uint64]int)
	b.rebuild(func(p *publication) bool {
		older := b.replace(p)
		if older != nil {
			dropped(older)
		}
		return older == nil
	})
	b.items = slices.Clone(b.items) // most may be gone
}

// droppable is how many bytes of it may be dropped, or conflated.
func (b *backlog) droppable() int {
	n := b.held[handler.DropNewest] + b.held[handler.DropOldest]
	if b.places == nil {
		n += b.held[handler.Conflate]
	}
	return n
}

// thinOut drops half of what waits with each policy that allows that, and conflates. dropped
// is called for what goes, with the policy.
func (b *backlog) thinOut(dropped func(*publication, handler.SlowPolicy)) {
	room := b.held[handler.DropNewest] / 2
	excess := b.held[handler.DropOldest] - b.held[handler.DropOldest]/2
	b.rebuild(func(p *publication) bool {
		gone := false
		policy := b.policyOf(p)
		switch policy {
		case handler.DropNewest:
			room -= b.sizeOf(p)
			gone = room < 0
		case handler.DropOldest:
			gone = excess > 0
			excess -= b.sizeOf(p)
		}
		if gone {
			dropped(p, policy)
		}
		return !gone
	})
	if b.places == nil && b.held[handler.Conflate] > 0 {
		b.conflate(func(p *publication) { dropped(p, handler.Conflate) })
	}
}

const refillBytes = 64 << 10 // the backlog moves on while less waits in the outbox

// refill moves what is next in the backlog to the queue: enough for a write, as far
// as the rate allows. The close frame, if it is queued already, is for after all of them. The lock is held.
func (o *outbox) refill(b *backlog) {
	if o.closed && o.fault == noFault {
		o.refillBeforeClose(b)
		return
	}
	for n := 0; n < gatheredItems && !b.isEmpty() && (o.queue == nil || o.queue.bytes < refillBytes); n++ {
		if b.rate != nil {
			if !b.rate.allows() {
				return
			}
			b.rate.spend(b.sizeOf(b.items[b.next]))
		}
		o.putNext(b)
	}
}

// refillBeforeClose moves the whole backlog to before the close frame, which is the
// last item. If that is being written the backlog came too late.
func (o *outbox) refillBeforeClose(b *backlog) {
	q := o.queue
	if q == nil || len(q.items)-1 < max(q.next, q.sealed) {
		b.discard()
		return
	}
	last := len(q.items) - 1
	closing := q.items[last]
	q.items = q.items[:last]
	for !b.isEmpty() {
		o.putNext(b)
	}
	q.items = append(q.items, closing)
}

// putNext moves the oldest publication to the queue.
func (o *outbox) putNext(b *backlog) {
	o.open()
	p := b.pop()
	item := outItem{shared: p.message}
	if o.masks {
		item = outItem{own: maskedCopy(p.message.Bytes(o.deflate))}
	}
	o.queue.items = append(o.queue.items, item)
	o.queue.bytes += len(item.bytes(o.deflate))
	o.queue.messages++
	if b.policyOf(p) != handler.Disconnect {
		o.queue.spared = o.queue.bytes
	}
}

// hasRoom reports whether m may be queued.
func (o *outbox) hasRoom(options *Options, m *frame.Prepared) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue == nil || o.queue.bytes+len(m.Bytes(o.deflate)) <= options.OutboxHardBytes
}
