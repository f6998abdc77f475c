package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// startDelay is from when all workers are ready until the load begins, so that they all
// know by then.
const startDelay = 100 * time.Millisecond

// openDelay is from when all workers could open connections until they do.
const openDelay = 10 * time.Millisecond

// stopDelay is from an interrupt until the end of what is measured, so that workers know of that
// end before it comes: what they send beyond it would be counted by some and not by others.
const stopDelay = 50 * time.Millisecond

// A ConfigError says everything that is wrong with a Config, or with the recording that
// it names.
type ConfigError struct{ err error }

func (e ConfigError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e ConfigError) Unwrap() error { return e.err }

// Run does what c says and returns the report. If ctx ends first, the round under way is
// ended, and the report has what there is so far: messages on their way then have Config.Timeout
// to arrive, or a second more if they are being waited for already. An error means that there is no
// report: it is a ConfigError, or a worker failed.
func Run(ctx context.Context, c Config) (*Report, error) {
	c, err := c.withRecording()
	if err != nil {
		return nil, ConfigError{err}
	}
	given := c
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, ConfigError{err}
	}
	r := &Report{Config: c, Started: time.Now(), Machine: thisMachine()}
	for _, u := range c.URLs {
		r.Targets = append(r.Targets, Target{URL: u})
	}
	if c.Scenario == "find" {
		if err := r.find(ctx, given); err != nil {
			return nil, err
		}
		r.Interrupted = ctx.Err() != nil
		return r, nil
	}
	for n := range c.Rounds {
		for i := range r.Targets {
			if ctx.Err() != nil {
				r.Interrupted = true
				return r, nil
			}
			round, err := runRound(ctx, c, i, n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.URLs[i], err)
			}
			r.Targets[i].Rounds = append(r.Targets[i].Rounds, *round)
		}
	}
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// A director carries out one round.
type director struct {
	config  Config
	target  int
	round   int
	workers *workers
	pid     int  // of the server; 0: not known
	stopped bool // workers have been told to stop

	progress Progress
	timeline timeline
	began    time.Time
	measured time.Time // since when
	before   sample    // there were connections
	full     sample    // with all connections
	first    sample    // at the beginning of what is measured
	last     sample
}

// runRound does one round with one server.
func runRound(ctx context.Context, c Config, target, n int) (*Round, error) {
	d := &director{config: c, target: target, round: n, began: time.Now(), timeline: timeline{workers: c.Workers}}
	if target < len(c.PIDs) {
		d.pid = c.PIDs[target]
	}
	var err error
	if d.workers, err = startWorkers(c); err != nil {
		return nil, err
	}
	defer d.workers.end()
	seed := rand.Uint64()
	for i := range c.Workers {
		first, count := c.share(i)
		d.workers.tell(i, command{Job: &job{
			Config: c, URL: c.URLs[target], Target: target, Seed: seed, Worker: i,
			First: first, Count: count,
		}})
	}
	return d.conduct(ctx)
}

// messaging reports whether messages are to be sent.
func (c Config) messaging() bool { return !scenarios[c.Scenario].silent || c.Scenario == "replay" }

// conduct leads the workers through the round.
func (d *director) conduct(ctx context.Context) (*Round, error) {
	d.progress = Progress{Target: d.target, Round: d.round, Phase: "connecting", Trying: d.config.trying(), Length: d.config.WarmUp + d.config.length()}
	opened, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	published, err := d.load(ctx, opened)
	if err != nil {
		return nil, err
	}
	d.progress.Phase = "draining"
	d.workers.tellAll(command{Drain: &drain{Published: published, Stopped: d.stopped}})
	round := &Round{Began: d.began, MeasuredFrom: d.measured, Messaging: d.config.messaging() && opened > 0 && ctx.Err() == nil}
	var spreads []spread
	if err := d.gather(ctx, func(e event) bool {
		if e.Result == nil {
			return false
		}
		round.add(&e.Result.Tally)
		spreads = append(spreads, e.Result.Spreads...)
		return true
	}); err != nil {
		return nil, err
	}
	round.mergeSpreads(spreads)
	round.Timeline = d.timeline.all()
	d.cost(round, opened)
	return round, nil
}

