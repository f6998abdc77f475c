package bench

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestRoundsWithoutAFigure has servers that in the second of three rounds answer nothing, or
// end all connections at once. Such a round keeps no bound of a latency, and its rate counts.
func TestRoundsWithoutAFigure(t *testing.T) {
	ofSecond := func(n int64) bool { return 4 < n && n <= 8 }
	tests := []struct {
		name  string
		rate  float64
		serve func(n int64, c *websocket.Conn)
	}{
		{"silent", 200, func(n int64, c *websocket.Conn) {
			for {
				kind, message, err := c.ReadMessage()
				if err != nil || !ofSecond(n) && c.WriteMessage(kind, message) != nil {
					return
				}
			}
		}},
		{"gone", 0, func(n int64, c *websocket.Conn) {
			for !ofSecond(n) {
				kind, message, err := c.ReadMessage()
				if err != nil || c.WriteMessage(kind, message) != nil {
					return
				}
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := quick(hold(t, anybody, tt.serve))
			c.Rate, c.Rounds, c.Duration, c.Timeout = tt.rate, 3, 100*time.Millisecond, 300*time.Millisecond
			report, _ := mustRun(t, c)
			bound, err := ParseThreshold("p99<1h")
			if err != nil {
				t.Fatal(err)
			}
			err = report.Check([]Threshold{bound})
			if want := "there is no figure for p99<1h in 1 of 3 rounds"; !errors.Is(err, ErrThreshold) || !strings.Contains(err.Error(), want) {
				t.Errorf("Check = %v; want %q", err, want)
			}
			if m, _ := report.Targets[0].metric("rate"); m.Least != 0 || m.Value == 0 || m.Lacking != 0 {
				t.Errorf("the rate is %+v", m)
			}
		})
	}
}
