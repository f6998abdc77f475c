package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

const (
	tickInterval  = 500 * time.Millisecond
	sweepInterval = 20 * time.Millisecond
	shortestTick  = 50 * time.Millisecond // of which a rate means something
	afterStop     = time.Second           // of a drain that is told to stop
)

// errOrphaned: the commands ended before the work did.
var errOrphaned = errors.New("bench: worker abandoned")

// Worker does one worker's part of one round: it reads commands from in and writes
// events to out, both JSON. Run is the other side. It returns when the round is over, or
// in has ended.
func Worker(in io.Reader, out io.Writer) error {
	w := &worker{commands: make(chan command), events: json.NewEncoder(out), ended: make(chan struct{})}
	defer close(w.ended)
	go w.read(in) // ends with in, or at the first command after the end
	err := w.work()
	if err != nil && !errors.Is(err, errOrphaned) {
		text := err.Error()
		_ = w.events.Encode(event{Failed: &text}) // nobody else to tell
	}
	return err
}

type worker struct {
	commands chan command // closed when the input has ended
	ended    chan struct{}
	stopped  atomic.Int64 // when it was told to stop; 0: it was not
	events   *json.Encoder
	session  *session
	scenario scenario

	origin int64 // where slot 0 of the ticks begins
	ticked int64 // the last time
	timed  bool  // ticks are part of the timeline
}

// read passes the commands on.
func (w *worker) read(in io.Reader) {
	defer close(w.commands)
	for decoder := json.NewDecoder(in); ; {
		var c command
		if err := decoder.Decode(&c); err != nil {
			return // the end, or nothing that can be understood
		}
		if c.Stop != 0 {
			w.stopped.Store(c.Stop)
		}
		select {
		case w.commands <- c:
		case <-w.ended:
			return
		}
	}
}

// work is the round, from job to result.
func (w *worker) work() error {
	c, err := w.await(func(c command) bool { return c.Job != nil })
	if err != nil {
		return err
	}
	if w.session, err = newSession(*c.Job); err != nil {
		return err
	}
	defer w.session.close()
	w.scenario = scenarios[c.Job.Config.Scenario].make(w.session)
	if err := w.send(event{Started: true}); err != nil {
		return err
	}
	c, err = w.await(func(c command) bool { return c.Open != 0 })
	if err != nil {
		return err
	}
	if err := w.open(c.Open); err != nil {
		return err
	}
	c, err = w.await(func(c command) bool { return c.Span != nil })
	if err != nil {
		return err
	}
	if err := w.load(*c.Span); err != nil {
		return err
	}
	if err := w.send(event{Sent: &drain{Published: w.scenario.stop()}}); err != nil {
		return err
	}
	c, err = w.await(func(c command) bool { return c.Drain != nil })
	if err != nil {
		return err
	}
	if err := w.drain(*c.Drain); err != nil {
		return err
	}
	w.session.close()
	w.scenario.finish(c.Drain.Published)
	return w.send(event{Result: &result{Tally: w.session.tally, Spreads: w.scenario.spread()}})
}

// isStopped reports whether the round is not wanted any more.
func (w *worker) isStopped() bool { return w.stopped.Load() != 0 }

// open opens the connections, from a time on, and tells when they are. Ticks go on meanwhile.
func (w *worker) open(began int64) error {
	w.origin, w.ticked, w.timed = began, began, w.session.job.Config.opening()
	done := make(chan error, 1)
	go func() { done <- w.session.openAll(w.scenario, began, w.isStopped) }() // awaited below; its handshakes time out
	for {
		select {
		case err := <-done:
			if err == nil {
				err = w.sendTick(now())
			}
			if err != nil {
				return err
			}
			w.timed = false // nothing is opened from now on
			return w.send(event{Ready: &ready{Opened: w.session.tally.Opened}})
		case _, ok := <-w.commands:
			if !ok {
				w.stopped.Store(now())
				<-done
				return errOrphaned
			}
		case <-time.After(sweepInterval):
			if err := w.tick(); err != nil {
				return err
			}
		}
	}
}

