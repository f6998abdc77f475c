package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weirws/weir/bench/peers/result"
)

// report is one scenario with the figures of all its rounds.
type report struct {
	Scenario string   `json:"scenario"`
	About    string   `json:"about"`
	Figure   figure   `json:"figure"`
	Targets  []series `json:"targets"` // the first is the base of the ratios
}

// series is what one target did, round by round.
type series struct {
	Name    string          `json:"name"`
	Rounds  []result.Result `json:"rounds"`
	Failure string          `json:"failure,omitempty"` // why it has no rounds
}

// others is how many processors were busy with neither server nor generator. It is 0
// for a round in which time was not measured.
func others(r result.Result) float64 {
	return float64(r.Others) / float64(max(r.Wall, 1))
}

// ratios divides the figures of s by those of base in the same round.
func (s series) ratios(f figure, base series) []float64 {
	var ratios []float64
	for i := range min(len(s.Rounds), len(base.Rounds)) {
		ratios = append(ratios, f.of(s.Rounds[i])/f.of(base.Rounds[i]))
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
	fmt.Fprintf(out, "\n%s: %s; %s\n", r.Scenario, r.About, r.Figure.About)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, strings.Join(columns, "\t")+"\t")
	for _, s := range r.Targets {
		fmt.Fprintln(w, strings.Join(r.row(s), "\t")+"\t")
	}
	return w.Flush()
}

var columns = []string{"target", "median", "from", "to", "ratio", "from", "to", "messages/s", "busy", "others", "p50", "p99", "max"}

// row has the cells of one target, for columns. What there is no figure for is empty.
func (r report) row(s series) []string {
	cells := make([]string, 1, len(columns))
	cells[0] = s.Name
	if len(s.Rounds) == 0 {
		return append(cells, "failed", "", "", "", "", "", "", "", "", "", "", "")
	}
	least, middle, most := s.spread(r.Figure)
	cells = append(cells, digits(middle)+" "+r.Figure.Unit, digits(least), digits(most))
	if ratios := s.ratios(r.Figure, r.Targets[0]); len(ratios) > 0 {
		cells = append(cells, fmt.Sprintf("%.3f", median(ratios)), fmt.Sprintf("%.2f", slices.Min(ratios)), fmt.Sprintf("%.2f", slices.Max(ratios)))
	} else {
		cells = append(cells, "", "", "")
	}
	if r.Figure == memory {
		return append(cells, "", "", "", "", "", "")
	}
	cells = append(cells,
		fmt.Sprintf("%.0f", s.median(func(r result.Result) float64 { return float64(r.Messages) / r.Wall.Seconds() })),
		fmt.Sprintf("%.0f %%", s.median(func(r result.Result) float64 { return 100 * float64(r.Server) / float64(r.Wall) })),
		fmt.Sprintf("%.0f %%", s.median(func(r result.Result) float64 { return 100 * others(r) })))
	return append(cells, s.latencies()...)
}

// latencies are the cells for p50, p99 and the largest.
func (s series) latencies() []string {
	if s.Rounds[0].Latency == nil {
		return []string{"", "", ""}
	}
	var cells []string
	for _, figure := range []func(r result.Result) float64{
		func(r result.Result) float64 { return float64(r.Latency.P50) },
		func(r result.Result) float64 { return float64(r.Latency.P99) },
		func(r result.Result) float64 { return float64(r.Latency.Max) },
	} {
		cells = append(cells, time.Duration(s.median(figure)).Round(time.Microsecond).String())
	}
	return cells
}

// spread is the least, the middle and the largest figure of all rounds, of which
// there is at least one.
func (s series) spread(f figure) (least, middle, most float64) {
	var figures []float64
	for _, r := range s.Rounds {
		figures = append(figures, f.of(r))
	}
	return slices.Min(figures), median(figures), slices.Max(figures)
}

// digits is v with three significant digits.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
