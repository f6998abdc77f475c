package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBars(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{150 * time.Microsecond, 160 * time.Microsecond, 300 * time.Microsecond, 1500 * time.Microsecond} {
		h.Record(int64(d))
	}
	want := []latencyBar{{200_000, 2}, {500_000, 1}, {1_000_000, 0}, {2_000_000, 1}}
	if got := h.bars(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var b strings.Builder
	writeBars(&b, h)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, want := range []string{
		"≤ 200µs 2 50.00 % " + strings.Repeat("■", 40), "≤ 500µs 1 25.00 % " + strings.Repeat("■", 20),
		"≤ 1ms 0 0.00 %", "≤ 2ms 1 25.00 % " + strings.Repeat("■", 20),
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
	b.Reset()
	if writeBars(&b, Histogram{}); b.Len() != 0 {
		t.Errorf("of nothing: %q", b.String())
	}
	h = Histogram{}
	h.Record(0)
	h.Record(int64(2 * time.Hour)) // counts as one
	if got := h.bars(); len(got) == 0 || got[len(got)-1].bound < int64(time.Hour) {
		t.Errorf("the extremes are in %v", got)
	}
}
