package bench

import (
	"testing"
	"time"
)

// TestNowIsOfTheMachine compares now with the system's steady clock: a clock that began with the
// wall clock of each process had workers disagree once that was set.
func TestNowIsOfTheMachine(t *testing.T) {
	for range 100 {
		before, at, after := systemClock(), now(), systemClock()
		const apart = int64(time.Second) // what may lie between two readings, and is far less
		if before == 0 || at < before-apart || at > after+apart {
			t.Fatalf("now is %d, between %d and %d by the system's clock", at, before, after)
		}
	}
}

// TestMeasuredFrom has the report tell a time of the wall clock.
func TestMeasuredFrom(t *testing.T) {
	c := quick(serve(t, func() answers { return echoed }))
	c.Duration, c.Connections = 50*time.Millisecond, 1
	_, r := mustRun(t, c)
	if ended := time.Now(); r.MeasuredFrom.Before(r.Began) || r.MeasuredFrom.After(ended) {
		t.Errorf("began at %v, measured from %v, ended before %v", r.Began, r.MeasuredFrom, ended)
	}
}
