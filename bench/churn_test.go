package bench

import (
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const churned = 100 // connections that come, and as many that go

// churning is a Config for one short round of churn.
func churning(url string) Config {
	c := quick(url)
	c.Scenario, c.Connections, c.Rate = "churn", 20, 200
	return c
}

func TestChurn(t *testing.T) {
	withAndWithoutWorkers(t, churning(""), func(t *testing.T, c Config) {
		var open, most, early atomic.Int64
		c.URLs = []string{hold(t, anybody, func(n int64, c *websocket.Conn) {
			if now := open.Add(1); now > most.Load() {
				most.Store(now) // roughly
			}
			defer open.Add(-1)
			_, _, err := c.ReadMessage()
			if websocket.IsCloseError(err, websocket.CloseNormalClosure) && n <= churned {
				early.Add(1)
			}
		})}
		_, r := mustRun(t, c)
		if got := faults(&r.Tally); got != (fault{}) || r.Opened != 20 || r.Arrived != churned || r.Departed != churned {
			t.Errorf("faults %+v, %d opened, %d arrived, %d departed", got, r.Opened, r.Arrived, r.Departed)
		}
		if r.Latency.Count() != churned || r.Closings.Count() != churned || r.SendLag.Count() != churned {
			t.Errorf("measured %d arrivals, %d departures, %d times to begin", r.Latency.Count(), r.Closings.Count(), r.SendLag.Count())
		}
		if c.Workers < 2 && early.Load() != churned { // workers do not wait for each other
			t.Errorf("%d of the first %d connections departed", early.Load(), churned)
		}
		if most.Load() > 20+churned/2 {
			t.Errorf("%d connections at a time; want about 20", most.Load())
		}
	})
}

// TestChurnTellsFailures has a server that refuses every tenth connection under load.
func TestChurnTellsFailures(t *testing.T) {
	var refused atomic.Int64
	c := churning(hold(t, func(n int64) bool {
		if n > 20 && n%10 == 0 {
			refused.Add(1)
			return false
		}
		return true
	}, listen))
	_, r := mustRun(t, c)
	if want := map[string]int{"status 503": 10}; !maps.Equal(r.Failures, want) || refused.Load() != 10 {
		t.Errorf("failures %v; want %v", r.Failures, want)
	}
	// For each that is known to be refused one stays.
	if got := r.Departed; r.Arrived != churned-10 || got < churned-10 || got > churned || len(r.Drops) != 0 {
		t.Errorf("%d arrived, %d departed, drops %v; want %d of both", r.Arrived, got, r.Drops, churned-10)
	}
}

// TestChurnTellsBadDepartures has servers that do not close as they should.
func TestChurnTellsBadDepartures(t *testing.T) {
	ignore := func(int, string) error { return nil }
	tests := []struct {
		cause string
		leave func(c *websocket.Conn)
	}{
		{"hung up without a close frame", func(*websocket.Conn) {}},
		{"close frame not answered", func(c *websocket.Conn) { _, _ = c.NetConn().Read(make([]byte, 1)) }},
	}
	for _, tt := range tests {
		t.Run(tt.cause, func(t *testing.T) {
			c := churning(hold(t, anybody, func(n int64, c *websocket.Conn) {
				if n%10 != 5 {
					listen(n, c)
					return
				}
				c.SetCloseHandler(ignore)
				listen(n, c)
				tt.leave(c)
			}))
			c.Timeout = 300 * time.Millisecond
			_, r := mustRun(t, c)
			if want := map[string]int{tt.cause: 10}; !maps.Equal(r.Drops, want) || r.Departed != churned-10 || r.Arrived != churned {
				t.Errorf("drops %v, %d departed, %d arrived; want %v, %d, %d", r.Drops, r.Departed, r.Arrived, want, churned-10, churned)
			}
		})
	}
}

// TestChurnTellsDelays has a server that takes its time to close every tenth connection.
func TestChurnTellsDelays(t *testing.T) {
	c := churning(hold(t, anybody, func(n int64, c *websocket.Conn) {
		listen(n, c)
		if n%10 == 5 {
			time.Sleep(stall) // the server's, which is measured
		}
	}))
	_, r := mustRun(t, c)
	if got := longer(r.Closings, stall); got < 10 || r.Departed != churned {
		t.Errorf("%d departures of %v or more, of %d; want 10 of %d", got, stall, r.Departed, churned)
	}
}

// Connections that the server ends are replaced.
func TestChurnTellsDrops(t *testing.T) {
	c := churning(hold(t, anybody, func(n int64, c *websocket.Conn) {
		if n > 5 {
			listen(n, c)
		}
	}))
	c.WarmUp = 100 * time.Millisecond
	_, r := mustRun(t, c)
	if want := map[string]int{"hung up": 5}; !maps.Equal(r.Drops, want) || r.Arrived != churned || r.Departed != churned {
		t.Errorf("drops %v, %d arrived, %d departed; want %v, %d of both", r.Drops, r.Arrived, r.Departed, want, churned)
	}
}
