package bench

import (
	"context"
	"net/url"
	"sync"
	"time"
)

const (
	// mostAttackers are fewer than reservedDescriptors, in a worker that may hold the control
	// group as well.
	mostAttackers = 128
	controlRate   = 1000 // messages per second
	longestPause  = time.Second
)

// Stages of hostile besides the attacks.
const (
	stageBefore = "before"
	stageAfter  = "after"
)

// A Stage is the time of one attack, or the time without attack before or after them
// all.
type Stage struct {
	// Name is that of the attack, or before or after.
	Name string `json:"name"`
	// Attackers is how many there were, and Outcomes what the server did with them.
	Attackers int            `json:"attackers,omitempty"`
	Outcomes  map[string]int `json:"outcomes,omitempty"`
	// Attacked is how many of them carried out the attack: others found no connection for it,
	// or were interrupted.
	Attacked int `json:"attacked,omitempty"`
	// Open is how many of them were still connected at the end, and Ended how long the server
	// took to end the connections of others, from when they began.
	Open  int       `json:"open"`
	Ended Histogram `json:"ended"`
	// Bytes could be sent by all of them, into the server's buffers at least.
	Bytes uint64 `json:"bytes"`
	// Due is how many messages of the control group were due meanwhile, and Latency that of
	// those that came back as they were sent, whenever that was.
	Due     uint64    `json:"due"`
	Latency Histogram `json:"latency"`
}

// Missing is how many messages of the control group did not come back, or not as they
// were sent.
func (s *Stage) Missing() uint64 { return s.Due - min(s.Due, uint64(s.Latency.Count())) }

// stages are those of hostile, in their order.
func stages() []Stage {
	all := []Stage{{Name: stageBefore}}
	for _, a := range attacks {
		all = append(all, Stage{Name: a.name})
	}
	return append(all, Stage{Name: stageAfter})
}

// addStages adds what another worker saw in them.
func (t *Tally) addStages(others []Stage) {
	if len(t.Stages) == 0 && len(others) > 0 {
		t.Stages = stages()
	}
	for i := range others {
		s, o := &t.Stages[i], &others[i]
		s.Attackers += o.Attackers
		addCauses(&s.Outcomes, o.Outcomes)
		s.Attacked += o.Attacked
		s.Open += o.Open
		s.Ended.Merge(o.Ended)
		s.Bytes += o.Bytes
		s.Due += o.Due
		s.Latency.Merge(o.Latency)
	}
}

// pause lies between two stages, for the server to recover.
func (c Config) pause() time.Duration { return min(c.Duration/4, longestPause) }

// length is how long a round measures.
func (c Config) length() time.Duration {
	if c.Scenario == "hostile" {
		return time.Duration(len(attacks)+2) * (c.Duration + c.pause())
	}
	return c.Duration
}

// loaders is how many workers have the connections of the scenario: with hostile, the last
// one has the attackers if there are others.
func (c Config) loaders() int {
	if c.Scenario == "hostile" && c.Workers > 1 {
		return c.Workers - 1
	}
	return c.Workers
}

// share returns the connections of a worker.
func (c Config) share(worker int) (first, count int) {
	n := c.loaders()
	if worker >= n {
		return 0, 0
	}
	first = worker * c.Connections / n
	return first, (worker+1)*c.Connections/n - first
}

// stageAt is the number of the stage at a time since the beginning of what is measured. ok
// is false in pauses.
func (c Config) stageAt(since time.Duration) (number int, ok bool) {
	each := c.Duration + c.pause()
	if since < 0 {
		return 0, false
	}
	number = int(since / each)
	return number, number < len(attacks)+2 && since%each < c.Duration
}

// attack is the name of the attack under way, or that was last; "" if there is none.
func (d *director) attack() string {
	since := time.Since(d.progress.Since) - startDelay - d.config.WarmUp
	if number, _ := d.config.stageAt(since); d.progress.Phase == "running" && 0 < number && number <= len(attacks) {
		return attacks[number-1].name
	}
	return ""
}

// stage is that of a message of the control group, nil if it is in none. The lock must be
// held.
func (s *session) stage(due int64) *Stage {
	if len(s.tally.Stages) == 0 || !s.contains(due) {
		return nil
	}
	number, ok := s.job.Config.stageAt(time.Duration(due - s.span.Begin))
	if !ok {
		return nil
	}
	return &s.tally.Stages[number]
}

// hostile has attackers of all kinds in turn, next to a control group that does echo at a
// rate.
type hostile struct {
	*echo
	ctx       context.Context // of the attackers
	cancel    context.CancelFunc
	attacking sync.WaitGroup
}

func newHostile(s *session) scenario {
	s.tally.Stages = stages()
	h := &hostile{echo: newEcho(s).(*echo)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

func (h *hostile) start() {
	if len(h.conns) > 0 {
		h.echo.start()
	}
	c := h.job.Config
	if h.job.Worker < c.Workers-1 {
		return // the attackers are in the last
	}
	h.mu.Lock()
	begin := h.span.Begin
	h.mu.Unlock()
	h.attacking.Go(func() { // ends with the last attack, or in stop
		for i := range attacks {
			at := begin + int64(i+1)*int64(c.Duration+c.pause())
			select {
			case <-time.After(time.Duration(at - now())):
				h.attack(i+1, &attacks[i], at+int64(c.Duration))
			case <-h.ctx.Done():
				return
			}
		}
	})
}

func (h *hostile) stop() []publications {
	h.cancel()
	h.attacking.Wait()
	return h.echo.stop()
}

// attack has all attackers of a kind at work, and counts what comes of it.
func (h *hostile) attack(stage int, kind *attack, until int64) {
	c := h.job.Config
	target, _ := url.Parse(h.job.URL) // Run has validated it
	from, _ := c.source(h.job.URL, 0) // and the sources
	over := time.Now().Add(time.Duration(until - now()))
	var all sync.WaitGroup
	for range c.Attackers {
		all.Go(func() {
			a := attacker{kind: kind, target: target, from: from, trust: h.trust, until: over, grace: c.pause() / 2, ctx: h.ctx}
			o := a.attack()
			h.mu.Lock()
			defer h.mu.Unlock()
			h.tally.Stages[stage].add(o)
		})
	}
	all.Wait()
}

// add counts what the server did with one attacker.
func (s *Stage) add(o outcome) {
	s.Attackers++
	s.Bytes += o.bytes
	if o.what == "" {
		o.what = "interrupted"
	}
	addCauses(&s.Outcomes, map[string]int{o.what: 1})
	if o.attacked {
		s.Attacked++
	}
	if o.open {
		s.Open++
	}
	if o.ended {
		s.Ended.Record(o.took)
	}
}
