package bench

import (
	"net/netip"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// mostDialling bounds the opening handshakes of one worker that are under way.
const mostDialling = 256

// A ramp opens connections.
type ramp struct {
	s       *session
	stopped func() bool
	slots   chan struct{} // one for each handshake under way
}

func newRamp(s *session, stopped func() bool) *ramp {
	return &ramp{s: s, stopped: stopped, slots: make(chan struct{}, mostDialling)}
}

// take waits for a slot, and reports false if it is not wanted any more.
func (r *ramp) take() bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
	}
	for !r.stopped() {
		select {
		case r.slots <- struct{}{}:
			return true
		case <-time.After(sweepInterval):
		}
	}
	return false
}

// dial opens connection i, when there is a slot for it and unless it is not wanted any more;
// its handshake time counts from due.
func (r *ramp) dial(i int, h handler.Handler, due int64) error {
	s := r.s
	from, err := s.job.Config.source(s.job.URL, s.job.First+i)
	if err != nil {
		return err
	}
	if !r.take() {
		return nil
	}
	s.engine.DialAsync(s.job.URL, h, s.dialOptions(from), func(_ *engine.Conn, err error) {
		took := now() - due
		s.mu.Lock()
		if err != nil {
			s.failed(err)
		} else {
			s.open++
			s.tally.Handshakes.Record(took)
			if s.job.Config.opening() {
				s.tick.Received++
				s.tick.Latency.Record(took)
			}
		}
		s.mu.Unlock()
		<-r.slots
	})
	return nil
}

// wait waits until no handshake is under way, which takes no longer than their
// timeout, or none is wanted any more.
func (r *ramp) wait() {
	for range cap(r.slots) {
		if !r.take() {
			return
		}
	}
	for range cap(r.slots) {
		<-r.slots
	}
}

// dialOptions are those of a connection from an address; the zero value leaves the choice
// to the system.
func (s *session) dialOptions(from netip.Addr) engine.DialOptions {
	return engine.DialOptions{LocalAddr: from, HandshakeTimeout: s.job.Config.Timeout, TLSConfig: s.trust}
}

// awaitTurn waits until connection i is due to be opened, and returns when that was, or
// false if it is not wanted any more.
func (s *session) awaitTurn(i int, began int64, stopped func() bool) (due int64, ok bool) {
	due = now()
	if c := s.job.Config; c.opening() && c.Rate > 0 {
		turn := float64(i*c.Workers + s.job.Worker)
		due = began + int64(turn*float64(time.Second)/c.Rate)
		sleepUntil(due, stopped)
	}
	return due, !stopped()
}

// sleepUntil waits for a time, but not once stopped says so.
func sleepUntil(at int64, stopped func() bool) {
	for left := at - now(); left > 0 && !stopped(); left = at - now() {
		sleep(time.Duration(min(left, int64(sweepInterval))))
	}
}

// openAll opens the connections of a round, from when they are to be, unless stopped says that
// they are not wanted any more. The scenario makes the handlers of all of them.
func (s *session) openAll(sc scenario, began int64, stopped func() bool) error {
	r := newRamp(s, stopped)
	sleepUntil(began, stopped)
	used := cpuTime()
	for i := range sc.size() {
		h := sc.handler(i)
		due, ok := s.awaitTurn(i, began, stopped)
		if !ok {
			continue
		}
		if err := r.dial(i, h, due); err != nil {
			return err
		}
	}
	r.wait()
	took := max(1, now()-began)
	cost := ClientCost{}
	s.mu.Lock()
	s.tally.Opening = time.Duration(took)
	s.tally.Opened = int(s.tally.Handshakes.Count())
	if s.job.Config.opening() {
		s.tally.Measured = s.tally.Opening
		cost.CPU = float64(cpuTime()-used) / float64(took)
	}
	opened := s.tally.Opened
	s.mu.Unlock()
	if after := heap(); opened > 0 && after > s.heapBefore {
		cost.HeapPerConnection = float64(after-s.heapBefore) / float64(opened)
	}
	s.tally.Clients = []ClientCost{cost}
	return nil
}
