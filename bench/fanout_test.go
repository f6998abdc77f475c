package bench

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A room hands every message to everyone in it. What a member that never published is
// to get goes through a filter of its own.
type room struct {
	mu      sync.Mutex
	members []*member
	filter  func() answers
}

type member struct {
	conn      *websocket.Conn
	publishes bool
	received  int
	filter    answers
}

// serveRoom starts a server with one room.
func serveRoom(t *testing.T, filter func() answers) string {
	t.Helper()
	r := &room{filter: filter}
	return r.serve(t, nil)
}

// serve starts a server with the room. post is what POST requests are for.
func (r *room) serve(t *testing.T, post http.HandlerFunc) string {
	t.Helper()
	var connections sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		connections.Add(1)
		defer connections.Done()
		if q.Method == http.MethodPost && post != nil {
			post(w, q)
			return
		}
		r.join(w, q)
	}))
	t.Cleanup(func() {
		s.Close()
		connections.Wait()
	})
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// join makes a request a member, and returns when that has left.
func (r *room) join(w http.ResponseWriter, q *http.Request) {
	upgrader := websocket.Upgrader{}
	r.mu.Lock() // until it has joined: nobody publishes before everyone has
	c, err := upgrader.Upgrade(w, q, nil)
	if err != nil {
		r.mu.Unlock()
		return
	}
	m := &member{conn: c, filter: r.filter()}
	r.members = append(r.members, m)
	r.mu.Unlock()
	defer c.Close()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		r.publish(m, kind, message)
	}
}

func (r *room) publish(from *member, kind int, message []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from.publishes = true
	for _, m := range r.members {
		replies := []reply{{kind, message}}
		if !m.publishes {
			replies = m.filter(m.received, kind, append([]byte(nil), message...))
			m.received++
		}
		for _, p := range replies {
			if p.kind == hangUp {
				m.conn.Close()
				continue
			}
			_ = m.conn.WriteMessage(p.kind, p.payload) // to one that has left
		}
	}
}

// quickFanout publishes 200 messages to 10 subscribers.
func quickFanout(url string) Config {
	c := quick(url)
	c.Scenario, c.Connections, c.Rate = "fanout", 10, 400
	return c
}

func TestFanoutOfAGoodServer(t *testing.T) {
	url := serveRoom(t, func() answers { return echoed })
	for _, workers := range []int{0, 3} {
		c := quickFanout(url)
		if workers > 0 {
			withWorkers(t, &c, workers)
		}
		report, r := mustRun(t, c)
		if got := faults(&r.Tally); got != (fault{}) || r.Subscribers != 10 || r.Sent != 200 || r.Expected != 2000 {
			t.Errorf("%d workers: faults %+v, %d subscribers, %d sent, %d expected", workers, got, r.Subscribers, r.Sent, r.Expected)
		}
		if r.Latency.Count() != 2000 || r.First.Count() != 200 || r.Median.Count() != 200 || r.Last.Count() != 200 {
			t.Errorf("%d workers: measured %d, %d, %d, %d", workers, r.Latency.Count(), r.First.Count(), r.Median.Count(), r.Last.Count())
		}
		if r.First.At(50) > r.Median.At(50) || r.Median.At(50) > r.Last.At(50) {
			t.Errorf("%d workers: first %v, median %v, last %v", workers, r.First.At(50), r.Median.At(50), r.Last.At(50))
		}
		if m, ok := report.Targets[0].metric("reach"); !ok || m.Value != 100 {
			t.Errorf("%d workers: reach %v", workers, m)
		}
	}
}

func TestFanoutWithPublishers(t *testing.T) {
	c := quickFanout(serveRoom(t, func() answers { return echoed }))
	c.Publishers, c.Text = 4, true
	_, r := mustRun(t, c)
	if got := faults(&r.Tally); got != (fault{}) || r.Sent != 200 || r.Latency.Count() != 2000 {
		t.Errorf("faults %+v, %d sent, %d came", got, r.Sent, r.Latency.Count())
	}
}

