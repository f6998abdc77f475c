package bench

import (
	"sync"
	"time"
)

// A pacer calls a function when messages are due, at times that do not depend on
// anything. What is behind is made up for at once, with the time it was due.
type pacer struct {
	session *session
	after   func(k int) (nanoseconds int64, ok bool) // from the start; not ok: there is no message k
	due     func(k int, at int64)
	running sync.WaitGroup
}

// newPacer makes the pacer that is number turn of all that share a steady rate, which is
// per second.
func newPacer(s *session, rate float64, turn, all int, due func(k int, at int64)) *pacer {
	each := float64(time.Second) / rate
	offset, interval := each*float64(turn), each*float64(all)
	after := func(k int) (int64, bool) { return int64(offset + float64(k)*interval), true }
	return &pacer{session: s, after: after, due: due}
}

// start begins, on a goroutine that ends with the messages, or with the measured time.
func (p *pacer) start() {
	s := p.session
	s.mu.Lock()
	origin := s.span.Start
	s.mu.Unlock()
	p.running.Go(func() {
		for k := 0; ; k++ {
			after, ok := p.after(k)
			if !ok || !p.await(origin+after) {
				return
			}
			p.due(k, origin+after)
		}
	})
}

// await waits for a time, and reports false if the measured time ends before.
func (p *pacer) await(at int64) bool {
	for at < p.session.end() {
		left := at - now()
		if left <= 0 {
			return true
		}
		sleep(time.Duration(min(left, int64(sweepInterval)))) // the end may come nearer
	}
	return false
}

// wait waits for the end.
func (p *pacer) wait() { p.running.Wait() }
