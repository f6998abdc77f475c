package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	joinBytes     = 16 << 10 // frames are joined in one buffer up to this
	firstBytes    = 512      // capacity of a new buffer for joining
	gatheredItems = 64       // at most so many items go into one write
	keptItems     = 64       // a larger queue is not kept for reuse
)

// An outbox is what waits to be written to one connection. Anyone appends, the
// loop takes. Its lock is never held across a write or a callback.
type outbox struct {
	// Immutable once the handshake has been checked.
	deflate frame.Deflate
	masks   bool // frames are masked: we are the client

	// Guarded by mu; the first two stand where they take no room.
	closed  bool // a close frame is in the queue, or nothing can be sent any more
	told    bool // the loop will look here without being asked again
	mu      sync.Mutex
	stalled bool      // the loop waits for the socket
	fault   fault     // why the loop is to fail the connection
	queue   *outQueue // nil while nothing waits

	busy atomic.Bool // queue is not nil, or closed is true: stored under mu, loaded without
}

// A fault is why the loop is to fail a connection.
type fault uint8

const (
	noFault    fault = iota
	faultSlow        // too much is queued
	faultPanic       // a callback panicked
)

func (f fault) err() error {
	switch f {
	case faultSlow:
		return handler.ErrSlowConsumer
	case faultPanic:
		return handler.ErrPanic
	}
	return nil
}

// An outQueue is the contents of an outbox, pooled.
type outQueue struct {
	items    []outItem
	next     int    // items before it have been written
	off      int    // bytes of items[next] that have been written
	sealed   int    // items before it are being written, or have to be, and must not grow
	bytes    int    // waiting
	spared   int    // of these, up to the last publication that might have been dropped
	messages uint64 // appended and not yet counted
}

// An outItem is encoded frames: a buffer of this outbox's own, or a message that
// any number of outboxes share. One of both is nil.
type outItem struct {
	own    *frame.Buffer
	shared *frame.Prepared
}

func (i outItem) bytes(d frame.Deflate) []byte {
	if i.own != nil {
		return i.own.B
	}
	return i.shared.Bytes(d)
}

var outQueues = sync.Pool{New: func() any { return new(outQueue) }}

// An appended is what became of an append.
type appended struct {
	err  error
	tell bool // the loop has to be asked to look
}

// hold makes sends leave the loop alone: it will look here by itself, soon.
func (o *outbox) hold() {
	o.mu.Lock()
	o.told = true
	o.mu.Unlock()
}

// appendFrame encodes one frame at the end of the queue.
func (o *outbox) appendFrame(e *Engine, op frame.Opcode, payload []byte) appended {
	size := frame.FrameSize(len(payload), o.masks)
	if size > joinBytes {
		b := frame.NewBuffer(size)
		b.B = o.appendMessage(b.B, op, payload)
		return o.appendBuffer(e, b)
	}
	o.mu.Lock()
	if err := o.admit(e, size); err != nil {
		tell := o.fault != noFault
		o.mu.Unlock()
		return appended{err: err, tell: tell}
	}
	b := o.queue.room(size)
	b.B = o.appendMessage(b.B, op, payload)
	a := o.added(e, size)
	o.mu.Unlock()
	return a
}

// appendBuffer puts frames encoded in b at the end of the queue, which takes b
// over.
func (o *outbox) appendBuffer(e *Engine, b *frame.Buffer) appended {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.admit(e, len(b.B)); err != nil {
		b.Release()
		return appended{err: err, tell: o.fault != noFault}
	}
	o.queue.items = append(o.queue.items, outItem{own: b})
	return o.added(e, len(b.B))
}

// appendShared puts a reference to m at the end of the queue; a client a masked copy.
func (o *outbox) appendShared(e *Engine, m *frame.Prepared, spared bool) appended {
	if o.masks {
		a := o.appendBuffer(e, maskedCopy(m.Bytes(o.deflate)))
		if spared {
			o.spare()
		}
		return a
	}
	size := len(m.Bytes(o.deflate))
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.admit(e, size); err != nil {
		return appended{err: err, tell: o.fault != noFault}
	}
	o.queue.items = append(o.queue.items, outItem{shared: m})
	a := o.added(e, size)
	if spared {
		o.queue.spared = o.queue.bytes
	}
	return a
}

