package engine

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	eventsPerTurn = 64 // then the connection goes to the end of the run queue
	eventsPerLook = 8  // at the clock, which a turn looks at after its first event too
)

// turn takes some of the events of a connection that wait, and returns how many times
// it called the handler. It began at start, as Engine.elapsed, and ends when the handler turns
// out to be slow, or at end unless that is 0. If more waits the connection goes to the end of
// the run queue.
func (e *Engine) turn(c *Conn, start, end time.Duration) (ran int) {
	limit := eventsPerTurn
	for events := 0; events < limit; {
		b := c.inbox.take()
		if b == nil {
			return ran
		}
		var done int64
		for b.next < len(b.events) && events < limit {
			ev := &b.events[b.next]
			b.next++
			events++
			load, called := c.handle(b, ev)
			done += load
			if called {
				ran++
			}
			if c.inbox.waiting.Load() {
				c.consumed(done)
				done = 0
			}
			if events%eventsPerLook == 1 && e.isOver(start, end) {
				limit = events
			}
		}
		c.consumed(done)
		if b.next == len(b.events) {
			c.inbox.front = nil
			b.recycle()
		}
	}
	e.run.push(c)
	e.callRunner()
	return ran
}

// isOver reports whether a turn has taken as long as one may.
func (e *Engine) isOver(start, end time.Duration) bool {
	now := e.elapsed()
	return now-start > slowTurn || end != 0 && now >= end
}

// handle calls the handler for one event, if that is one for it. It returns what this
// takes off the load of the inbox, and whether it called.
func (c *Conn) handle(b *batch, ev *event) (load int64, called bool) {
	switch ev.kind {
	case eventOpen:
		c.runOpen()
	case eventMessage:
		payload := b.payload(ev)
		load = 1<<loadShift + int64(len(payload))
		if c.hushed.Load() {
			ev.buffer.Release()
			return load, false
		}
		c.callMessage(ev.op, payload)
		ev.buffer.Release()
	case eventMissed:
		payload := b.payload(ev)
		c.callMissed(string(payload[missedBytes:]), int(binary.LittleEndian.Uint64(payload)))
		return 1<<loadShift + int64(len(payload)), true
	case eventPeerClose:
		c.ask(wantFinish)
		return 0, false
	case eventDrain:
		_ = c.Close(frame.CloseGoingAway, drainReason)
	case eventClose:
		c.callClose()
	}
	return load, true
}

// consumed takes load off the inbox, and lets the loop read on if it waits for that
// and half of the bound is free.
func (c *Conn) consumed(load int64) {
	c.inbox.load.Add(-load)
	if c.inbox.tellsRoom(&c.loop.engine.options) {
		c.ask(wantRead)
	}
}

// deliver hands a message, or a ping or pong, to the handler: at once in mode OnLoop, otherwise with
// handOver at the end of what was read, of which rest bytes are left. The payload lies in
// buffer, which is handed over, unless that is nil.
func (c *Conn) deliver(op frame.Opcode, payload []byte, buffer *frame.Buffer, rest int) {
	l := c.loop
	switch {
	case c.hushed.Load():
		buffer.Release()
	case l.engine.options.Mode == OnLoop:
		c.callMessage(op, payload)
		buffer.Release()
	default:
		if l.batch == nil {
			l.batch = batches.Get().(*batch)
		}
		l.batch.add(op, payload, buffer, rest)
	}
}

// deliverControl is deliver for a ping or pong, if the handler wants those.
func (c *Conn) deliverControl(op frame.Opcode, payload []byte, buffer *frame.Buffer, rest int) {
	if !c.controls {
		buffer.Release()
		return
	}
	c.deliver(op, payload, buffer, rest)
}

// handOver puts the messages of one read in the inbox, if any. If that is full, reading
// stops until it is half empty.
func (c *Conn) handOver() {
	b := c.loop.batch
	if b == nil {
		return
	}
	c.loop.batch = nil
	e := c.loop.engine
	if c.inbox.give(b) {
		c.loop.runnable(c)
	}
	if c.paused&pauseInbox == 0 && c.inbox.isFull(&e.options) {
		c.pause(pauseInbox)
		// The handler may have caught up before it could see that the loop waits.
		if c.inbox.awaitRoom(&e.options) {
			c.ask(wantRead)
		}
	}
}

// runOpen calls OnOpen and passes its verdict on, also if it ends the goroutine.
func (c *Conn) runOpen() {
	defer c.answerOpen()
	c.callOpen()
}

func (c *Conn) callOpen() {
	hs := c.hs
	hs.err = errOpenPanic
	returned := false
	defer c.recovered(&returned)
	hs.err = c.callee().OnOpen(c, hs.request)
	returned = true
}

func (c *Conn) callMessage(op frame.Opcode, payload []byte) {
	returned := false
	defer c.recovered(&returned)
	if op.IsControl() {
		c.application().(handler.ControlHandler).OnControl(c, op, payload)
	} else {
		c.callee().OnMessage(c, op, payload)
	}
	returned = true
}

func (c *Conn) callClose() {
	returned := false
	defer c.recovered(&returned)
	c.callee().OnClose(c, c.ending.status)
	returned = true
}

var errOpenPanic = fmt.Errorf("%w in OnOpen", handler.ErrPanic)

// recovered ends the connection whose callback panicked, or ended its goroutine with
// runtime.Goexit, and only that. The goroutine then ends all the same: see Engine.burst and
// Engine.runLoop.
func (c *Conn) recovered(returned *bool) {
	if *returned {
		return
	}
	c.loop.engine.logPanic(recover(), slog.Uint64("conn", c.id), slog.String("path", c.Path()))
	c.hushed.Store(true)
	if c.outbox.failWith(faultPanic) {
		c.ask(wantFlush)
	}
}

// logPanic logs what a callback has panicked with, nil if it has ended its goroutine.
func (e *Engine) logPanic(p any, where ...slog.Attr) {
	if p == nil {
		p = "runtime.Goexit"
	}
	e.options.Logger.LogAttrs(noContext, slog.LevelError, "handler panicked",
		append(where, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
}

// notify hands the handler an event that is no message.
func (c *Conn) notify(kind eventKind) {
	b := batches.Get().(*batch)
	b.events = append(b.events, event{kind: kind})
	if c.inbox.give(b) {
		c.loop.runnable(c)
	}
}
