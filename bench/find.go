package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	findStep   = 1.05 // between two values that are tried side by side
	findLeap   = 14   // steps at once while nothing is known: nearly twice as much
	findRounds = 200  // at most, with one server

	// shortestRound is how many times the bound a round must last: for less than a
	// twentieth above what the server can do, its queue keeps the bound until the end.
	shortestRound = 20

	mostRate        = 1_000_000_000
	mostConnections = 1 << 20
	firstRate       = 1000 // per second
)

// What Config.Search may be.
const (
	searchRate        = "rate"
	searchConnections = "connections"
)

// Searches are what Config.Search may be.
func Searches() []string { return []string{searchRate, searchConnections} }

// validateFind reports what is wrong with what find is to look for.
func (c Config) validateFind() error {
	switch {
	case c.Scenario != "find":
		return nil
	case !slices.Contains(Searches(), c.Search):
		return fmt.Errorf("bench: find cannot search %q, only %s", c.Search, strings.Join(Searches(), " or "))
	case c.Bound.metric == "":
		return errors.New("bench: find needs a bound, such as p99<5ms")
	case !strings.HasPrefix(c.Bound.op, "<"):
		return fmt.Errorf("bench: find needs an upper bound, such as p99<5ms, not %s", c.Bound.text)
	case c.Search == searchRate && c.Rate < 1:
		return fmt.Errorf("bench: find begins at a rate of 1 or more, not %v", c.Rate)
	case metricUnit(c.Bound.metric) == Seconds && c.Bound.bound*shortestRound > c.Duration.Seconds():
		return fmt.Errorf("bench: to find what keeps %s, rounds must last %d times that or more, not %v", c.Bound.text, shortestRound, c.Duration)
	}
	return nil
}

// A Found is the answer of find for one server.
type Found struct {
	// Value is the largest rate, per second, or number of connections that keeps the bound:
	// with it the median of the rounds does and nothing goes wrong, and with the next, a
	// twentieth more, not. 0: there is none, or the search was interrupted.
	Value float64 `json:"value"`
	// Least and Most are as far as that is certain: with Least all rounds kept the bound, with
	// Most none did. 0: that was nowhere so, as far as could be tried.
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
	// Trials are what was tried, by value.
	Trials []Trial `json:"trials"`
	// ClientLimits say why the client, and not the server, may have been what could not do
	// more than Value.
	ClientLimits []string `json:"client_limits,omitempty"`
}

// A Trial is the rounds with one rate or number of connections.
type Trial struct {
	Value float64 `json:"value"`
	// Figures are those that the bound is about, and Kept how many rounds kept it.
	Figures []float64 `json:"figures"`
	Kept    int       `json:"kept"`
	// Broken says why the others did not.
	Broken map[string]int `json:"broken,omitempty"`

	rounds []Round
}

// held reports whether most rounds kept the bound.
func (t *Trial) held() bool { return 2*t.Kept > len(t.rounds) }

// A search looks for the answer among values that lie findStep apart, by number: 0 is where
// it begins.
type search struct {
	config Config // as it was given: workers depend on what is tried
	rounds int    // for an answer
	round  func(c Config, n int) (*Round, error)
	trials map[float64]*Trial
	done   int // rounds
}

