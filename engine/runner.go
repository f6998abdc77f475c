package engine

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const eventsPerTurn = 64 // then the connection goes to the end of the run queue

// A runQueue is the connections that have events for their handlers, in the order
// in which they got them. A connection is in it at most once, linked through
// Conn.next, so that putting it there needs no memory and cannot block.
type runQueue struct {
	mu          sync.Mutex
	first, last *Conn
	length      atomic.Int64

	// wake holds a token while somebody is to look at the queue. Whoever takes the
	// token and a connection, and sees more, puts the token back before it starts: one
	// runner wakes the next, only as many as there is work for.
	wake chan struct{}

	idle    atomic.Int32 // workers that wait less tokens placed; below zero: a worker is wanting
	workers atomic.Int32 // workers started
	group   sync.WaitGroup
	closed  atomic.Bool // the token now means: end when the queue is empty
}

func newRunQueue() *runQueue { return &runQueue{wake: make(chan struct{}, 1)} }

func (q *runQueue) push(c *Conn) {
	q.mu.Lock()
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
	q.mu.Unlock()
	q.length.Add(1)
}

// pop returns the first connection, or nil, and whether there are more.
func (q *runQueue) pop() (c *Conn, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c = q.first
	if c == nil {
		return nil, false
	}
	q.first, c.next = c.next, nil
	if q.first == nil {
		q.last = nil
	}
	q.length.Add(-1)
	return c, q.first != nil
}

// call makes sure that somebody looks at the queue.
func (q *runQueue) call() bool {
	select {
	case q.wake <- struct{}{}:
		return true
	default:
		return false
	}
}

// passOn leaves the token for the next runner if the queue is closed: all are to
// see that.
func (q *runQueue) passOn() {
	if q.closed.Load() {
		q.call()
	}
}

// notify hands the handler an event that is no message.
func (c *Conn) notify(kind eventKind) {
	b := batches.Get().(*batch)
	b.events = append(b.events, event{kind: kind})
	if c.inbox.give(b) {
		c.loop.engine.runnable(c)
	}
}

// runnable puts a claimed connection in the run queue and sees to it that it is run.
func (e *Engine) runnable(c *Conn) {
	e.run.push(c)
	if e.run.call() {
		e.staff()
	}
}

// staff starts a worker if none is free to take the token that was just placed. At
// the bound the token waits for the first worker that is done.
func (e *Engine) staff() {
	q := e.run
	if e.options.Mode != Workers || q.idle.Add(-1) >= 0 {
		return
	}
	if n := q.workers.Add(1); int(n) > e.options.Workers {
		q.workers.Add(-1)
		return
	}
	q.group.Add(1)
	go e.work()
}

// work is a worker's goroutine. It ends once the run queue is closed; Engine.finish
// waits for it.
func (e *Engine) work() {
	q := e.run
	defer q.group.Done()
	for {
		q.idle.Add(1)
		<-q.wake
		for c, more := q.pop(); c != nil; c, more = q.pop() {
			if more && q.call() {
				e.staff()
			}
			e.turn(c)
		}
		if q.closed.Load() {
			q.passOn()
			return
		}
	}
}

// close ends the workers, and Service, when they have emptied the queue. It waits for
// the workers, and reports false if a handler is still running after patience.
func (q *runQueue) close(patience time.Duration) bool {
	q.closed.Store(true)
	q.call()
	ended := make(chan struct{})
	go func() { // ends with the last worker
		q.group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-time.After(patience):
		return false
	}
}

// Service runs the handlers of waiting events on the calling goroutine, in mode
// Service, and returns how many it ran. If none waits it waits for the first, up
// to timeout; then it returns as soon as none waits any more, or timeout has passed and
// the handler that was running has returned. A timeout of zero or less does not
// wait. Any number of goroutines may call it: different connections then run
// concurrently. After the engine has closed, what is left is run, and it does not wait.
func (e *Engine) Service(timeout time.Duration) int {
	if e.options.Mode != Service {
		return 0
	}
	start := time.Now()
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	n := 0
	for {
		c, more := e.run.pop()
		if c == nil {
			if n > 0 || timeout <= 0 || e.run.closed.Load() {
				e.run.passOn()
				return n
			}
			select {
			case <-e.run.wake:
				continue
			case <-expired:
				return n
			}
		}
		if more {
			e.run.call()
		}
		n += e.turn(c)
		if time.Since(start) >= timeout && timeout > 0 {
			return n
		}
	}
}

