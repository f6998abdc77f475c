package bench

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// format is a rate or a number of connections, whole.
func (c Config) format(value float64) string {
	text := strconv.FormatFloat(value, 'f', 0, 64)
	if c.Search == searchRate {
		text += string(PerSecond)
	}
	return text
}

// trying is what find tries in a round; "" with other scenarios.
func (c Config) trying() string {
	switch {
	case c.Scenario != "find":
		return ""
	case c.Search == searchRate:
		return c.format(c.Rate)
	}
	return c.format(float64(c.Connections)) + " connections"
}

// writeFound writes the answer of find, and how it came about.
func (t *Target) writeFound(b *strings.Builder, c Config) {
	f := t.Found
	what := map[string]string{searchRate: "rate", searchConnections: "number of connections"}[c.Search]
	switch {
	case f.Value > 0 && f.Value < f.Trials[len(f.Trials)-1].Value:
		fmt.Fprintf(b, "  %s is the largest %s with %s; %s, %s\n", c.format(f.Value), what, c.Bound.text, f.kept(c), f.broken(c))
	case f.Value > 0:
		fmt.Fprintf(b, "  %s keep %s, and more cannot be tried from here; %s\n", c.format(f.Value), c.Bound.text, f.kept(c))
	case f.Most > 0:
		fmt.Fprintf(b, "  no %s down to %s keeps %s\n", what, c.format(f.Most), c.Bound.text)
	default:
		fmt.Fprintf(b, "  the search for the largest %s with %s has not ended\n", what, c.Bound.text)
	}
	for _, limit := range f.ClientLimits {
		fmt.Fprintf(b, "  beyond that, %s\n", limit)
	}
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "  tried\tkept\t%s\t\t\n", c.Bound.metric)
	for i := range f.Trials {
		trial := &f.Trials[i]
		rounds := trial.Kept + int(total(trial.Broken))
		fmt.Fprintf(table, "  %s\t%d of %d\t%s\t%s\t\n", c.format(trial.Value), trial.Kept, rounds, trial.spread(c.Bound), trial.reasons())
	}
	_ = table.Flush() // a Builder takes everything
}

// kept says how far up the bound is kept for certain.
func (f *Found) kept(c Config) string {
	if f.Least == 0 {
		return "nowhere did all rounds keep it"
	}
	return "all rounds kept it at " + c.format(f.Least)
}

// broken says from where on it is not.
func (f *Found) broken(c Config) string {
	if f.Most == 0 {
		return "and some did everywhere"
	}
	return "none at " + c.format(f.Most)
}

// spread is the median of the figures, and their extremes if there is more than one.
func (t *Trial) spread(bound Threshold) string {
	u, n := metricUnit(bound.metric), len(t.Figures)
	if n == 0 {
		return ""
	}
	figures := slices.Sorted(slices.Values(t.Figures))
	text := u.format(median(figures))
	if n > 1 {
		text += fmt.Sprintf(" (%s … %s)", u.format(figures[0]), u.format(figures[n-1]))
	}
	return text
}

func (t *Trial) reasons() string {
	var all []string
	for _, cause := range sortedCauses(t.Broken) {
		all = append(all, fmt.Sprintf("%d × %s", t.Broken[cause], cause))
	}
	return strings.Join(all, ", ")
}

// writeTrials writes what find tried, each round that has the figure a line.
func (t *Target) writeTrials(out *csv.Writer, bound Threshold) {
	if t.Found == nil {
		return
	}
	for _, trial := range t.Found.Trials {
		for n, v := range trial.Figures {
			name := bound.metric + " at " + strconv.FormatFloat(trial.Value, 'f', -1, 64)
			_ = out.Write([]string{t.URL, strconv.Itoa(n + 1), name, string(metricUnit(bound.metric)), strconv.FormatFloat(v, 'g', -1, 64)})
		}
	}
}
