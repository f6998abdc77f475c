package bench

import (
	"sync"
	"time"
)

// A pacer calls a function when messages are due, at a steady rate that does not
// depend on anything. What is behind is made up for at once, with the time it was due.
type pacer struct {
	session  *session
	interval float64 // between two calls of this worker, in nanoseconds
	offset   float64 // of its first from the start: workers take turns
	due      func(k int, at int64)
	running  sync.WaitGroup
}

// newPacer makes a pacer of this worker's share of rate, which is per second over all
// workers.
func newPacer(s *session, rate float64, due func(k int, at int64)) *pacer {
	workers := float64(s.job.Config.Workers)
	each := float64(time.Second) / rate
	return &pacer{session: s, interval: each * workers, offset: each * float64(s.job.Worker), due: due}
}

// start begins, on a goroutine that ends with the measured time.
func (p *pacer) start() {
	s := p.session
	s.mu.Lock()
	origin := s.span.Start
	s.mu.Unlock()
	p.running.Go(func() {
		for k := 0; ; k++ {
			at := origin + int64(p.offset+float64(k)*p.interval)
			for {
				end := s.end()
				if at >= end {
					return
				}
				left := at - now()
				if left <= 0 {
					break
				}
				sleep(time.Duration(min(left, int64(sweepInterval)))) // the end may come nearer
			}
			p.due(k, at)
		}
	})
}

// wait waits for the end.
func (p *pacer) wait() { p.running.Wait() }
