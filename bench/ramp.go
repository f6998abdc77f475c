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
	s     *session
	slots chan struct{} // one for each handshake under way
}

func newRamp(s *session) *ramp {
	return &ramp{s: s, slots: make(chan struct{}, mostDialling)}
}

// dial opens connection i, when there is a slot for it; its handshake time counts from
// due.
func (r *ramp) dial(i int, h handler.Handler, due int64) error {
	s := r.s
	from, err := s.job.Config.source(s.job.URL, s.job.First+i)
	if err != nil {
		return err
	}
	r.slots <- struct{}{}
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
// timeout.
func (r *ramp) wait() {
	for range cap(r.slots) {
		r.slots <- struct{}{}
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
		for left := due - now(); left > 0 && !stopped(); left = due - now() {
			sleep(time.Duration(min(left, int64(sweepInterval))))
		}
	}
	return due, !stopped()
}

// openAll opens the connections of a round, unless stopped says that they are not
// wanted any more.
func (s *session) openAll(sc scenario, stopped func() bool) error {
	r := newRamp(s)
	began, used := now(), cpuTime()
	for i := range sc.size() {
		due, ok := s.awaitTurn(i, began, stopped)
		if !ok {
			break
		}
		if err := r.dial(i, sc.handler(i), due); err != nil {
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