// find searches with each server, one after the other.
func (r *Report) find(ctx context.Context, given Config) error {
	for i := range r.Targets {
		s := &search{config: given, rounds: r.Config.Rounds, trials: make(map[float64]*Trial)}
		s.round = func(c Config, n int) (*Round, error) {
			round, err := runRound(ctx, c, i, n)
			if err == nil {
				err = context.Cause(ctx) // half a round is no trial
			}
			return round, err
		}
		found, rounds, err := s.run(r.Machine.Processors)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", r.Targets[i].URL, err)
		}
		for n := range rounds {
			if rounds[n].FoundRate = found.Value; r.Config.Search == searchConnections {
				rounds[n].FoundRate, rounds[n].FoundConnections = 0, found.Value
			}
		}
		r.Targets[i].Found, r.Targets[i].Rounds = found, rounds
		if ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

// run returns what was found, and the rounds with it. With an error that is what was tried so
// far.
func (s *search) run(processors int) (*Found, []Round, error) {
	lo, hi, err := s.bracket()
	for err == nil {
		if err = s.bisect(&lo, &hi); err != nil {
			break
		}
		var settled bool
		if settled, err = s.settle(&lo, &hi); settled {
			break
		}
	}
	found := &Found{}
	var rounds []Round
	if err == nil {
		rounds, err = s.conclude(found, lo, hi, processors)
	}
	for _, t := range s.trials {
		found.Trials = append(found.Trials, *t)
	}
	slices.SortFunc(found.Trials, func(a, b Trial) int { return cmp.Compare(a.Value, b.Value) })
	return found, rounds, err
}

// bounds are the numbers of the least and the most that can be tried.
func (s *search) bounds() (least, most int) {
	first, bottom, top := s.first(), 1, mostRate
	if s.config.Search == searchConnections {
		bottom, top = max(1, s.config.Workers), s.config.capacity()
	}
	steps := func(v int) float64 { return math.Log(float64(v)/first) / math.Log(findStep) }
	return int(math.Ceil(steps(bottom) - 1e-9)), int(math.Floor(steps(top) + 1e-9))
}

// first is the value to begin with.
func (s *search) first() float64 {
	c := s.config.withDefaults()
	if c.Search == searchConnections {
		return float64(c.Connections)
	}
	return c.Rate
}

func (s *search) value(number int) float64 {
	v := s.first() * math.Pow(findStep, float64(number))
	if s.config.Search == searchConnections {
		return math.Round(v)
	}
	return v
}

// trial is that of a number, with at least so many rounds.
func (s *search) trial(number, rounds int) (*Trial, error) {
	v := s.value(number)
	t := s.trials[v]
	if t == nil {
		t = &Trial{Value: v}
	}
	for len(t.rounds) < rounds {
		if s.done == findRounds {
			return nil, fmt.Errorf("bench: after %d rounds there is still no answer: the figures vary too much", findRounds)
		}
		c := s.config
		if c.Search == searchConnections {
			c.Connections = int(v)
		} else {
			c.Rate = v
		}
		round, err := s.round(c.withDefaults(), s.done)
		if err != nil {
			return nil, err
		}
		s.done++
		t.add(c, round)
		s.trials[v] = t
	}
	return t, nil
}

// add judges a round.
func (t *Trial) add(c Config, r *Round) {
	t.rounds = append(t.rounds, *r)
	figure, ok, broken := c.judge(r)
	if ok {
		t.Figures = append(t.Figures, figure)
	}
	if broken == "" {
		t.Kept++
		return
	}
	addCauses(&t.Broken, map[string]int{broken: 1})
}

// judge returns the figure of a round that the bound is about, if there is one, and why the
// bound is not kept; "" if it is.
func (c Config) judge(r *Round) (figure float64, ok bool, broken string) {
	m, ok := (&Target{Rounds: []Round{*r}}).metric(c.Bound.metric)
	switch {
	case r.Opened == 0:
		broken = "no connection"
	case r.errors() > 0:
		broken = "errors"
	case !ok:
		broken = "no figure for " + c.Bound.metric
	case !c.Bound.holds(m.Value):
		broken = "not " + c.Bound.text
	}
	return m.Value, ok, broken
}

// bracket finds a number that holds and one above that does not, with a round each. What
// lies out of bounds counts as either without being tried.
func (s *search) bracket() (lo, hi int, err error) {
	t, err := s.trial(0, 1)
	if err != nil {
		return 0, 0, err
	}
	least, most := s.bounds()
	if t.rounds[0].Opened == 0 {
		return least - 1, least, nil // nobody is there
	}
	if !t.held() {
		return s.down(0, least)
	}
	return s.up(0, most)
}

// up leaps up from a number that holds until one does not.
func (s *search) up(lo, most int) (int, int, error) {
	for leap := findLeap; lo < most; {
		hi := min(lo+leap, most)
		t, err := s.trial(hi, 1)
		if err != nil {
			return 0, 0, err
		}
		if !t.held() {
			return lo, hi, nil
		}
		lo = hi
	}
	return most, most + 1, nil
}

// down leaps down from a number that does not hold until one does.
func (s *search) down(hi, least int) (int, int, error) {
	for hi > least {
		lo := max(hi-findLeap, least)
		t, err := s.trial(lo, 1)
		if err != nil {
			return 0, 0, err
		}
		if t.held() {
			return lo, hi, nil
		}
		hi = lo
	}
	return least - 1, least, nil
}

// bisect narrows it down to neighbours.
func (s *search) bisect(lo, hi *int) error {
	for *hi-*lo > 1 {
		middle := (*lo + *hi) / 2
		t, err := s.trial(middle, 1)
		if err != nil {
			return err
		}
		if t.held() {
			*lo = middle
		} else {
			*hi = middle
		}
	}
	return nil
}

// settle repeats both neighbours, as one round may have been chance. If that turns one of
// them round, it looks further on that side, and reports false.
func (s *search) settle(lo, hi *int) (bool, error) {
	least, most := s.bounds()
	if *lo >= least {
		t, err := s.trial(*lo, s.rounds)
		if err != nil {
			return false, err
		}
		if !t.held() {
			*lo, *hi, err = s.down(*lo, least)
			return false, err
		}
	}
	if *hi <= most && *lo >= least {
		t, err := s.trial(*hi, s.rounds)
		if err != nil {
			return false, err
		}
		if t.held() {
			*lo, *hi, err = s.up(*hi, most)
			return false, err
		}
	}
	return true, nil
}

// conclude fills in the answer between two neighbours, and how certain it is.
func (s *search) conclude(found *Found, lo, hi, processors int) ([]Round, error) {
	least, most := s.bounds()
	if lo < least {
		for _, t := range s.trials {
			if found.Most == 0 || t.Value < found.Most {
				found.Most = t.Value
			}
		}
		return s.trials[found.Most].rounds, nil // they tell why
	}
	answer, err := s.agree(lo, -1, least, func(t *Trial) bool { return t.Kept == len(t.rounds) })
	if err != nil {
		return nil, err
	}
	found.Least = answer
	if hi <= most {
		if found.Most, err = s.agree(hi, +1, most, func(t *Trial) bool { return t.Kept == 0 }); err != nil {
			return nil, err
		}
		found.ClientLimits = clientLimits(s.trials[s.value(hi)].rounds, processors)
	}
	found.Value = s.value(lo)
	return s.trials[found.Value].rounds, nil
}

// agree goes on, each time twice as many steps, until all rounds of a trial agree, and returns
// its value; 0 if they do not even at the bound.
func (s *search) agree(number, steps, bound int, agreed func(*Trial) bool) (float64, error) {
	for {
		t, err := s.trial(number, s.rounds)
		switch {
		case err != nil:
			return 0, err
		case agreed(t):
			return t.Value, nil
		case number == bound:
			return 0, nil
		}
		number += steps
		steps *= 2
		if beyond := number - bound; beyond*steps > 0 {
			number = bound
		}
	}
}
