package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pushesPerCall = 64                    // a loop calls for a runner at the latest after so many
	slowTurn      = 20 * time.Microsecond // a handler that takes longer is slow
	slowTurns     = 64                    // so many turns after a slow one are taken for slow
	rescueAfter   = time.Millisecond      // what waits for a runner that turns out to be slow goes on then
)

// A runQueue is the connections that have events for their handlers, in the order
// in which they got them. A connection is in it at most once, linked through
// Conn.next, so that putting it there needs no memory and cannot block.
//
// Waking a goroutine, or a loop, costs as much as running a fast handler several
// times over. So while handlers are fast one runner works off the whole queue, and
// wakes the loops when it is empty: a burst. After a slow turn, for a while, every runner
// wakes the next one before it starts, and its sends wake the loops at once. A handler
// that is slow for the first time may hold up those behind it in the burst, and what
// it has sent; a timer rescues them after a millisecond.
type runQueue struct {
	mu          sync.Mutex
	first, last *Conn
	length      atomic.Int64

	wake chan struct{} // holds a token while somebody is to look at the queue

	slow    atomic.Int32 // turns from now on that are taken for slow
	bursts  atomic.Int32 // runners in a burst: they wake the loops
	guarded atomic.Bool  // the rescue timer is set
	rescue  *time.Timer

	idle    atomic.Int32   // workers that wait less tokens placed; below zero: a worker is wanting
	workers atomic.Int32   // workers started
	group   sync.WaitGroup // workers and TLS handshakes
	serving atomic.Int32   // callers of Service that are running a handler
	closed  atomic.Bool    // the token now means: end when the queue is empty
}

func newRunQueue(rescue func()) *runQueue {
	q := &runQueue{wake: make(chan struct{}, 1), rescue: time.AfterFunc(time.Hour, rescue)}
	q.rescue.Stop()
	return q
}

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

// runnable puts a connection that was claimed in the run queue. The runner is called
// at the end of the loop's batch of events: it can then do them all at once.
func (l *loop) runnable(c *Conn) {
	l.engine.run.push(c)
	l.pushed++
	switch l.pushed {
	case 1:
		l.mail.ring()
	case pushesPerCall:
		l.callRunner()
	}
}

func (l *loop) callRunner() {
	if l.pushed > 0 {
		l.pushed = 0
		l.engine.callRunner()
	}
}

// letRunnersRun gives up the processor if runners have no other to run on: waiting for
// events, the loop would keep it from them until the runtime takes it away, which takes
// up to 10 ms. One call in 61 of Gosched returns at once, hence the second.
func (l *loop) letRunnersRun() {
	for n := 0; n < 2 && l.crowded && l.engine.run.length.Load() > 0; n++ {
		runtime.Gosched()
	}
}

// callRunner sees to it that somebody runs what is in the queue.
func (e *Engine) callRunner() {
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
// waits for it. If a handler ends the goroutine another takes its place.
func (e *Engine) work() {
	q := e.run
	returned := false
	defer func() {
		if !returned {
			go e.work()
			return
		}
		q.group.Done()
	}()
	for {
		q.idle.Add(1)
		<-q.wake
		e.burst(0)
		if q.closed.Load() {
			q.passOn()
			returned = true
			return
		}
	}
}

// burst runs handlers until the queue is empty, or until the engine is older than end
// unless that is 0. It returns how many it ran.
func (e *Engine) burst(end time.Duration) (ran int) {
	q := e.run
	serving := e.options.Mode == Service
	holding := false
	var turning *Conn
	defer func() {
		if turning != nil { // its handler has ended the goroutine
			e.turnCut(turning)
		}
		if holding {
			e.endBurst()
		}
	}()
	now := e.elapsed()
	for c, more := q.pop(); c != nil; c, more = q.pop() {
		slow := q.slow.Load() > 0
		switch {
		case slow && holding:
			holding = false
			e.endBurst()
		case !slow && !holding && more:
			holding = true
			q.bursts.Add(1)
			e.guard()
		}
		if slow && more {
			e.callRunner()
		}
		if serving {
			q.serving.Add(1)
		}
		turning = c
		ran += e.turn(c, now, end)
		turning = nil
		if serving {
			q.serving.Add(-1)
		}
		start := now
		now = e.elapsed()
		if now-start > slowTurn {
			q.slow.Store(slowTurns)
		} else if n := q.slow.Load(); n > 0 {
			q.slow.CompareAndSwap(n, n-1)
		}
		if end != 0 && now >= end {
			e.callRunner()
			break
		}
	}
	return ran
}

// turnCut sees to it that others go on where a turn has not returned.
func (e *Engine) turnCut(c *Conn) {
	if e.options.Mode == Service {
		e.run.serving.Add(-1)
	}
	e.run.push(c)
	e.callRunner()
}

// endBurst wakes the loops for what the runner's handlers have sent.
func (e *Engine) endBurst() {
	e.run.bursts.Add(-1)
	e.wakeLoops()
}

func (e *Engine) wakeLoops() {
	for _, l := range e.loops {
		l.mail.remind()
	}
}

// guard sets the rescue timer.
func (e *Engine) guard() {
	if !e.run.guarded.Load() && !e.run.guarded.Swap(true) {
		e.run.rescue.Reset(rescueAfter)
	}
}

// rescueBursts is called a while after a burst has begun.
func (e *Engine) rescueBursts() {
	q := e.run
	e.wakeLoops()
	if q.length.Load() > 0 {
		e.callRunner()
	}
	q.guarded.Store(false)
	if q.bursts.Load() > 0 {
		e.guard()
	}
}

// close ends the workers, and Service, when they have emptied the queue. It waits for
// the workers, and reports false if a handler is still running after patience.
func (q *runQueue) close(patience time.Duration) bool {
	q.closed.Store(true)
	q.call()
	deadline := time.Now().Add(patience)
	ended := waitFor(&q.group, patience)
	for q.serving.Load() > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // once in an engine's life
	}
	return ended && q.serving.Load() == 0
}

// waitFor waits for a group as long as patience lasts, and reports whether it is done.
func waitFor(group *sync.WaitGroup, patience time.Duration) bool {
	done := make(chan struct{})
	go func() { // ends with the group
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(patience):
		return false
	}
}
