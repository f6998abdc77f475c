package bench

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestTimeline(t *testing.T) {
	l := timeline{workers: 2}
	told := func(worker int, number int64, took time.Duration, received, errors uint64, latency time.Duration) {
		tick := tick{Open: 3, Received: received, Errors: errors, Slot: number, Took: took}
		tick.Latency.Record(int64(latency))
		l.add(worker, &tick)
	}
	told(0, 1, tickInterval, 100, 0, time.Millisecond)
	told(0, -1, tickInterval/2, 50, 1, time.Millisecond)
	told(1, -1, tickInterval, 50, 2, 3*time.Millisecond)
	told(0, 0, 0, 1000, 9, time.Second) // not part of it
	got := l.all()
	want := []Moment{
		{At: -tickInterval, Open: 6, Rate: 300, Errors: 3, P50: time.Millisecond, P99: 3 * time.Millisecond},
		{At: tickInterval, Open: 6, Rate: 200, P50: time.Millisecond, P99: time.Millisecond},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, m := range got {
		m.P50, m.P99 = m.P50.Round(time.Millisecond), m.P99.Round(time.Millisecond)
		if m != want[i] {
			t.Errorf("got %+v, want %+v", m, want[i])
		}
	}
}

// TestTimelineOfWorkersThatFinish has one worker begin late, and one finish early, with half a tick
// that is too short for the timeline: its connections are still there.
func TestTimelineOfWorkersThatFinish(t *testing.T) {
	l := timeline{workers: 3}
	for _, told := range []struct {
		worker int
		tick   tick
	}{
		{0, tick{Slot: 0, Open: 10, Took: tickInterval}},
		{1, tick{Slot: 0, Open: 1, Took: tickInterval}},
		{0, tick{Slot: 1, Open: 20}},
		{1, tick{Slot: 1, Open: 2, Took: tickInterval}},
		{2, tick{Slot: 1, Open: 100, Took: tickInterval}},
		{1, tick{Slot: 2, Open: 3, Took: tickInterval}},
		{2, tick{Slot: 2, Open: 200, Took: tickInterval}},
	} {
		l.add(told.worker, &told.tick)
	}
	var got []int
	for _, m := range l.all() {
		got = append(got, m.Open)
	}
	if want := []int{11, 122, 223}; !slices.Equal(got, want) {
		t.Errorf("open: %v, want %v", got, want)
	}
}

// TestTimelineAgreesWithTheRound adds up what the timeline tells.
func TestTimelineAgreesWithTheRound(t *testing.T) {
	c := quick(serve(t, func() answers {
		return every(100, func(_ int, kind int, m []byte) []reply {
			return []reply{{kind, m}, {kind, []byte("news")}}
		})
	}))
	withWorkers(t, &c, 2)
	c.Rate, c.WarmUp, c.Duration = 1000, tickInterval, 2*tickInterval
	_, r := mustRun(t, c)
	last := time.Duration(math.MinInt64)
	var errors uint64
	for i, m := range r.Timeline {
		if m.At <= last || m.At < -c.WarmUp || m.At >= c.Duration || m.Open != 4 || m.Rate <= 0 || m.P50 <= 0 || m.P99 < m.P50 {
			t.Errorf("moment %d is %+v", i, m)
		}
		last = m.At
		errors += m.Errors
	}
	// 1500 messages were due, and 3 of each connection were followed by another.
	if len(r.Timeline) == 0 || errors != 12 {
		t.Errorf("%d moments with %d errors", len(r.Timeline), errors)
	}
}

func TestTimelineOfConnect(t *testing.T) {
	c := quick(serve(t, func() answers { return echoed }))
	c.Scenario = "connect"
	_, r := mustRun(t, c)
	if n := len(r.Timeline); n == 0 || r.Timeline[n-1].Open != 4 || r.Timeline[0].P99 <= 0 {
		t.Errorf("%+v", r.Timeline)
	}
}