// TestFanoutTellsWhatIsWrong compares what servers do wrong with what the report says.
func TestFanoutTellsWhatIsWrong(t *testing.T) {
	tests := []struct {
		name   string
		answer answers
		want   func(n uint64) fault // that the server did it so often
	}{
		{"drops", func(int, int, []byte) []reply { return nil },
			func(n uint64) fault { return fault{Lost: n} }},
		{"spoils", func(_ int, kind int, m []byte) []reply {
			m[len(m)-1] ^= 1
			return []reply{{kind, m}}
		}, func(n uint64) fault { return fault{Wrong: n} }},
		{"replaces", func(_ int, kind int, m []byte) []reply { return []reply{{kind, []byte("news")}} },
			func(n uint64) fault { return fault{Lost: n, Unasked: n} }},
		{"doubles", func(_ int, kind int, m []byte) []reply { return []reply{{kind, m}, {kind, m}} },
			func(n uint64) fault { return fault{Duplicate: n} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var done atomic.Uint64
			c := quickFanout(serveRoom(t, func() answers {
				return every(50, func(n int, kind int, m []byte) []reply {
					done.Add(1)
					return tt.answer(n, kind, m)
				})
			}))
			c.Timeout = time.Second
			report, r := mustRun(t, c)
			want := tt.want(done.Load())
			if got := faults(&r.Tally); got != want || done.Load() != 40 {
				t.Errorf("faults %+v; want %+v", got, want)
			}
			if m, _ := report.Targets[0].metric("reach"); m.Value != 100*(1-float64(want.Lost+want.Wrong)/2000) {
				t.Errorf("reach %v", m.Value)
			}
		})
	}
}

func TestFanoutTellsReordering(t *testing.T) {
	c := quickFanout(serveRoom(t, func() answers {
		var kept []byte
		return func(n int, kind int, m []byte) []reply {
			switch n % 40 {
			case 10:
				kept = m
				return nil
			case 12: // behind two others
				return []reply{{kind, m}, {kind, kept}}
			}
			return []reply{{kind, m}}
		}
	}))
	_, r := mustRun(t, c)
	if got, want := faults(&r.Tally), (fault{Reordered: 50}); got != want || r.Latency.Count() != 2000 {
		t.Errorf("faults %+v, %d came; want %+v", got, r.Latency.Count(), want)
	}
}

// TestFanoutTellsWhoIsLast has one subscriber that gets everything late.
func TestFanoutTellsWhoIsLast(t *testing.T) {
	var taken atomic.Bool
	c := quickFanout(serveRoom(t, func() answers {
		slow := false
		return func(n int, kind int, m []byte) []reply {
			if n == 0 { // publishers receive nothing
				slow = !taken.Swap(true)
			}
			if slow && n%50 == 0 {
				time.Sleep(stall) // the server's, not the test's: everyone behind it waits as well
			}
			return echoed(n, kind, m)
		}
	}))
	_, r := mustRun(t, c)
	if got := longer(r.Last, stall); got < 4 {
		t.Errorf("%d publications reached the last subscriber after %v or more, want 4", got, stall)
	}
}

// TestFanoutTellsHowFarPublicationsCame has servers that hand them to some of ten subscribers
// only: nobody is at half of them, or the last, who is not.
func TestFanoutTellsHowFarPublicationsCame(t *testing.T) {
	for _, reached := range []int64{4, 5, 10} {
		var numbers atomic.Int64
		c := quickFanout(serveRoom(t, func() answers {
			mine := int64(0)
			return func(n int, kind int, m []byte) []reply {
				if n == 0 { // publishers receive nothing
					mine = numbers.Add(1)
				}
				if mine > reached {
					return nil
				}
				return echoed(n, kind, m)
			}
		}))
		c.Timeout = 300 * time.Millisecond
		if reached == 5 {
			withWorkers(t, &c, 3)
		}
		report, r := mustRun(t, c)
		if r.Lost != uint64(10-reached)*200 || r.First.Count() != 200 {
			t.Errorf("reaching %d: %d lost, %d came to somebody", reached, r.Lost, r.First.Count())
		}
		for name, want := range map[string]bool{"first.p50": true, "median.p50": reached >= 5, "last.p50": reached == 10, "last.p99": reached == 10} {
			if m, ok := report.Targets[0].metric(name); ok != want {
				t.Errorf("reaching %d of 10 there is %+v, %v", reached, m, ok)
			}
		}
	}
}

func TestFanoutTellsDroppedSubscribers(t *testing.T) {
	var dropped atomic.Bool
	c := quickFanout(serveRoom(t, func() answers {
		return func(n int, kind int, m []byte) []reply {
			if n == 100 && !dropped.Swap(true) {
				return []reply{{kind: hangUp}}
			}
			return echoed(n, kind, m)
		}
	}))
	c.Timeout = time.Second
	_, r := mustRun(t, c)
	if got, want := faults(&r.Tally), (fault{Lost: 100, Dropped: 1}); got != want || r.Expected != 2000 {
		t.Errorf("faults %+v of %d; want %+v of 2000", got, r.Expected, want)
	}
}

func TestMiddle(t *testing.T) {
	parts := []spread{{Count: 10, Median: 7}, {Count: 5, Median: 1}, {Count: 4, Median: 9}}
	if got := middle(parts, 19); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
}
