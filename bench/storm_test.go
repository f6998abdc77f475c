package bench

import (
	"context"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const stormy = 60 // connections

// storming is a Config for a storm, which ends when all are back.
func storming(url string) Config {
	c := quick(url)
	c.Scenario, c.Connections, c.Duration = "storm", stormy, time.Hour
	return c
}

func TestStorm(t *testing.T) {
	withAndWithoutWorkers(t, storming(hold(t, anybody, listen)), func(t *testing.T, c Config) {
		c.Rounds = 2
		report, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range report.Targets[0].Rounds {
			r := &report.Targets[0].Rounds[i]
			if got := faults(&r.Tally); got != (fault{}) || r.Cut != stormy || r.Arrived != stormy || r.Latency.Count() != stormy {
				t.Errorf("faults %+v, %d cut, %d back, %d measured", got, r.Cut, r.Arrived, r.Latency.Count())
			}
		}
		if m, ok := report.Targets[0].metric("back.all"); !ok || m.Value <= 0 {
			t.Errorf("back.all is %+v", m)
		}
	})
}

// TestStormTellsFailures has a server that refuses every tenth connection that wants to
// come back, and sees that they try again.
func TestStormTellsFailures(t *testing.T) {
	var refused atomic.Int64
	c := storming(hold(t, func(n int64) bool {
		if n > stormy && n%10 == 0 {
			refused.Add(1)
			return false
		}
		return true
	}, listen))
	report, r := mustRun(t, c)
	if want := map[string]int{"status 503": int(refused.Load())}; !maps.Equal(r.Failures, want) || refused.Load() < stormy/10 {
		t.Errorf("failures %v; want %v", r.Failures, want)
	}
	if got := len(r.Drops); got != 0 || r.Cut != stormy || r.Arrived != stormy {
		t.Errorf("%d cut, %d back, drops %v", r.Cut, r.Arrived, r.Drops)
	}
	// Those that were refused waited for their next attempt.
	if got := longer(r.Latency, retryDelay); got < stormy/10 {
		t.Errorf("%d were back after %v or more; want %d", got, retryDelay, stormy/10)
	}
	if m, _ := report.Targets[0].metric("errors"); m.Value != float64(refused.Load()) {
		t.Errorf("%v errors, %d refused", m.Value, refused.Load())
	}
}

// TestStormTellsWhoIsMissing has a server that does not take all of them back.
func TestStormTellsWhoIsMissing(t *testing.T) {
	const back = stormy - 7
	var refused atomic.Int64
	c := storming(hold(t, func(n int64) bool {
		if n > stormy+back {
			refused.Add(1)
			return false
		}
		return true
	}, listen))
	c.Duration = 500 * time.Millisecond
	report, r := mustRun(t, c)
	if r.Cut != stormy || r.Arrived != back || r.missing() != 7 || r.Latency.Count() != back {
		t.Errorf("%d cut, %d back, %d missing; want %d, %d, 7", r.Cut, r.Arrived, r.missing(), stormy, back)
	}
	if want := map[string]int{"status 503": int(refused.Load())}; !maps.Equal(r.Failures, want) {
		t.Errorf("failures %v; want %v", r.Failures, want)
	}
	if m, ok := report.Targets[0].metric("back.all"); ok {
		t.Errorf("back.all is %+v, though some are missing", m)
	}
	if m, _ := report.Targets[0].metric("errors"); m.Value != float64(refused.Load()+7) {
		t.Errorf("%v errors; want %d", m.Value, refused.Load()+7)
	}
}

// TestStormTellsDrops has a server that drops some connections before the storm, and others
// after they have come back.
func TestStormTellsDrops(t *testing.T) {
	c := storming(hold(t, anybody, func(n int64, c *websocket.Conn) {
		if n <= 5 || n > stormy && n <= stormy+3 {
			return
		}
		listen(n, c)
	}))
	c.WarmUp = 100 * time.Millisecond // in which the first end
	_, r := mustRun(t, c)
	if r.Cut != stormy-5 || r.Arrived != stormy-5 || r.Drops["hung up"] != 8 || len(r.Drops) != 1 {
		t.Errorf("%d cut, %d back, drops %v; want %d, %d, 8 × hung up", r.Cut, r.Arrived, r.Drops, stormy-5, stormy-5)
	}
}

// TestStormInterrupted ends a storm in which nobody comes back.
func TestStormInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := storming(hold(t, func(n int64) bool {
		if n > stormy {
			cancel()
		}
		return n <= stormy
	}, listen))
	report, err := Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	r := &report.Targets[0].Rounds[0]
	if !report.Interrupted || r.Cut != stormy || r.Arrived != 0 || r.Failures["status 503"] == 0 {
		t.Errorf("interrupted %v, %d cut, %d back, failures %v", report.Interrupted, r.Cut, r.Arrived, r.Failures)
	}
}
