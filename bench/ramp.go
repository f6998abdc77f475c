package bench

import (
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
// due. then, which may be nil, is called on the loop with the time it took.
func (r *ramp) dial(i int, h handler.Handler, due int64, then func(took int64)) error {
	s := r.s
	from, err := s.job.Config.source(s.job.URL, s.job.First+i)
	if err != nil {
		return err
	}
	r.slots <- struct{}{}
	s.engine.DialAsync(s.job.URL, h, engine.DialOptions{LocalAddr: from, HandshakeTimeout: s.job.Config.Timeout}, func(_ *engine.Conn, err error) {
		took := now() - due
		s.mu.Lock()
		if err != nil {
			s.tick.Errors++
			addCauses(&s.tally.Failures, map[string]int{failureCause(err): 1})
		} else {
			s.open++
			s.tally.Handshakes.Record(took)
		}
		s.mu.Unlock()
		<-r.slots
		if err == nil && then != nil {
			then(took)
		}
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

// openAll opens the connections of a round, unless stopped says that they are not
// wanted any more.
func (s *session) openAll(sc scenario, stopped func() bool) error {
	r := newRamp(s)
	began := time.Now()
	for i := range sc.size() {
		if stopped() {
			break
		}
		if err := r.dial(i, sc.handler(i), now(), nil); err != nil {
			return err
		}
	}
	r.wait()
	s.mu.Lock()
	s.tally.Opening = time.Since(began)
	s.tally.Opened = int(s.tally.Handshakes.Count())
	opened := s.tally.Opened
	s.mu.Unlock()
	cost := ClientCost{}
	if after := heap(); opened > 0 && after > s.heapBefore {
		cost.HeapPerConnection = float64(after-s.heapBefore) / float64(opened)
	}
	s.tally.Clients = []ClientCost{cost}
	return nil
}