// open has all workers begin at once to open their connections, so that those of the last to
// start are not opened after all others, and returns how many there are.
func (d *director) open(ctx context.Context) (opened int, err error) {
	if err := d.gather(ctx, func(e event) bool { return e.Started }); err != nil {
		return 0, err
	}
	d.before = d.sample()
	d.measured = time.Now().Add(openDelay)
	d.workers.tellAll(command{Open: now() + int64(openDelay)})
	err = d.gather(ctx, func(e event) bool {
		if e.Ready == nil {
			return false
		}
		opened += e.Ready.Opened
		return true
	})
	d.full = d.sample()
	return opened, err
}

// load has the load run, unless no connection is open, and samples what it costs.
func (d *director) load(ctx context.Context, opened int) ([]publications, error) {
	start := now() + int64(startDelay)
	sp := span{Start: start, Begin: start, End: start}
	if opened > 0 && !d.config.opening() {
		sp.Begin += int64(d.config.WarmUp)
		sp.End = sp.Begin + int64(d.config.length())
		d.measured = time.Now().Add(time.Duration(sp.Begin - now()))
	}
	d.workers.tellAll(command{Span: &sp})
	d.progress.Phase, d.progress.Since = "running", time.Now()

	var samples [2]sample
	done := make(chan struct{})
	ended := make(chan struct{}) // closed once all workers have ended the measured time
	go func() {                  // ends at the latest with what is measured
		defer close(done)
		for i, at := range []int64{sp.Begin, sp.End} {
			select {
			case <-time.After(time.Duration(at - now())):
			case <-ended:
			}
			samples[i] = d.sample()
		}
	}()
	var published []publications
	err := d.gather(ctx, func(e event) bool {
		if e.Sent == nil {
			return false
		}
		published = append(published, e.Sent.Published...)
		return true
	})
	close(ended)
	<-done
	d.first, d.last = samples[0], samples[1]
	return published, err
}

// sample takes a sample. A process of the server that has ended is not known from then on.
func (d *director) sample() sample {
	s, err := takeSample(d.pid)
	if err != nil {
		d.pid = 0
	}
	return s
}

// gather takes the events of the workers until each of them has sent one that is
// wanted. When ctx ends, it tells the workers to stop, once in a round, and goes on.
func (d *director) gather(ctx context.Context, wanted func(event) bool) error {
	stop := ctx.Done()
	if d.stopped {
		stop = nil
	}
	for missing := d.config.Workers; missing > 0; {
		select {
		case <-stop:
			stop, d.stopped = nil, true
			d.workers.tellAll(command{Stop: now() + int64(stopDelay)})
		case e := <-d.workers.events:
			switch {
			case e.err != nil:
				return fmt.Errorf("worker %d: %w", e.worker, e.err)
			case e.Failed != nil:
				return fmt.Errorf("worker %d: %s", e.worker, *e.Failed)
			case e.Tick != nil:
				d.tell(e.worker, e.Tick)
			case wanted(e.event):
				missing--
			}
		}
	}
	return nil
}

// cost fills in what the round cost, besides the workers' part.
func (d *director) cost(r *Round, opened int) {
	if d.config.opening() {
		d.first, d.last = d.before, d.full
	}
	wall := d.last.at.Sub(d.first.at)
	if wall <= 0 {
		return
	}
	server := d.last.process.cpu - d.first.process.cpu
	if wall >= shortestUse {
		r.MachineCPU = float64(d.last.machine-d.first.machine) / float64(wall)
	}
	if d.pid == 0 {
		return
	}
	r.Server = &ServerCost{
		CPU:      float64(server) / float64(wall),
		Switches: d.last.process.switchesSince(d.first.process),
		RSS:      d.last.process.rss,
	}
	if r.Received > 0 {
		r.Server.CPUPerMessage = time.Duration(float64(server) / float64(r.Received))
	}
	if r.Arrived > 0 {
		r.Server.CPUPerConnection = time.Duration(float64(server) / float64(r.Arrived))
	}
	if opened > 0 && d.config.opening() {
		r.Server.CPUPerConnection = time.Duration(float64(server) / float64(opened))
	}
	if opened > 0 {
		r.Server.RSSPerConnection = float64(d.full.process.rss-d.before.process.rss) / float64(opened)
	}
}