// turn runs the handler of a connection for some of the events that wait, and
// returns how many. If more wait the connection goes to the end of the run queue.
func (e *Engine) turn(c *Conn) (ran int) {
	for ran < eventsPerTurn {
		b := c.inbox.take()
		if b == nil {
			return ran
		}
		var done int64
		for b.next < len(b.events) && ran < eventsPerTurn {
			ev := &b.events[b.next]
			b.next++
			done += c.handle(b, ev)
			ran++
			if c.inbox.waiting.Load() {
				c.consumed(done)
				done = 0
			}
		}
		c.consumed(done)
		if b.next == len(b.events) {
			c.inbox.front = nil
			b.recycle()
		}
	}
	e.runnable(c)
	return ran
}

// handle calls the handler for one event. It returns what that takes off the load of
// the inbox.
func (c *Conn) handle(b *batch, ev *event) (load int64) {
	switch ev.kind {
	case eventOpen:
		c.callOpen()
		c.answerOpen()
	case eventMessage:
		payload := b.payload(ev)
		if !c.hushed.Load() {
			c.callMessage(ev.op, payload)
		}
		load = 1<<loadShift + int64(len(payload))
		ev.buffer.Release()
	case eventPeerClose:
		c.ask(wantFinish)
	case eventClose:
		c.callClose()
	}
	return load
}

// consumed takes load off the inbox, and lets the loop read on if it waits for that
// and half of the bound is free.
func (c *Conn) consumed(load int64) {
	c.inbox.load.Add(-load)
	if c.inbox.waiting.Load() && c.inbox.hasRoom(&c.loop.engine.options) && c.inbox.waiting.Swap(false) {
		c.ask(wantRead)
	}
}

// deliver hands a message to the handler: at once in mode OnLoop, otherwise with
// handOver at the end of what was read, of which rest bytes are left.
func (c *Conn) deliver(m frame.Message, rest int) {
	l := c.loop
	switch {
	case c.hushed.Load():
		m.Buffer.Release()
	case l.engine.options.Mode == OnLoop:
		c.callMessage(m.Op, m.Payload)
		m.Buffer.Release()
	default:
		if l.batch == nil {
			l.batch = batches.Get().(*batch)
		}
		l.batch.add(m, rest)
	}
}

// handOver puts the messages of one read in the inbox. If that is full, reading
// stops until it is half empty.
func (c *Conn) handOver() {
	b := c.loop.batch
	if b == nil {
		return
	}
	c.loop.batch = nil
	e := c.loop.engine
	if c.inbox.give(b) {
		e.runnable(c)
	}
	if c.paused&pauseInbox == 0 && c.inbox.isFull(&e.options) {
		c.pause(pauseInbox)
		// The handler may have caught up before it could see that the loop waits.
		c.inbox.waiting.Store(true)
		if c.inbox.hasRoom(&e.options) && c.inbox.waiting.Swap(false) {
			c.ask(wantRead)
		}
	}
}

func (c *Conn) callOpen() {
	hs := c.hs
	hs.err = errOpenPanic
	defer c.recovered()
	hs.err = c.path.route.Handler.OnOpen(c, hs.request)
}

func (c *Conn) callMessage(op frame.Opcode, payload []byte) {
	defer c.recovered()
	c.path.route.Handler.OnMessage(c, op, payload)
}

func (c *Conn) callClose() {
	defer c.recovered()
	c.path.route.Handler.OnClose(c, c.ending.status)
}

var errOpenPanic = fmt.Errorf("%w in OnOpen", handler.ErrPanic)

// recovered ends the connection whose callback panicked, and only that.
func (c *Conn) recovered() {
	p := recover()
	if p == nil {
		return
	}
	c.hushed.Store(true)
	c.loop.engine.options.Logger.LogAttrs(noContext, slog.LevelError, "handler panicked",
		slog.Uint64("conn", c.id), slog.String("path", c.Path()), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	if c.outbox.failWith(handler.ErrPanic) {
		c.ask(wantFlush)
	}
}
