package bench

import (
	"math"
	"slices"
	"strconv"
	"time"
)

const (
	pointsPerDecade = 20 // of a curve over percentiles: from 90 to 99, from 99 to 99.9 and so on
	curveDigits     = 6  // significant, of what charts show
	comebackSteps   = 200
)

// An ordinate is a value of a curve. NaN is a gap, which JSON has as null.
type ordinate float64

// MarshalJSON leaves out digits that no chart shows.
func (o ordinate) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(o)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(o), 'g', curveDigits, 64), nil
}

var gapInCurve = ordinate(math.NaN())

// A distribution is a chart of latencies over percentiles. A percentile p is at
// x = -log10(1-p/100), so that 90, 99 and 99.9 have the same distance.
type distribution struct {
	Title  string       `json:"title"`
	X      []ordinate   `json:"x"`
	Curves [][]ordinate `json:"curves"` // in seconds, one for each target
}

// distributions are the charts of what has been measured.
func (r *Report) distributions() []distribution {
	var all []distribution
	for _, of := range []struct {
		title     string
		histogram func(*Tally) Histogram
	}{
		{"Latency", func(t *Tally) Histogram { return t.Latency }},
		{"From publication to the first subscriber", func(t *Tally) Histogram { return t.First }},
		{"From publication to half of the subscribers", func(t *Tally) Histogram { return t.Median }},
		{"From publication to the last subscriber", func(t *Tally) Histogram { return t.Last }},
		{"Lateness of sending", func(t *Tally) Histogram { return t.SendLag }},
		{"Time to finish after the last message", func(t *Tally) Histogram { return t.Finishing }},
		{"Opening handshake", func(t *Tally) Histogram { return t.Handshakes }},
		{"Close handshake", func(t *Tally) Histogram { return t.Closings }},
	} {
		if d := newDistribution(of.title, r.merged(of.histogram)); len(d.X) > 1 {
			all = append(all, d)
		}
	}
	return all
}

// merged are the histograms of all rounds of each target.
func (r *Report) merged(of func(*Tally) Histogram) []Histogram {
	all := make([]Histogram, len(r.Targets))
	for i, t := range r.Targets {
		for n := range t.Rounds {
			all[i].Merge(of(&t.Rounds[n].Tally))
		}
	}
	return all
}

// newDistribution ends each curve where a histogram has a single value above.
func newDistribution(title string, of []Histogram) distribution {
	d := distribution{Title: title, Curves: make([][]ordinate, len(of))}
	var most int64
	for _, h := range of {
		most = max(most, h.Count())
	}
	if most == 0 {
		return d
	}
	last := math.Log10(float64(most))
	for i := 0; ; i++ {
		x := min(float64(i)/pointsPerDecade, last)
		d.X = append(d.X, ordinate(x))
		for n, h := range of {
			y := gapInCurve
			if c := h.Count(); c > 0 && x <= math.Log10(float64(c))+1.0/pointsPerDecade {
				y = ordinate(h.At(100 * (1 - math.Pow(10, -x))).Seconds())
			}
			d.Curves[n] = append(d.Curves[n], y)
		}
		if x >= last {
			return d
		}
	}
}

// A comeback is a chart of connections that were cut, in per cent, by the time in seconds
// until they were back.
type comeback struct {
	X      []ordinate   `json:"x"`
	Curves [][]ordinate `json:"curves"` // one for each target
}

// comeback is the chart of a storm, empty for other scenarios.
func (r *Report) comeback() (c comeback) {
	took := r.merged(func(t *Tally) Histogram { return t.Latency })
	cut := make([]uint64, len(r.Targets))
	var longest time.Duration
	for i, t := range r.Targets {
		for n := range t.Rounds {
			cut[i] += t.Rounds[n].Cut
		}
		if cut[i] > 0 {
			longest = max(longest, took[i].At(100))
		}
	}
	if longest == 0 {
		return c
	}
	for step := range comebackSteps + 1 {
		c.X = append(c.X, ordinate(longest.Seconds()*float64(step)/comebackSteps))
	}
	for i := range took {
		c.Curves = append(c.Curves, cumulated(took[i], longest, cut[i]))
	}
	return c
}

