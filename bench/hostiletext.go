package bench

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// stageMetrics are those of the stages of hostile.
func stageMetrics() []metric {
	all := []metric{{"worst.ratio", Ratio, "p99 of the control group in the worst stage, to what it was before the attacks", func(r *Round) (float64, bool) {
		most, known := 0.0, false
		for i := range r.Stages {
			if r.Stages[i].Latency.Count() == 0 {
				return 0, false // nothing came back, or it was interrupted: that has no ratio
			}
			if v, ok := r.ratio(i); ok {
				most, known = max(most, v), true
			}
		}
		return most, known
	}}}
	for i, s := range stages() {
		p99 := func(r *Round) (float64, bool) {
			return stageFigure(r, i, func(s *Stage) (float64, bool) { return s.Latency.At(99).Seconds(), s.Latency.Count() > 0 })
		}
		all = append(all, metric{s.Name + ".p99", Seconds, "latency of the control group in that stage, 99 % below", p99})
		if i > 0 {
			all = append(all, metric{s.Name + ".ratio", Ratio, "that, to what it was before the attacks", func(r *Round) (float64, bool) { return r.ratio(i) }})
		}
		all = append(all, metric{s.Name + ".missing", Count, "messages of the control group that did not come back", func(r *Round) (float64, bool) {
			return stageFigure(r, i, func(s *Stage) (float64, bool) { return float64(s.Missing()), s.Due > 0 })
		}})
		if s.Name != stageBefore && s.Name != stageAfter {
			all = append(all, metric{s.Name + ".open", Count, "attackers still connected at its end", func(r *Round) (float64, bool) {
				return stageFigure(r, i, func(s *Stage) (float64, bool) { return float64(s.Open), s.Attacked > 0 })
			}})
		}
	}
	return all
}

func stageFigure(r *Round, stage int, of func(*Stage) (float64, bool)) (float64, bool) {
	if stage >= len(r.Stages) {
		return 0, false
	}
	return of(&r.Stages[stage])
}

// ratio is the p99 of the control group in a stage to the one before the attacks.
func (r *Round) ratio(stage int) (float64, bool) {
	if stage >= len(r.Stages) {
		return 0, false
	}
	before, during := r.Stages[0].Latency, r.Stages[stage].Latency
	if before.At(99) == 0 || during.Count() == 0 {
		return 0, false
	}
	return float64(during.At(99)) / float64(before.At(99)), true
}

// isOfStage reports whether a metric is shown in the table of stages.
func isOfStage(name string) bool {
	stage, _, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(stages(), func(s Stage) bool { return s.Name == stage })
}

// A stageRow is a stage in words.
type stageRow struct {
	Name, Did, After, Took   string
	P50, P99, Ratio, Missing string  // of the control group
	Harm                     bool    // some are missing
	Width                    float64 // of its bar of P99, in per cent of the largest
}

// stageRows are what the server did with attackers, and what the control group felt of it, in
// all rounds together. There are none without attacks.
func (t *Target) stageRows() (rows []stageRow) {
	var all Tally
	for i := range t.Rounds {
		all.addStages(t.Rounds[i].Stages)
	}
	together := Round{Tally: all}
	var longest time.Duration
	for i := range all.Stages {
		longest = max(longest, all.Stages[i].Latency.At(99))
	}
	for i := range all.Stages {
		s := &all.Stages[i]
		row := stageRow{
			Name: s.Name, Did: causeCounts(s.Outcomes), After: s.after(), Took: s.took(),
			Harm: s.Missing() > 0,
		}
		if s.Due > 0 {
			row.Missing = strconv.FormatUint(s.Missing(), 10)
		}
		if s.Latency.Count() > 0 {
			row.P50, row.P99 = Seconds.format(s.Latency.At(50).Seconds()), Seconds.format(s.Latency.At(99).Seconds())
			row.Width = 100 * float64(s.Latency.At(99)) / float64(max(1, longest))
		}
		if ratio, ok := together.ratio(i); ok && i > 0 {
			row.Ratio = Ratio.format(ratio)
		}
		rows = append(rows, row)
	}
	return rows
}

// writeStages writes the rows as a table.
func (t *Target) writeStages(b *strings.Builder) {
	rows := t.stageRows()
	if len(rows) == 0 {
		return
	}
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "  attack\tthe server\tafter\ttook\tcontrol p50\tp99\tto before\tmissing\n")
	for _, r := range rows {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Did, r.After, r.Took, r.P50, r.P99, r.Ratio, r.Missing)
	}
	_ = table.Flush() // a Builder takes everything
	b.WriteString("\n")
}

// after is how long the server took to end connections, the median.
func (s *Stage) after() string {
	if s.Ended.Count() == 0 {
		return ""
	}
	return Seconds.format(s.Ended.At(50).Seconds())
}

// took is how much could be sent by an attacker.
func (s *Stage) took() string {
	if s.Attackers == 0 {
		return ""
	}
	v, unit := float64(s.Bytes)/float64(s.Attackers), "B"
	for _, larger := range []string{"KiB", "MiB"} {
		if v >= 1024 {
			v, unit = v/1024, larger
		}
	}
	return digits(v, unit == "B") + " " + unit
}

// writeOutcomes writes a line for each thing that the server did with attackers.
func (t *Target) writeOutcomes(out *csv.Writer) {
	for n := range t.Rounds {
		for _, s := range t.Rounds[n].Stages {
			for _, what := range sortedCauses(s.Outcomes) {
				_ = out.Write([]string{t.URL, strconv.Itoa(n + 1), s.Name + ": " + what, "", strconv.Itoa(s.Outcomes[what])})
			}
		}
	}
}
