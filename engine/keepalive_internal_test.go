package engine

import (
	"testing"
	"time"
)

// Pings come after the interval and up to a quarter of it, at random.
func TestPingDelay(t *testing.T) {
	e, err := New(Options{PingInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	shortest, longest := e.pingDelay(), e.pingDelay()
	for range 1000 {
		d := e.pingDelay()
		shortest, longest = min(shortest, d), max(longest, d)
	}
	if shortest < time.Second || longest > 5*time.Second/4 || longest-shortest < time.Second/8 {
		t.Errorf("delays between %v and %v; want them spread over 1 s to 1.25 s", shortest, longest)
	}
}