// cumulated is how many durations, in per cent of a number, lie up to each step on the way to
// the longest.
func cumulated(h Histogram, longest time.Duration, of uint64) (curve []ordinate) {
	rest, n := h.counted(), int64(0)
	for step := range comebackSteps + 1 {
		for len(rest) > 0 && (rest[0].bound <= int64(longest)*int64(step)/comebackSteps || step == comebackSteps) {
			n += rest[0].count
			rest = rest[1:]
		}
		y := gapInCurve
		if of > 0 {
			y = ordinate(100 * float64(n) / float64(of))
		}
		curve = append(curve, y)
	}
	return curve
}

// A history is charts over the time since the run began, in seconds. Targets have their
// rounds in turn, so at any time all but one have gaps.
type history struct {
	X       []ordinate    `json:"x"`
	WarmUps [][2]ordinate `json:"warmUps"` // from, to
	Rated   string        `json:"rated"`   // the title of the chart of Rate
	Timed   string        `json:"timed"`   // and of that of P50 and P99
	Rate    [][]ordinate  `json:"rate"`
	P50     [][]ordinate  `json:"p50"` // in seconds
	P99     [][]ordinate  `json:"p99"` // in seconds
	Errors  [][]ordinate  `json:"errors"`
	Open    [][]ordinate  `json:"open"`
}

// charted is what the rate and the latency of a Moment are of.
func (c Config) charted() (rate, latency string) {
	rate, latency = "Received per second", "Latency over time"
	switch c.Scenario {
	case "connect":
		rate, latency = "Connections opened per second", "Opening handshake over time"
	case "churn":
		rate = "Connections opened per second"
	case "storm":
		rate = "Connections back per second"
	case "idle":
		rate = "Pongs per second"
	}
	return rate, latency
}

// history puts the timelines of all rounds one behind the other.
func (r *Report) history() history {
	n := len(r.Targets)
	h := history{Rate: make([][]ordinate, n), P50: make([][]ordinate, n), P99: make([][]ordinate, n), Errors: make([][]ordinate, n), Open: make([][]ordinate, n)}
	h.Rated, h.Timed = r.Config.charted()
	type part struct {
		target int
		round  *Round
	}
	var parts []part
	for i, t := range r.Targets {
		for n := range t.Rounds {
			parts = append(parts, part{i, &t.Rounds[n]})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return a.round.Began.Compare(b.round.Began) })
	for _, p := range parts {
		origin := p.round.MeasuredFrom.Sub(r.Started)
		for i, m := range p.round.Timeline {
			at := origin + m.At
			if i == 0 {
				h.add(at-tickInterval/2, -1, Moment{}) // ends the line of the round before
				if m.At < 0 {
					h.WarmUps = append(h.WarmUps, [2]ordinate{ordinate(at.Seconds()), ordinate(origin.Seconds())})
				}
			}
			h.add(at+tickInterval/2, p.target, m)
		}
	}
	return h
}

// add adds a point to the curve of a target, and a gap to those of the others.
func (h *history) add(at time.Duration, target int, m Moment) {
	h.X = append(h.X, ordinate(at.Seconds()))
	latency := func(d time.Duration) ordinate {
		if d <= 0 {
			return gapInCurve
		}
		return ordinate(d.Seconds())
	}
	for _, c := range []struct {
		curves [][]ordinate
		value  ordinate
	}{
		{h.Rate, ordinate(m.Rate)}, {h.P50, latency(m.P50)}, {h.P99, latency(m.P99)},
		{h.Errors, ordinate(m.Errors)}, {h.Open, ordinate(m.Open)},
	} {
		for i := range c.curves {
			value := gapInCurve
			if i == target {
				value = c.value
			}
			c.curves[i] = append(c.curves[i], value)
		}
	}
}
