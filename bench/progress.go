package bench

import "time"

// Progress is how a run is getting on.
type Progress struct {
	Target int    // index of the server
	Round  int    // from 0
	Phase  string // connecting, running or draining
	// Trying is the rate, or the number of connections, that find tries, or the attack of
	// hostile; otherwise empty.
	Trying string
	// Since is when the load began, and Length how long it will last.
	Since  time.Time
	Length time.Duration

	Open     int    // connections now
	Received uint64 // messages in this round so far
	Errors   uint64 // in this round so far
	// Rate is of messages received, per second, and P50 and P99 are their latencies lately.
	// Where opening is measured, they are of connections and their handshakes.
	Rate     float64
	P50, P99 time.Duration

	open    map[int]int  // by worker
	latency Histogram    // since the last report
	heard   map[int]bool // workers since then
	told    time.Time
	before  uint64 // Received then
}

// tell takes in a worker's tick, and passes on how things are.
func (d *director) tell(worker int, t *tick) {
	d.timeline.add(worker, t)
	p := &d.progress
	if p.open == nil {
		p.open, p.heard = make(map[int]int), make(map[int]bool)
		p.told = time.Now()
	}
	p.Open += t.Open - p.open[worker]
	p.open[worker] = t.Open
	p.Received += t.Received
	p.Errors += t.Errors
	p.latency.Merge(t.Latency)
	p.heard[worker] = true
	elapsed := time.Since(p.told)
	// A rate needs as many ticks of each worker, unless one is stuck.
	if d.config.Progress == nil || elapsed < tickInterval/2 || len(p.heard) < d.config.Workers && elapsed < 2*tickInterval {
		return
	}
	p.Rate = float64(p.Received-p.before) / elapsed.Seconds()
	p.P50, p.P99 = p.latency.At(50), p.latency.At(99)
	if d.config.Scenario == "hostile" {
		p.Trying = d.attack()
	}
	p.told, p.before, p.latency = time.Now(), p.Received, Histogram{}
	clear(p.heard)
	d.config.Progress(*p)
}
