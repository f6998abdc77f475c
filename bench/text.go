package bench

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// format is a figure with its unit, in three digits.
func (u Unit) format(v float64) string {
	switch u {
	case Seconds:
	case Percent:
		return strconv.FormatFloat(math.Floor(v*1e4)/1e4, 'f', -1, 64) + " %" // less than all is never shown as all
	case Count, PerSecond:
		return digits(v, u == Count) + string(u)
	default:
		return digits(v, u == Connected) + " " + string(u)
	}
	switch {
	case v == 0:
		return "0 s"
	case v < 1e-6:
		return digits(v*1e9, false) + " ns"
	case v < 1e-3:
		return digits(v*1e6, false) + " µs"
	case v < 1:
		return digits(v*1e3, false) + " ms"
	}
	return digits(v, false) + " s"
}

// digits is v with three significant digits, but no digit before the point left out, or
// whole.
func digits(v float64, whole bool) string {
	decimals := 0
	if !whole && v != 0 {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	return strconv.FormatFloat(v, 'f', min(decimals, 6), 64)
}

// loop says how messages were sent, and what latencies therefore mean.
func (c Config) loop() string {
	if c.opening() {
		if c.Rate == 0 {
			return fmt.Sprintf("as fast as the server takes them, %d handshakes under way for each worker", mostDialling)
		}
		return fmt.Sprintf("open loop, %s: handshakes count from when they were due", PerSecond.format(c.Rate))
	}
	if c.Scenario == "find" && c.Search == searchRate {
		return "open loop at each rate: latency counts from when a message was due"
	}
	switch c.Scenario {
	case "replay":
		return fmt.Sprintf("open loop, %s at %s: lateness counts from when a message was due", c.Recording, Ratio.format(c.Speed))
	case "hostile":
		return fmt.Sprintf("control group in an open loop, %s: latency counts from when a message was due; %d attackers at a time", PerSecond.format(c.Rate), c.Attackers)
	case "storm":
		return "all connections are cut at once: latency counts from then until one is back"
	case "churn":
		return fmt.Sprintf("open loop, %s: latency counts from when a connection was due until it was open", PerSecond.format(c.Rate))
	case "idle":
		return fmt.Sprintf("open loop, %s: latency counts from when a ping was due until its pong", PerSecond.format(c.Rate))
	}
	if c.Rate > 0 {
		return fmt.Sprintf("open loop, %s: latency counts from when a message was due", PerSecond.format(c.Rate))
	}
	return fmt.Sprintf("closed loop, %d in flight: latency leaves out what a stall kept from being sent; for that give a rate", c.InFlight)
}

// headline says in a line what was done.
func (c Config) headline() string {
	what := counted(c.Connections, "connection")
	if c.Scenario == "fanout" {
		what = counted(c.Connections, "subscriber") + ", " + counted(c.Publishers, "publisher")
	}
	line := fmt.Sprintf("%s: %s, %s, %s", c.Scenario, what, counted(c.Workers, "worker"), counted(c.Rounds, "round"))
	line += c.roundLength()
	if !scenarios[c.Scenario].silent {
		line += fmt.Sprintf(", %d bytes", c.PayloadBytes)
	}
	return line
}

// roundLength is how long a round is, if that is given.
func (c Config) roundLength() string {
	switch {
	case c.opening():
		return ""
	case c.Scenario == "replay":
		return fmt.Sprintf(" of %v", c.Duration)
	}
	return fmt.Sprintf(" of %v after %v of warm-up", c.Duration, c.WarmUp)
}

// counted is n with what is counted, in the plural if it has to be.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// WriteText writes a summary to read.
func (r *Report) WriteText(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s\n%s\n", r.Config.headline(), r.Config.loop())
	for i := range r.Targets {
		r.writeTarget(b, i)
	}
	for _, warning := range r.Warnings() {
		fmt.Fprintf(b, "\nwarning: %s\n", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeTarget writes the figures of a server, and their ratio to those of the first.
func (r *Report) writeTarget(b *strings.Builder, i int) {
	t := &r.Targets[i]
	fmt.Fprintf(b, "\n%s\n", t.URL)
	if t.Found != nil {
		t.Found.write(b, r.Config)
	}
	t.writeStages(b)
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, m := range t.Metrics() {
		if m.Unit == Count && m.Value == 0 && m.Name != "errors" || isOfStage(m.Name) {
			continue
		}
		fmt.Fprintf(table, "  %s\t%s\t", m.Name, m.Unit.format(m.Value))
		if len(t.Rounds) > 1 {
			fmt.Fprintf(table, "%s\t", t.spread(m))
		}
		if first, ok := r.Targets[0].metric(m.Name); ok && i > 0 && first.Value > 0 {
			fmt.Fprintf(table, "× %s\t", digits(m.Value/first.Value, false))
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush() // a Builder takes everything
	if latency := t.latency(r.Config); latency.Count() > 0 {
		fmt.Fprint(b, "\n  how many took how long\n")
		writeBars(b, latency)
	}
	for _, round := range t.Rounds {
		writeCauses(b, "failed", round.Failures)
		writeCauses(b, "dropped", round.Drops)
		writeCauses(b, "not published", round.Refusals)
	}
}

// spread says between which extremes a figure lies, and how many rounds lack it.
func (t *Target) spread(m Metric) string {
	text := fmt.Sprintf("%s … %s", m.Unit.format(m.Least), m.Unit.format(m.Most))
	if m.Lacking > 0 {
		text += fmt.Sprintf(", none in %d of %d rounds", m.Lacking, len(t.Rounds))
	}
	return text
}

func writeCauses(b *strings.Builder, what string, causes map[string]int) {
	for _, line := range causeLines(what, causes) {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

// causeLines says what happened how often, and why.
func causeLines(what string, causes map[string]int) (lines []string) {
	for _, cause := range sortedCauses(causes) {
		lines = append(lines, fmt.Sprintf("%s: %d × %s", what, causes[cause], cause))
	}
	return lines
}

// causeCounts is what happened how often, in one line.
func causeCounts(causes map[string]int) string {
	var all []string
	for _, cause := range sortedCauses(causes) {
		all = append(all, fmt.Sprintf("%d × %s", causes[cause], cause))
	}
	return strings.Join(all, ", ")
}

func sortedCauses(causes map[string]int) []string { return slices.Sorted(maps.Keys(causes)) }

// WriteCSV writes one line for each figure of each round of each server.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"url", "round", "metric", "unit", "value"}) // Error tells
	for _, t := range r.Targets {
		for n := range t.Rounds {
			for _, m := range metrics {
				if v, ok := m.of(&t.Rounds[n]); ok {
					_ = out.Write([]string{t.URL, strconv.Itoa(n + 1), m.name, string(m.unit), strconv.FormatFloat(v, 'g', -1, 64)})
				}
			}
		}
		t.writeOutcomes(out)
		t.writeTrials(out, r.Config.Bound)
	}
	out.Flush()
	return out.Error()
}
