package engine

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/weirws/weir/frame"
)

// An inbox is the events of one connection that wait for its handler. The loop
// appends; one runner at a time takes. In mode OnLoop it is not used.
type inbox struct {
	load    atomic.Int64 // messages<<loadShift + bytes, waiting or being handled
	waiting atomic.Bool  // the loop waits until there is room

	mu     sync.Mutex
	queued bool   // the connection is in the run queue or with a runner
	back   *batch // nil while empty

	front *batch // being worked off; the runner's
}

const loadShift = 40

// A batch is events in the order of arrival, pooled.
type batch struct {
	events []event
	next   int           // events before it have been handled
	small  *frame.Buffer // payloads that were copied out of the read buffer, end to end
	load   int64         // of the messages when they were added
}

// An event is one call of the handler.
type event struct {
	kind   eventKind
	op     frame.Opcode
	start  int           // of the payload in batch.small, if buffer is nil
	length int           // of the payload there
	large  []byte        // the payload, if it lies in buffer
	buffer *frame.Buffer // owned
}

type eventKind uint8

const (
	eventOpen      eventKind = iota
	eventMessage             // or a ping or pong
	eventMissed              // the payload is the number of messages and the topic
	eventPeerClose           // every message has been handled: answer the peer's close frame, or violation
	eventDrain               // the messages that had arrived when the drain came are handled: close
	eventClose
)

const keptEvents = 64 // a longer batch is not kept for reuse

var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) recycle() {
	b.small.Release()
	if cap(b.events) > keptEvents {
		return
	}
	clear(b.events)
	*b = batch{events: b.events[:0]}
	batches.Put(b)
}

func (b *batch) payload(ev *event) []byte {
	switch {
	case ev.buffer != nil:
		return ev.large
	case ev.length == 0:
		return nil
	}
	end := ev.start + ev.length
	return b.small.B[ev.start:end:end]
}

// add appends a message: its payload is copied out of the read buffer, unless it
// comes in a buffer of its own, which the batch takes over. rest bytes may follow.
func (b *batch) add(op frame.Opcode, payload []byte, buffer *frame.Buffer, rest int) {
	ev := event{kind: eventMessage, op: op, buffer: buffer}
	switch {
	case buffer != nil:
		ev.large = payload
	case len(payload) > 0:
		if b.small == nil {
			b.small = frame.NewBuffer(len(payload) + rest)
		}
		ev.start, ev.length = len(b.small.B), len(payload)
		b.small.Append(payload)
	}
	b.events = append(b.events, ev)
	b.load += 1<<loadShift + int64(len(payload))
}

// addMissed appends the event that n messages of a topic were dropped.
func (b *batch) addMissed(topic string, n int) {
	length := missedBytes + len(topic)
	if b.small == nil {
		b.small = frame.NewBuffer(length)
	}
	b.events = append(b.events, event{kind: eventMissed, start: len(b.small.B), length: length})
	b.small.Append(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	b.small.Append([]byte(topic))
	b.load += 1<<loadShift + int64(length)
}

const missedBytes = 8 // before the topic

// join appends the events of another batch, which is recycled.
func (b *batch) join(next *batch) {
	start := 0
	if next.small != nil {
		if b.small == nil {
			b.small = frame.NewBuffer(len(next.small.B))
		}
		start = len(b.small.B)
		b.small.Append(next.small.B)
	}
	for _, ev := range next.events {
		ev.start += start
		b.events = append(b.events, ev)
	}
	next.recycle()
}

// give appends a batch of events. It reports whether the connection has to be put
// in the run queue: it was not there.
func (in *inbox) give(b *batch) bool {
	in.load.Add(b.load)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.back == nil {
		in.back = b
	} else {
		in.back.join(b)
	}
	claimed := !in.queued
	in.queued = true
	return claimed
}

// take returns the batch to work on. Without one it gives up the claim and
// returns nil.
func (in *inbox) take() *batch {
	if in.front != nil {
		return in.front
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.back == nil {
		in.queued = false
		return nil
	}
	in.front, in.back = in.back, nil
	return in.front
}

// isEmpty reports whether the handler is done with every message.
func (in *inbox) isEmpty() bool { return in.load.Load() == 0 }

// isFull reports whether more waits than the bounds allow.
func (in *inbox) isFull(o *Options) bool { return over(in.load.Load(), o.InboxBytes, o.InboxMessages) }

// hasRoom reports whether half of the bounds is free again.
func (in *inbox) hasRoom(o *Options) bool {
	return !over(in.load.Load(), o.InboxBytes/2, o.InboxMessages/2)
}

// awaitRoom has the runner tell the loop, once, when there is room. It reports true if there is
// already, and then nobody tells.
func (in *inbox) awaitRoom(o *Options) bool {
	in.waiting.Store(true)
	return in.tellsRoom(o)
}

// tellsRoom reports whether the loop waits and there is room. It does so once.
func (in *inbox) tellsRoom(o *Options) bool {
	return in.waiting.Load() && in.hasRoom(o) && in.waiting.Swap(false)
}

func over(load int64, bytes, messages int) bool {
	return load&(1<<loadShift-1) > int64(bytes) || load>>loadShift > int64(messages)
}