// load is the load, from its beginning to the end of what is measured.
func (w *worker) load(sp span) error {
	s := w.session
	s.mu.Lock()
	s.span = sp
	s.mu.Unlock()
	if w.isStopped() {
		s.cut(w.stopped.Load())
	}
	if err := w.pass(func() bool { return now() >= min(sp.Start, s.end()) }); err != nil {
		return err
	}
	if err := w.sendTick(now()); err != nil {
		return err
	}
	w.origin, w.timed = sp.Begin, !s.job.Config.opening()
	w.scenario.start()
	if err := w.pass(func() bool { return now() >= min(sp.Begin, s.end()) }); err != nil {
		return err
	}
	began, used := now(), cpuTime()
	if err := w.pass(func() bool { return now() >= s.end() }); err != nil {
		return err
	}
	measured := now() - began
	if !s.job.Config.opening() { // which has been measured
		s.mu.Lock()
		s.tally.Measured = time.Duration(measured)
		s.tally.Clients[0].CPU = float64(cpuTime()-used) / float64(max(1, measured))
		s.mu.Unlock()
	}
	err := w.sendTick(now())
	w.timed = false
	return err
}

// drain waits until what is on its way has arrived, or has timed out; for a moment only if it is
// told to stop meanwhile.
func (w *worker) drain(d drain) error {
	limit := now() + int64(w.session.job.Config.Timeout)
	return w.pass(func() bool {
		if at := w.stopped.Load(); at != 0 && !d.Stopped {
			limit = min(limit, at+int64(afterStop))
		}
		return now() >= limit || w.scenario.settled(d.Published)
	})
}

// pass lets time pass, with sweeps and ticks, until what is wanted is the case.
func (w *worker) pass(over func() bool) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !over() {
		timer.Reset(w.pause())
		select {
		case c, ok := <-w.commands:
			if !ok {
				return errOrphaned
			}
			if c.Stop != 0 {
				w.session.cut(c.Stop)
			}
		case <-timer.C:
			w.scenario.sweep(now())
			if err := w.tick(); err != nil {
				return err
			}
		}
	}
	return nil
}

// pause is the time until the next sweep, or until the span or a slot has its next boundary.
func (w *worker) pause() time.Duration {
	s := w.session
	s.mu.Lock()
	defer s.mu.Unlock()
	at, pause := now(), sweepInterval
	nextSlot := w.origin + (w.slot(at)+1)*int64(tickInterval)
	for _, t := range []int64{s.span.Start, s.span.Begin, s.span.End, nextSlot} {
		if t > at {
			pause = min(pause, time.Duration(t-at))
		}
	}
	return pause
}

// slot is the number of the slot that a time lies in.
func (w *worker) slot(at int64) int64 {
	number := (at - w.origin) / int64(tickInterval)
	if at < w.origin+number*int64(tickInterval) {
		number-- // the division rounds towards 0
	}
	return number
}

// tick tells how things are, once in each slot.
func (w *worker) tick() error {
	if at := now(); w.slot(at) != w.slot(w.ticked) {
		return w.sendTick(at)
	}
	return nil
}

// sendTick tells how things are.
func (w *worker) sendTick(at int64) error {
	t := w.session.takeTick()
	t.Slot = w.slot(w.ticked)
	whole := w.ticked == w.origin // however short it was
	if took := time.Duration(at - w.ticked); w.timed && (whole || took >= shortestTick) {
		t.Took = took
	}
	w.ticked = at
	return w.send(event{Tick: &t})
}

// await waits for a command. Others, which can only be stop, take effect where they
// matter.
func (w *worker) await(wanted func(command) bool) (command, error) {
	for c := range w.commands {
		if wanted(c) {
			return c, nil
		}
	}
	return command{}, errOrphaned
}

func (w *worker) send(e event) error {
	if err := w.events.Encode(e); err != nil {
		return fmt.Errorf("bench: worker cannot report: %w", err)
	}
	return nil
}
