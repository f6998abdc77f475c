package engine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A mailbox holds what other goroutines want of a loop. A connection is in it at
// most once (Conn.pending says what for), or twice when OnOpen has returned, so its
// length is bounded by the number of connections.
type mailbox struct {
	bell   bell
	bursts *atomic.Int32 // while it is not 0, somebody will call remind
	load   atomic.Int64  // bytes of publications that the loop has still to set out with

	mu     sync.Mutex
	rung   bool // the bell has been rung and not been answered
	posted bool // there is something that the loop has not seen
	conns  []*Conn
	tasks  []func()
	casts  []cast
	ended  bool
}

// What a connection in the mailbox wants of its loop.
const (
	wantFlush   uint32 = 1 << iota // the outbox has something, or an error
	wantRead                       // the inbox has room again, or there was more to read than one turn allows
	wantOpen                       // OnOpen has returned
	wantClose                      // our close frame is in the outbox
	wantAbort                      // the application wants no more of it
	wantRecords                    // the TLS handshake has read what there was
	wantFinish                     // the close frames of both sides are exchanged, or will be with the outbox
)

// ask asks the connection's loop for something, from any goroutine. If the loop has
// ended nothing happens.
func (c *Conn) ask(what uint32) {
	if c.pending.Or(what) == 0 {
		c.post()
	}
}

// post puts the connection in the mailbox. It reports false if the loop has ended.
func (c *Conn) post() bool {
	return c.loop.mail.post(func(m *mailbox) { m.conns = append(m.conns, c) })
}

// answerOpen tells the loop that OnOpen has returned. A loop that has ended may have
// left something pending that it was asked for too late, so that does not say whether
// it will look: the mailbox does. A second entry there does no harm.
func (c *Conn) answerOpen() {
	c.pending.Or(wantOpen)
	if !c.post() && c.pending.Swap(0)&wantOpen != 0 {
		c.openedTooLate()
	}
}

// do runs a task on the loop. It reports false, and the task never runs, if the loop
// has ended.
func (l *loop) do(task func()) bool {
	return l.mail.post(func(m *mailbox) { m.tasks = append(m.tasks, task) })
}

// mostLoad is the load at which no more is published. The goroutines that find it lower
// at the same time may each add a publication.
const mostLoad = 64 << 20

// isBusy reports whether a loop has to catch up with what is published.
func (e *Engine) isBusy() bool {
	return slices.ContainsFunc(e.loops, func(l *loop) bool { return l.mail.load.Load() >= mostLoad })
}

// publish gives a publication to the loop, from any goroutine.
func (l *loop) publish(p *publication) {
	l.mail.post(func(m *mailbox) {
		m.casts = append(m.casts, cast{publication: p})
		m.load.Add(p.load())
	})
}

// post puts something in the mailbox and wakes the loop, unless it was woken already
// and has not looked. After the loop has ended it reports false and does nothing:
// the bell's descriptor may belong to somebody else by then.
func (m *mailbox) post(put func(*mailbox)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return false
	}
	put(m)
	m.posted = true
	if m.bursts.Load() == 0 {
		m.wake()
	}
	return true
}

// wake rings the bell unless that was done already. The lock is held.
func (m *mailbox) wake() {
	if !m.rung {
		m.rung = true
		m.bell.ring()
	}
}

// ring makes the loop come back here after the events at hand. Only the loop calls it.
func (m *mailbox) ring() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake()
}

// remind rings the bell if that was left to the end of a burst.
func (m *mailbox) remind() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.posted && !m.ended {
		m.wake()
	}
}

// takeMail empties the mailbox: tasks are run, publications wait in l.casts, and
// connections in l.attended, once those of the last time have been attended to.
func (l *loop) takeMail() {
	m := &l.mail
	m.mu.Lock()
	m.rung, m.posted = false, false
	if len(l.attended) == 0 {
		l.attended, m.conns = m.conns, l.attended
	}
	l.tasks, m.tasks = m.tasks, nil
	l.casts = append(l.casts, m.casts...)
	arrived := len(m.casts)
	clear(m.casts)
	m.casts = emptied(m.casts)
	m.mu.Unlock()
	if l.window.clock != nil && arrived > 0 {
		l.openWindow(arrived)
	}
	l.runTasks()
}

func (l *loop) runTasks() {
	for len(l.tasks) > 0 {
		task := l.tasks[0]
		l.tasks = l.tasks[1:]
		task()
	}
	l.tasks = nil
}

// attend does what the connections in l.attended want, a bounded number of them.
func (l *loop) attend() {
	end := min(l.seen+attendedPerRing, len(l.attended))
	for l.seen < end {
		c := l.attended[l.seen]
		l.attended[l.seen] = nil
		l.seen++
		c.attend()
	}
	if l.seen == len(l.attended) {
		l.attended, l.seen = l.attended[:0], 0
	}
}

// ringAgain wakes the loop for what is left to do after I/O had its turn.
func (l *loop) ringAgain() {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	if l.seen < len(l.attended) || len(l.mail.conns) > 0 || l.publishing() {
		l.mail.wake()
	}
}

// closeMail runs the tasks that are left, drops all connections and lets no more mail
// come, in this order: whoever finds the mailbox closed may rely on it that the
// connection is dropped.
func (l *loop) closeMail() {
	m := &l.mail
	for ended := false; !ended; {
		for _, c := range l.conns {
			if c != nil {
				c.drop(errLoopEnded)
			}
		}
		m.mu.Lock()
		l.tasks = append(l.tasks, m.tasks...)
		m.tasks = nil
		ended = len(l.tasks) == 0 // a task may have brought another connection
		m.ended = ended
		m.mu.Unlock()
		l.runTasks()
	}
}
