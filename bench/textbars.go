package bench

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

const barWidth = 40 // of the longest, in characters

// A latencyBar is how many latencies lie up to a bound, and above that of the bar before.
type latencyBar struct {
	bound int64 // in nanoseconds: 1, 2 or 5 times a power of ten
	count int64
}

// counted are the durations that were counted, in order, as exactly as they are known.
func (h Histogram) counted() (all []latencyBar) {
	if h.h == nil {
		return nil
	}
	for _, bar := range h.h.Distribution() {
		if bar.Count > 0 {
			all = append(all, latencyBar{bar.To, bar.Count})
		}
	}
	return all
}

// bars are how many durations lie up to each bound, from the shortest to the longest.
func (h Histogram) bars() (all []latencyBar) {
	rest := h.counted()
	if len(rest) == 0 {
		return nil
	}
	bounds := func(yield func(int64) bool) {
		for decade := int64(1); ; decade *= 10 {
			for _, step := range []int64{1, 2, 5} {
				if !yield(step * decade) {
					return
				}
			}
		}
	}
	for bound := range bounds {
		b := latencyBar{bound: bound}
		for len(rest) > 0 && rest[0].bound <= bound {
			b.count += rest[0].count
			rest = rest[1:]
		}
		if b.count > 0 || len(all) > 0 {
			all = append(all, b)
		}
		if len(rest) == 0 {
			return all
		}
	}
	return all
}

// latency is that of all rounds; where opening is measured, that of handshakes.
func (t *Target) latency(c Config) (all Histogram) {
	for i := range t.Rounds {
		of := t.Rounds[i].Latency
		if c.opening() {
			of = t.Rounds[i].Handshakes
		}
		all.Merge(of)
	}
	return all
}

// writeBars draws how latencies are spread.
func writeBars(b *strings.Builder, h Histogram) {
	bars := h.bars()
	var most int64
	for _, bar := range bars {
		most = max(most, bar.count)
	}
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, bar := range bars {
		width := (bar.count*barWidth + most - 1) / most // what there is shows
		share := 100 * float64(bar.count) / float64(h.Count())
		fmt.Fprintf(table, "  ≤ %v\t%d\t%.2f %%\t  %s\n", time.Duration(bar.bound), bar.count, share, strings.Repeat("■", int(width)))
	}
	_ = table.Flush() // a Builder takes everything
}