// appendClose puts a close frame at the end of the queue and closes the outbox.
// It reports false, and does nothing, if that is closed already.
func (o *outbox) appendClose(code frame.CloseCode, reason string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.shut(noFault)
	o.putClose(code, reason)
	return true
}

// endWithClose puts the last close frame into the queue of a connection that the
// engine ends: behind what waits, or in its place, but for the response of the
// opening handshake or an item that has been written in part. A close frame that is
// in the queue already stays the only one.
func (o *outbox) endWithClose(code frame.CloseCode, reason string, replace bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed && o.fault == noFault {
		return
	}
	o.shut(noFault)
	if q := o.queue; q != nil && replace {
		o.truncate(max(q.next, q.sealed))
	}
	o.putClose(code, reason)
}

// putFirst puts bytes before everything else: the response of the opening
// handshake, before which nothing is written.
func (o *outbox) putFirst(b *frame.Buffer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open()
	o.queue.items = append(o.queue.items, outItem{})
	copy(o.queue.items[1:], o.queue.items)
	o.queue.items[0] = outItem{own: b}
	o.queue.sealed = 1
	o.queue.bytes += len(b.B)
}

// replace drops everything and closes the outbox behind b.
func (o *outbox) replace(b *frame.Buffer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut(noFault)
	o.open()
	o.truncate(o.queue.next)
	o.queue.items = append(o.queue.items, outItem{own: b})
	o.queue.bytes += len(b.B)
}

func (o *outbox) putClose(code frame.CloseCode, reason string) {
	var payload [maxControlPayload]byte
	p := frame.AppendClosePayload(payload[:0], code, reason)
	o.open()
	b := frame.NewBuffer(frame.FrameSize(len(p), o.masks)) // an item of its own: a backlog goes before it
	b.B = o.appendMessage(b.B, frame.Close, p)
	o.queue.items = append(o.queue.items, outItem{own: b})
	o.queue.bytes += len(b.B)
}

// admit returns nil if size bytes more may be queued, and opens the queue.
func (o *outbox) admit(e *Engine, size int) error {
	if o.closed {
		return handler.ErrClosed
	}
	if o.queue != nil && o.queue.owed()+size > e.options.OutboxHardBytes {
		o.shut(faultSlow)
		return handler.ErrSlowConsumer
	}
	o.open()
	return nil
}

func (o *outbox) open() {
	if o.queue == nil {
		o.queue = outQueues.Get().(*outQueue)
		o.busy.Store(true)
	}
}

// added accounts for size bytes of one message at the end of the queue.
func (o *outbox) added(e *Engine, size int) appended {
	q := o.queue
	before := q.owed()
	q.bytes += size
	q.messages++
	soft := e.options.OutboxSoftBytes
	if o.told && !(o.stalled && before <= soft && q.owed() > soft) {
		return appended{}
	}
	o.told = true
	return appended{tell: true}
}

// isIdle reports whether nothing waits and more may be sent.
func (o *outbox) isIdle() bool { return !o.busy.Load() }

// shut lets nothing more be appended, and f be why, if it is a fault. The lock is held.
func (o *outbox) shut(f fault) {
	o.closed, o.fault = true, f
	o.busy.Store(true)
}

// spare makes what is in the queue not count as what the peer is slow to read.
func (o *outbox) spare() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue != nil {
		o.queue.spared = o.queue.bytes
	}
}

// putRest puts what a full socket left of publications, of which it has taken n
// bytes, before anything that was sent meanwhile.
func (o *outbox) putRest(all []*publication, n int, spared bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open()
	o.told, o.stalled = true, true
	q := o.queue
	var rest []outItem
	for _, p := range all {
		size := len(p.message.Bytes(o.deflate))
		if n >= size {
			n -= size
			continue
		}
		if len(rest) == 0 {
			q.off, q.sealed = n, 1
		}
		rest = append(rest, outItem{shared: p.message})
		q.bytes += size - n
		if spared {
			q.spared += size - n
		}
		n = 0
	}
	q.items = slices.Insert(q.items, 0, rest...)
}

