package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/weirws/weir/bench/peers/floor/result"
)

// report is one scenario with the figures of all its rounds.
type report struct {
	Scenario string   `json:"scenario"`
	About    string   `json:"about"`
	Targets  []series `json:"targets"` // the first is the base of the ratios
}

// series is what one target did, round by round.
type series struct {
	Name    string          `json:"name"`
	Rounds  []result.Result `json:"rounds"`
	Failure string          `json:"failure,omitempty"` // why it has no rounds
}

// cost is the server's CPU time per message in nanoseconds.
func cost(r result.Result) float64 {
	return float64(r.Server) / float64(r.Messages)
}

// others is how many processors were busy with neither server nor generator.
// It is 0 for a round that did not take place.
func others(r result.Result) float64 {
	return float64(r.Others) / float64(max(r.Wall, 1))
}

// worst is how much the others disturbed any target in one round.
func worst(round []result.Result) float64 {
	worst := 0.0
	for _, r := range round {
		worst = max(worst, others(r))
	}
	return worst
}

// leastDisturbed picks n of the rounds, or all if there are fewer.
func leastDisturbed(rounds [][]result.Result, n int) [][]result.Result {
	rounds = slices.SortedStableFunc(slices.Values(rounds), func(a, b []result.Result) int {
		return cmp.Compare(worst(a), worst(b))
	})
	return rounds[:min(n, len(rounds))]
}

// keep enters rounds, which have one result per target. Of a target that has
// failed there are none.
func (r *report) keep(rounds [][]result.Result) {
	for i := range r.Targets {
		if r.Targets[i].Failure != "" {
			continue
		}
		for _, figures := range rounds {
			r.Targets[i].Rounds = append(r.Targets[i].Rounds, figures[i])
		}
	}
}

// ratios divides the costs of s by those of base in the same round.
func (s series) ratios(base series) []float64 {
	var ratios []float64
	for i := range min(len(s.Rounds), len(base.Rounds)) {
		ratios = append(ratios, cost(s.Rounds[i])/cost(base.Rounds[i]))
	}
	return ratios
}

// median of figure over all rounds, of which there is at least one.
func (s series) median(figure func(r result.Result) float64) float64 {
	var figures []float64
	for _, r := range s.Rounds {
		figures = append(figures, figure(r))
	}
	return median(figures)
}

// median sorts figures, of which there is at least one.
func median(figures []float64) float64 {
	slices.Sort(figures)
	n := len(figures)
	return (figures[(n-1)/2] + figures[n/2]) / 2
}

func (r report) failures() []error {
	var errs []error
	for _, s := range r.Targets {
		if s.Failure != "" {
			errs = append(errs, fmt.Errorf("%s, %s: %w", r.Scenario, s.Name, errors.New(s.Failure)))
		}
	}
	return errs
}

// print writes the medians as a table. "busy" is the part of the time that the
// server ran, "others" what ran besides server and generator, in processors.
func (r report) print(out io.Writer) error {
	fmt.Fprintf(out, "\n%s: %s\n", r.Scenario, r.About)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "target\tCPU/message\tratio\tfrom\tto\tmessages/s\tbusy\tothers\tp50\tp99\tmax\t\n")
	for _, s := range r.Targets {
		if len(s.Rounds) == 0 {
			fmt.Fprintf(w, "%s\tfailed\t\t\t\t\t\t\t\t\t\t\n", s.Name)
			continue
		}
		s.row(w, r.Targets[0])
	}
	return w.Flush()
}

func (s series) row(w io.Writer, base series) {
	fmt.Fprintf(w, "%s\t%.3f µs\t", s.Name, s.median(cost)/1000)
	if ratios := s.ratios(base); len(ratios) > 0 {
		fmt.Fprintf(w, "%.3f\t%.2f\t%.2f\t", median(ratios), slices.Min(ratios), slices.Max(ratios))
	} else {
		fmt.Fprint(w, "\t\t\t")
	}
	fmt.Fprintf(w, "%.0f\t%.0f %%\t%.0f %%\t",
		s.median(func(r result.Result) float64 { return float64(r.Messages) / r.Wall.Seconds() }),
		s.median(func(r result.Result) float64 { return 100 * float64(r.Server) / float64(r.Wall) }),
		s.median(func(r result.Result) float64 { return 100 * others(r) }))
	if s.Rounds[0].Latency != nil {
		for _, figure := range []func(r result.Result) float64{
			func(r result.Result) float64 { return float64(r.Latency.P50) },
			func(r result.Result) float64 { return float64(r.Latency.P99) },
			func(r result.Result) float64 { return float64(r.Latency.Max) },
		} {
			fmt.Fprintf(w, "%v\t", time.Duration(s.median(figure)).Round(time.Microsecond))
		}
	} else {
		fmt.Fprint(w, "\t\t\t")
	}
	fmt.Fprintln(w)
}
