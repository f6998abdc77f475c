package bench

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestConnect(t *testing.T) {
	for _, workers := range []int{0, 2} {
		for _, rate := range []float64{0, 500} {
			c := quick(serve(t, func() answers { return echoed }))
			c.Scenario, c.Connections, c.Rate, c.PIDs = "connect", 100, rate, []int{os.Getpid()}
			if workers > 0 {
				withWorkers(t, &c, workers)
			}
			c.Duration = time.Hour // nothing to wait for
			report, r := mustRun(t, c)
			if got := faults(&r.Tally); got != (fault{}) || r.Opened != 100 || r.Handshakes.Count() != 100 {
				t.Errorf("faults %+v, %d opened, %d measured", got, r.Opened, r.Handshakes.Count())
			}
			if rate > 0 && r.Opening < 190*time.Millisecond { // the last is due at 198 ms
				t.Errorf("opened within %v at %v per second", r.Opening, rate)
			}
			if r.Server == nil || r.Server.CPUPerConnection <= 0 {
				t.Errorf("the server cost %+v", r.Server)
			}
			if _, ok := report.Targets[0].metric("rate"); ok {
				t.Error("a rate of messages is told, where there are none")
			}
		}
	}
}

// TestConnectTimeline has rates count the time of opening only, not what follows.
func TestConnectTimeline(t *testing.T) {
	c := quick(serve(t, func() answers { return echoed }))
	c.Scenario, c.Connections, c.Rate = "connect", 100, 1000
	withAndWithoutWorkers(t, c, func(t *testing.T, c Config) {
		_, r := mustRun(t, c)
		if len(r.Timeline) != 1 {
			t.Fatalf("the timeline is %+v, want a moment", r.Timeline)
		}
		if rate := float64(r.Opened) / r.Opening.Seconds(); r.Timeline[0].Rate < 0.6*rate || r.Timeline[0].Open != 100 {
			t.Errorf("a moment of %+v, with %v opened per second", r.Timeline[0], rate)
		}
	})
}

// TestConnectRate has a server that does one handshake after the other: the time that all workers
// took is no less than the server's. Workers that began each when it had started took one after
// the other, and the longest of their times is less.
func TestConnectRate(t *testing.T) {
	var handshake sync.Mutex
	var first, last time.Time
	c := quick(hold(t, func(int64) bool {
		handshake.Lock()
		defer handshake.Unlock()
		if first.IsZero() {
			first = time.Now()
		}
		time.Sleep(time.Millisecond) // what a handshake costs this server
		last = time.Now()
		return true
	}, listen))
	c.Scenario, c.Connections = "connect", 20
	withWorkers(t, &c, 4)
	_, r := mustRun(t, c)
	handshake.Lock()
	defer handshake.Unlock()
	if took := last.Sub(first); r.Opened != 20 || r.Opening < took {
		t.Errorf("%d opened in %v, of which the server needed %v", r.Opened, r.Opening, took)
	}
}

// TestConnectTellsWhatIsWrong has a server that does something else with every fourth
// handshake.
func TestConnectTellsWhatIsWrong(t *testing.T) {
	tests := []struct {
		cause  string
		failed http.HandlerFunc
	}{
		{"status 503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }},
		{"status 200", func(http.ResponseWriter, *http.Request) {}},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"handshake timed out", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	}
	for _, tt := range tests {
		t.Run(tt.cause, func(t *testing.T) {
			var n atomic.Int64
			upgrader := websocket.Upgrader{}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1)%4 == 0 {
					tt.failed(w, r)
					return
				}
				c, err := upgrader.Upgrade(w, r, nil)
				if err != nil {
					return
				}
				defer c.Close()
				_, _, _ = c.ReadMessage() // until the client leaves
			}))
			t.Cleanup(s.Close)
			c := quick("ws" + strings.TrimPrefix(s.URL, "http"))
			c.Scenario, c.Connections, c.Timeout = "connect", 40, time.Second
			_, r := mustRun(t, c)
			if r.Opened != 30 || r.Failures[tt.cause] != 10 || len(r.Failures) != 1 {
				t.Errorf("%d opened, failures %v; want 30 and 10 × %s", r.Opened, r.Failures, tt.cause)
			}
		})
	}
}

// TestConnectChargesDelays checks that handshakes count from when they were due: a server that
// accepts nothing for a while is charged for all that were to be opened meanwhile.
func TestConnectChargesDelays(t *testing.T) {
	var n atomic.Int64
	ready := make(chan struct{})
	upgrader := websocket.Upgrader{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			time.AfterFunc(200*time.Millisecond, func() { close(ready) }) // the server's delay, which is measured
		}
		<-ready
		if c, err := upgrader.Upgrade(w, r, nil); err == nil {
			defer c.Close()
			_, _, _ = c.ReadMessage()
		}
	}))
	t.Cleanup(s.Close)
	c := quick("ws" + strings.TrimPrefix(s.URL, "http"))
	c.Scenario, c.Connections, c.Rate = "connect", 40, 200
	_, r := mustRun(t, c)
	// One is due every 5 ms, so 20 have to wait 100 ms or more.
	if got := longer(r.Handshakes, 95*time.Millisecond); got < 19 || r.Opened != 40 {
		t.Errorf("%d handshakes of 95 ms or more, %d opened; want 19 and 40", got, r.Opened)
	}
}
