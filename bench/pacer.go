package bench

import (
	"sync"
	"time"
)

// A pacer calls a function when messages are due, at a steady rate that does not
// depend on anything. What is behind is made up for at once, with the time it was due.
type pacer struct {
	session  *session
	interval float64 // between two calls in nanoseconds
	offset   float64 // of the first from the start
	due      func(k int, at int64)
	running  sync.WaitGroup
}

// newPacer makes the pacer that is number turn of all that share rate, which is per
// second.
func newPacer(s *session, rate float64, turn, all int, due func(k int, at int64)) *pacer {
	each := float64(time.Second) / rate
	return &pacer{session: s, interval: each * float64(all), offset: each * float64(turn), due: due}
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
