package bench

import (
	"slices"
	"time"
)

// A Moment is what happened in a short time of a round, half a second as a rule.
type Moment struct {
	// At is when it began, counted from the beginning of what is measured: it is negative
	// during the warm-up. Where opening is measured, it counts from when the workers were
	// told to begin.
	At time.Duration `json:"at_ns"`
	// Open is how many connections there were at its end.
	Open int `json:"open"`
	// Rate is of messages received, or, where opening is measured, of connections opened, per
	// second.
	Rate float64 `json:"rate"`
	// Errors is how many things went wrong.
	Errors uint64 `json:"errors"`
	// P50 and P99 are the latencies of those; 0 if there were none.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
}

// A timeline collects the ticks of the workers of a round by their slots: times of
// tickInterval that are the same for all workers.
type timeline struct {
	workers int
	slots   map[int64]*slot
	moments []Moment
	first   map[int]int64 // the slot that a worker told about first
	open    map[int]int   // connections of a worker, as it told last
}

// A slot is what has been told about it so far.
type slot struct {
	moment  Moment
	latency Histogram
	open    map[int]int // connections, by the worker that told
}

// add takes in a tick of a worker.
func (l *timeline) add(worker int, t *tick) {
	if l.slots == nil {
		l.slots, l.first, l.open = make(map[int64]*slot), make(map[int]int64), make(map[int]int)
	}
	l.open[worker] = t.Open
	if t.Took <= 0 {
		return
	}
	if _, known := l.first[worker]; !known {
		l.first[worker] = t.Slot
	}
	s := l.slots[t.Slot]
	if s == nil {
		s = &slot{moment: Moment{At: time.Duration(t.Slot) * tickInterval}, open: make(map[int]int)}
		l.slots[t.Slot] = s
	}
	s.open[worker] = t.Open
	s.moment.Rate += float64(t.Received) / t.Took.Seconds()
	s.moment.Errors += t.Errors
	s.latency.Merge(t.Latency)
	if len(s.open) == l.workers {
		l.end(t.Slot, s)
	}
}

// end turns a slot into a moment, and forgets its histogram, which is large.
func (l *timeline) end(number int64, s *slot) {
	for _, n := range s.open {
		s.moment.Open += n
	}
	s.moment.P50, s.moment.P99 = s.latency.At(50), s.latency.At(99)
	l.moments = append(l.moments, s.moment)
	delete(l.slots, number)
}

// all returns the moments in their order. In the last of them workers may have finished, whose
// connections are still there.
func (l *timeline) all() []Moment {
	for number, s := range l.slots {
		for worker, first := range l.first {
			if _, told := s.open[worker]; !told && first < number {
				s.open[worker] = l.open[worker]
			}
		}
		l.end(number, s)
	}
	slices.SortFunc(l.moments, func(a, b Moment) int { return int(a.At - b.At) })
	return l.moments
}
