package bench

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// format is a rate or a number of connections.
func (c Config) format(value float64) string {
	if c.Search == searchRate {
		return digits(value, value >= 100) + string(PerSecond)
	}
	return digits(value, true)
}

// searched is what find looks for.
func (c Config) searched() string {
	if c.Search == searchRate {
		return "rate"
	}
	return "number of connections"
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

// answer says what was found, in a few sentences.
func (f *Found) answer(c Config) (lines []string) {
	what := c.searched()
	switch {
	case f.Value > 0 && f.Value < f.Trials[len(f.Trials)-1].Value:
		lines = append(lines, fmt.Sprintf("%s is the largest %s with %s; %s, %s", c.format(f.Value), what, c.Bound.text, f.kept(c), f.broken(c)))
	case f.Value > 0:
		lines = append(lines, fmt.Sprintf("%s keep %s, and more cannot be tried from here; %s", c.format(f.Value), c.Bound.text, f.kept(c)))
	case f.Most > 0:
		lines = append(lines, fmt.Sprintf("no %s down to %s keeps %s", what, c.format(f.Most), c.Bound.text))
	default:
		lines = append(lines, fmt.Sprintf("the search for the largest %s with %s has not ended", what, c.Bound.text))
	}
	for _, limit := range f.ClientLimits {
		lines = append(lines, "beyond that, "+limit)
	}
	return lines
}

// write writes the answer of find, and how it came about.
func (f *Found) write(b *strings.Builder, c Config) {
	for _, line := range f.answer(c) {
		fmt.Fprintf(b, "  %s\n", line)
	}
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "  tried\tkept\t%s\t\t\n", c.Bound.metric)
	for i := range f.Trials {
		t := &f.Trials[i]
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t\n", c.format(t.Value), t.share(), t.spread(c.Bound), causeCounts(t.Broken))
	}
	_ = table.Flush() // a Builder takes everything
}

// share is how many of the rounds kept the bound.
func (t *Trial) share() string { return fmt.Sprintf("%d of %d", t.Kept, t.Kept+int(total(t.Broken))) }

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
