package bench

import (
	"cmp"
	"slices"
	"time"
)

// A searchView is what the page says about the search of find with one server.
type searchView struct {
	Answer []string     `json:"-"`
	Metric string       `json:"metric"` // what the bound is about
	Trials []trialView  `json:"-"`
	Target int          `json:"target"`
	Unit   Unit         `json:"unit"`  // of the metric
	Bound  ordinate     `json:"bound"` // in it
	Found  ordinate     `json:"found"` // a gap if nothing was
	Steps  searchSteps  `json:"steps"`
	Curve  searchFigure `json:"figures"`
}

// A trialView is a row of the table of what was tried.
type trialView struct {
	Value, Kept, Figure, Broken string
	Found                       bool // it is the answer
}

// searchSteps are the rounds in the order in which they were done: the value that was tried
// is in one of two curves.
type searchSteps struct {
	X      []ordinate `json:"x"` // numbers from 1
	Kept   []ordinate `json:"kept"`
	Broken []ordinate `json:"broken"`
}

// A searchFigure has the figures of all rounds by the value that was tried.
type searchFigure struct {
	X      []ordinate `json:"x"`
	Median []ordinate `json:"median"`
	Least  []ordinate `json:"least"`
	Most   []ordinate `json:"most"`
}

// searchViews are those of all servers, none with other scenarios.
func (r *Report) searchViews() (all []searchView) {
	c := r.Config
	for i, t := range r.Targets {
		f := t.Found
		if f == nil {
			continue
		}
		v := searchView{
			Answer: f.answer(c), Metric: c.Bound.metric, Target: i, Unit: metricUnit(c.Bound.metric),
			Bound: ordinate(c.Bound.bound), Found: gapInCurve, Steps: f.steps(c),
		}
		if f.Value > 0 {
			v.Found = ordinate(f.Value)
		}
		for n := range f.Trials {
			trial := &f.Trials[n]
			v.Trials = append(v.Trials, trialView{c.format(trial.Value), trial.share(), trial.spread(c.Bound), causeCounts(trial.Broken), trial.Value == f.Value})
			v.Curve.add(trial)
		}
		all = append(all, v)
	}
	return all
}

// add adds the figures of a trial, if it has any.
func (s *searchFigure) add(t *Trial) {
	if len(t.Figures) == 0 {
		return
	}
	figures := slices.Sorted(slices.Values(t.Figures))
	s.X = append(s.X, ordinate(t.Value))
	s.Median = append(s.Median, ordinate(median(figures)))
	s.Least = append(s.Least, ordinate(figures[0]))
	s.Most = append(s.Most, ordinate(figures[len(figures)-1]))
}

// steps puts the rounds of all trials in their order.
func (f *Found) steps(c Config) (s searchSteps) {
	type step struct {
		began time.Time
		value float64
		kept  bool
	}
	var all []step
	for _, t := range f.Trials {
		for i := range t.rounds {
			_, _, broken := c.judge(&t.rounds[i])
			all = append(all, step{t.rounds[i].Began, t.Value, broken == ""})
		}
	}
	slices.SortFunc(all, func(a, b step) int { return cmp.Or(a.began.Compare(b.began), cmp.Compare(a.value, b.value)) })
	for i, one := range all {
		kept, broken := ordinate(one.value), gapInCurve
		if !one.kept {
			kept, broken = broken, kept
		}
		s.X, s.Kept, s.Broken = append(s.X, ordinate(i+1)), append(s.Kept, kept), append(s.Broken, broken)
	}
	return s
}
