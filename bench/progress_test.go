package bench

import (
	"testing"
	"time"
)

// TestProgressOfTwoWorkers has ticks of two workers arrive in changing order: no report has
// two of one and none of the other.
func TestProgressOfTwoWorkers(t *testing.T) {
	var got []uint64
	var last uint64
	d := &director{config: Config{Workers: 2, Progress: func(p Progress) {
		got = append(got, p.Received-last)
		last = p.Received
	}}}
	received := []uint64{1, 100}
	for _, worker := range []int{0, 1, 1, 0, 0, 1, 1, 0} {
		d.progress.told = time.Now().Add(-tickInterval)
		d.tell(worker, &tick{Received: received[worker]})
	}
	if len(got) != 4 {
		t.Fatalf("%d reports of 4 ticks of each: %v", len(got), got)
	}
	for _, n := range got {
		if n != 101 {
			t.Errorf("reports of %v messages, want 101 in each", got)
		}
	}
	d.progress.told = time.Now().Add(-3 * tickInterval)
	if d.tell(0, &tick{Received: 1}); len(got) != 5 {
		t.Error("nothing is reported while a worker is stuck")
	}
}