// room returns a buffer at the end of the queue into which size bytes may be
// appended in place.
func (q *outQueue) room(size int) *frame.Buffer {
	if last := len(q.items) - 1; last >= max(q.sealed, q.next) {
		if b := q.items[last].own; b != nil && len(b.B)+size <= joinBytes {
			if len(b.B)+size > cap(b.B) {
				b.Grow(max(size, 3*cap(b.B))) // few steps from the first size to the last
			}
			return b
		}
	}
	b := frame.NewBuffer(max(size, firstBytes))
	q.items = append(q.items, outItem{own: b})
	return b
}

// take gathers what is next to be written into bufs, and fills up from the backlog
// before unless that is nil. Until wrote is called these bytes stay where they are.
// An error is why the loop is to fail the connection.
func (o *outbox) take(bufs [][]byte, b *backlog) ([][]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b != nil {
		o.refill(b)
	}
	q := o.queue
	o.told, o.stalled = false, false
	if q == nil || o.fault != noFault {
		return bufs, o.fault.err()
	}
	end := min(len(q.items), q.next+gatheredItems)
	for i := q.next; i < end; i++ {
		b := q.items[i].bytes(o.deflate)
		if i == q.next {
			b = b[q.off:]
		}
		bufs = append(bufs, b)
	}
	q.sealed = end
	return bufs, nil
}

// wrote accounts for n bytes that the socket took. It returns how many bytes wait
// still, and how many messages were appended since it was asked last.
func (o *outbox) wrote(n int, stalled bool) (waiting int, messages uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told, o.stalled = o.told || stalled, stalled
	q := o.queue
	messages, q.messages = q.messages, 0
	q.bytes -= n
	q.spared = max(0, q.spared-n)
	n += q.off
	for q.next < len(q.items) {
		size := len(q.items[q.next].bytes(o.deflate))
		if n < size {
			break
		}
		n -= size
		q.drop(q.next)
		q.next++
	}
	q.off = n
	if q.next < len(q.items) {
		q.sealed = q.next
		if q.off > 0 {
			q.sealed++
		}
		q.slide()
		return q.bytes, messages
	}
	o.recycle()
	return 0, messages
}

// owed is what of the queue counts for the marks: not publications that might have been
// dropped, and what is ahead of them.
func (q *outQueue) owed() int { return q.bytes - q.spared }

// slide moves the items to the front when most of the slice is behind them.
func (q *outQueue) slide() {
	if q.next < keptItems || q.next < len(q.items)/2 {
		return
	}
	n := copy(q.items, q.items[q.next:])
	clear(q.items[n:])
	q.items = q.items[:n]
	q.sealed -= q.next
	q.next = 0
}

// truncate drops the items from n on.
func (o *outbox) truncate(n int) {
	q := o.queue
	for i := n; i < len(q.items); i++ {
		q.bytes -= len(q.items[i].bytes(o.deflate))
		q.drop(i)
	}
	q.items = q.items[:n]
	q.sealed = min(q.sealed, n)
	q.spared = min(q.spared, q.bytes)
	q.messages = 0
}

func (q *outQueue) drop(i int) {
	q.items[i].own.Release()
	q.items[i] = outItem{}
}

// recycle gives the empty queue back.
func (o *outbox) recycle() {
	q := o.queue
	o.queue = nil
	o.busy.Store(o.closed)
	if cap(q.items) > keptItems {
		return
	}
	*q = outQueue{items: q.items[:0]}
	outQueues.Put(q)
}

// discard drops everything for good: the socket is gone.
func (o *outbox) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut(o.fault)
	if o.queue != nil {
		o.truncate(o.queue.next)
		o.recycle()
	}
}

// status is the number of bytes that wait, and why the loop is to fail the
// connection.
func (o *outbox) status() (waiting int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue != nil {
		waiting = o.queue.bytes
	}
	return waiting, o.fault.err()
}

// owed is what of the outbox counts for the marks, and why the loop is to fail the
// connection.
func (o *outbox) owed() (waiting int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue != nil {
		waiting = o.queue.owed()
	}
	return waiting, o.fault.err()
}

// failWith closes the outbox so that the loop fails the connection for f. It
// reports false if the connection is ending already.
func (o *outbox) failWith(f fault) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.shut(f)
	return true
}
