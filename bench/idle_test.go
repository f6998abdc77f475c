package bench

import (
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// pinging is a Config for one short round of idle: 100 pings, 5 to each connection.
func pinging(url string) Config {
	c := quick(url)
	c.Scenario, c.Connections, c.Rate = "idle", 20, 200
	return c
}

func TestIdle(t *testing.T) {
	url := hold(t, anybody, listen)
	withAndWithoutWorkers(t, pinging(url), func(t *testing.T, c Config) {
		report, r := mustRun(t, c)
		if got := faults(&r.Tally); got != (fault{}) || r.Opened != 20 || r.Sent != 100 || r.Latency.Count() != 100 {
			t.Errorf("faults %+v, %d opened, %d pings, %d measured", got, r.Opened, r.Sent, r.Latency.Count())
		}
		text := new(strings.Builder)
		if err := report.WriteText(text); err != nil || !strings.Contains(text.String(), "from when a ping was due") {
			t.Errorf("%v, %s", err, text)
		}
	})
}

// By default each connection is pinged once a second, with the smallest payload.
func TestIdleDefaults(t *testing.T) {
	c := Config{Scenario: "idle", Connections: 300}.withDefaults()
	if c.Rate != 300 || c.PayloadBytes != stampBytes {
		t.Errorf("rate %v, payload of %d bytes; want 300, %d", c.Rate, c.PayloadBytes, stampBytes)
	}
}

// TestIdleTellsWhatIsWrong compares what servers do with every tenth ping with what the
// report says.
func TestIdleTellsWhatIsWrong(t *testing.T) {
	pong := func(c *websocket.Conn, payload string) error {
		return c.WriteControl(websocket.PongMessage, []byte(payload), time.Time{})
	}
	tests := []struct {
		name   string
		answer func(c *websocket.Conn, payload string) error
		want   fault
	}{
		{"not answered", func(*websocket.Conn, string) error { return nil }, fault{Lost: 10}},
		{"answered twice", func(c *websocket.Conn, p string) error { _ = pong(c, p); return pong(c, p) }, fault{Duplicate: 10}},
		{"answered with nothing", func(c *websocket.Conn, _ string) error { return pong(c, "") }, fault{Wrong: 10}},
		{"answered with more", func(c *websocket.Conn, p string) error { return pong(c, p+"x") }, fault{Wrong: 10}},
		{"a pong that answers nothing before", func(c *websocket.Conn, p string) error { _ = pong(c, ""); return pong(c, p) }, fault{Unasked: 10}},
		{"messages besides", func(c *websocket.Conn, p string) error {
			_ = c.WriteMessage(websocket.TextMessage, []byte("news"))
			return pong(c, p)
		}, fault{}},
		{"pings besides", func(c *websocket.Conn, p string) error {
			_ = c.WriteControl(websocket.PingMessage, []byte(p), time.Time{})
			return pong(c, p)
		}, fault{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var pings atomic.Int64
			c := pinging(hold(t, anybody, func(n int64, c *websocket.Conn) {
				c.SetPingHandler(func(payload string) error {
					if pings.Add(1)%10 == 0 {
						return tt.answer(c, payload)
					}
					return pong(c, payload)
				})
				listen(n, c)
			}))
			c.Timeout = time.Second
			_, r := mustRun(t, c)
			if got := faults(&r.Tally); got != tt.want || r.Sent != 100 {
				t.Errorf("faults %+v of %d pings; want %+v of 100", got, r.Sent, tt.want)
			}
		})
	}
}

// TestIdleTellsWhoDropped has a server that ends connections in three ways, each upon its
// second ping, and does not answer that.
func TestIdleTellsWhoDropped(t *testing.T) {
	c := pinging(hold(t, anybody, func(n int64, c *websocket.Conn) {
		pings := 0
		c.SetPingHandler(func(payload string) error {
			if pings++; pings < 2 || n > 9 {
				return c.WriteControl(websocket.PongMessage, []byte(payload), time.Time{})
			}
			switch n % 3 {
			case 0:
				_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Time{})
			case 1:
				_ = c.NetConn().Close()
			case 2:
				_ = c.NetConn().(interface{ SetLinger(int) error }).SetLinger(0)
				_ = c.NetConn().Close()
			}
			return nil
		})
		listen(n, c)
	}))
	_, r := mustRun(t, c)
	want := map[string]int{"closed with 1001": 3, "hung up": 3, "connection reset by peer": 3}
	if !maps.Equal(r.Drops, want) {
		t.Errorf("drops %v; want %v", r.Drops, want)
	}
	// Of the five pings to each of them, only the first is answered.
	got := faults(&r.Tally)
	if missed := got.Lost + got.Unsent; missed != 9*4 || got.Lost < 9 {
		t.Errorf("%d pings lost, %d not sent; want %d together", got.Lost, got.Unsent, 9*4)
	}
	got.Lost, got.Unsent = 0, 0
	if got != (fault{Dropped: 9}) {
		t.Errorf("faults %+v", got)
	}
}
