package engine

import "github.com/weirws/weir/frame"

// A backlog is publications that wait before the outbox of one connection, because
// its peer is slow to read and its policy is not handler.Disconnect. It exists only while
// there are any, something of them is to be told, or the connection has a rate. The connection's loop owns it.
type backlog struct {
	deflate frame.Deflate
	items   []*publication
	next    int // items before it are gone
	bytes   int // waiting

	// While the backlog conflates: where the publication of each quantity is, by hash,
	// as an index of items plus gone. Two quantities with the same hash keep each
	// other from being found, which costs a replacement and nothing else.
	places map[uint64]int
	gone   int // items that items has been moved over

	rate   *rate          // nil: as fast as the peer reads
	missed map[string]int // messages by topic that the handler is to be told of
}

func (b *backlog) isEmpty() bool { return b.next == len(b.items) }

func (b *backlog) sizeOf(p *publication) int { return len(p.message.Bytes(b.deflate)) }

// push puts a publication at the end.
func (b *backlog) push(p *publication) {
	if b.places != nil {
		b.places[p.hash] = b.gone + len(b.items)
	}
	b.items = append(b.items, p)
	b.bytes += b.sizeOf(p)
}

// pop takes the oldest publication.
func (b *backlog) pop() *publication {
	p := b.items[b.next]
	if b.places != nil && b.places[p.hash] == b.gone+b.next {
		delete(b.places, p.hash)
	}
	b.items[b.next] = nil
	b.next++
	b.bytes -= b.sizeOf(p)
	if b.next >= keptItems && b.next >= len(b.items)/2 {
		n := copy(b.items, b.items[b.next:])
		clear(b.items[n:])
		b.items = b.items[:n]
		b.gone += b.next
		b.next = 0
	}
	return p
}

// popLast takes the newest publication.
func (b *backlog) popLast() *publication {
	last := len(b.items) - 1
	p := b.items[last]
	if b.places != nil && b.places[p.hash] == b.gone+last {
		delete(b.places, p.hash)
	}
	b.items[last] = nil
	b.items = b.items[:last]
	b.bytes -= b.sizeOf(p)
	return p
}

// discard forgets everything that waits.
func (b *backlog) discard() { *b = backlog{deflate: b.deflate, rate: b.rate, missed: b.missed} }

// replace puts a publication in the place of an older one of the same quantity, which
// it returns, or nil if there is none.
func (b *backlog) replace(p *publication) (older *publication) {
	place, ok := b.places[p.hash]
	if !ok || b.items[place-b.gone].quantity != p.quantity {
		return nil
	}
	older = b.items[place-b.gone]
	b.items[place-b.gone] = p
	b.bytes += b.sizeOf(p) - b.sizeOf(older)
	return older
}

// conflate leaves the newest publication of each quantity, at the place of the
// oldest. From then on replace works. dropped is called for the others.
func (b *backlog) conflate(dropped func(*publication)) {
	all := b.items[b.next:]
	b.items, b.next, b.gone, b.bytes = nil, 0, 0, 0
	b.places = make(map[uint64]int)
	for _, p := range all {
		if older := b.replace(p); older != nil {
			dropped(older)
			continue
		}
		b.push(p)
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
		o.putPublication(b.pop())
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
		o.putPublication(b.pop())
	}
	q.items = append(q.items, closing)
}

// putAll moves the whole backlog to the queue.
func (o *outbox) putAll(b *backlog) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed && o.fault == noFault {
		o.refillBeforeClose(b)
		return
	}
	for !b.isEmpty() {
		o.putPublication(b.pop())
	}
}

func (o *outbox) putPublication(p *publication) {
	o.open()
	item := outItem{shared: p.message}
	if o.masks {
		item = outItem{own: maskedCopy(p.message.Bytes(o.deflate))}
	}
	o.queue.items = append(o.queue.items, item)
	o.queue.bytes += len(item.bytes(o.deflate))
	o.queue.messages++
}

// hasRoom reports whether m may be queued.
func (o *outbox) hasRoom(options *Options, m *frame.Prepared) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue == nil || o.queue.bytes+len(m.Bytes(o.deflate)) <= options.OutboxHardBytes
}
