package bench

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

func TestEchoOfAGoodServer(t *testing.T) {
	url := serve(t, func() answers { return echoed })
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"closed loop", func(*Config) {}},
		{"many in flight", func(c *Config) { c.InFlight = 100 }},
		{"open loop", func(c *Config) { c.Rate = 2000 }},
		{"smallest", func(c *Config) { c.PayloadBytes = stampBytes }},
		{"large", func(c *Config) { c.PayloadBytes, c.InFlight = 1<<20, 2 }},
		{"text", func(c *Config) { c.Text = true }},
		{"warm-up", func(c *Config) { c.WarmUp = 100 * time.Millisecond }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := quick(url)
			tt.change(&c)
			_, r := mustRun(t, c)
			if got := faults(&r.Tally); got != (fault{}) {
				t.Errorf("faults %+v", got)
			}
			if r.Sent == 0 || r.Expected != r.Sent || uint64(r.Latency.Count()) != r.Sent {
				t.Errorf("%d sent, %d expected, %d measured", r.Sent, r.Expected, r.Latency.Count())
			}
			if r.Received > 0 && r.ReceivedBytes != r.Received*uint64(max(c.PayloadBytes, stampBytes)) && c.PayloadBytes != 0 {
				t.Errorf("%d bytes in %d messages", r.ReceivedBytes, r.Received)
			}
		})
	}
}

// TestEchoTellsWhatIsWrong compares what servers do wrong with what the report says.
func TestEchoTellsWhatIsWrong(t *testing.T) {
	tests := []struct {
		name   string
		n      int
		answer answers
		want   func(n uint64) fault // that the server did it so often
	}{
		{"drops every 100th", 100, func(int, int, []byte) []reply { return nil },
			func(n uint64) fault { return fault{Lost: n} }},
		{"another content every 100th", 100, func(_ int, kind int, m []byte) []reply {
			m[len(m)-1] ^= 1
			return []reply{{kind, m}}
		}, func(n uint64) fault { return fault{Wrong: n} }},
		{"garbage every 100th", 100, func(_ int, kind int, m []byte) []reply { return []reply{{kind, []byte("sorry")}} },
			func(n uint64) fault { return fault{Wrong: n} }},
		{"stamp changed every 100th", 100, func(_ int, kind int, m []byte) []reply {
			m[9] ^= 1
			return []reply{{kind, m}}
		}, func(n uint64) fault { return fault{Wrong: n} }},
		{"longer every 100th", 100, func(_ int, kind int, m []byte) []reply { return []reply{{kind, append(m, 'x')}} },
			func(n uint64) fault { return fault{Wrong: n} }},
		{"as text every 100th", 100, func(_ int, _ int, m []byte) []reply { return []reply{{websocket.TextMessage, m}} },
			func(n uint64) fault { return fault{Wrong: n} }},
		{"twice every 100th", 100, func(_ int, kind int, m []byte) []reply { return []reply{{kind, m}, {kind, m}} },
			func(n uint64) fault { return fault{Duplicate: n} }},
		{"something of its own before every 100th", 100, func(_ int, kind int, m []byte) []reply { return []reply{{kind, []byte("news")}, {kind, m}} },
			func(n uint64) fault { return fault{Unasked: n} }},
	}
	for _, tt := range tests {
		for _, rate := range []float64{0, 2000} {
			t.Run(tt.name+map[bool]string{true: ", closed loop", false: ", open loop"}[rate == 0], func(t *testing.T) {
				var done atomic.Uint64
				otherwise := func(n int, kind int, m []byte) []reply {
					done.Add(1)
					return tt.answer(n, kind, m)
				}
				c := quick(serve(t, func() answers { return every(tt.n, otherwise) }))
				c.Rate, c.InFlight, c.Timeout = rate, 200, time.Second
				_, r := mustRun(t, c)
				if got, want := faults(&r.Tally), tt.want(done.Load()); got != want || done.Load() == 0 {
					t.Errorf("faults %+v; want %+v", got, want)
				}
				if right := r.Sent - r.Lost - r.Wrong; uint64(r.Latency.Count()) != right {
					t.Errorf("%d latencies of %d right replies", r.Latency.Count(), right)
				}
			})
		}
	}
}

func TestEchoTellsReordering(t *testing.T) {
	var swaps atomic.Uint64
	c := quick(serve(t, func() answers {
		var kept []byte
		return func(n int, kind int, m []byte) []reply {
			switch {
			case (n+1)%50 == 0:
				kept = m
				return nil
			case kept != nil:
				first := kept
				kept = nil
				swaps.Add(1)
				return []reply{{kind, m}, {kind, first}}
			}
			return []reply{{kind, m}}
		}
	}))
	c.InFlight = 10
	_, r := mustRun(t, c)
	got := faults(&r.Tally)
	if got.Reordered != swaps.Load() || got.Reordered == 0 || got.Lost > uint64(c.Connections) {
		t.Errorf("faults %+v; the server swapped %d times", got, swaps.Load())
	}
	got.Reordered, got.Lost = 0, 0 // the last may still be kept
	if got != (fault{}) {
		t.Errorf("other faults %+v", got)
	}
}

// TestEchoGoesOnAfterALoss has a server that does not answer the first message, and
// only one in flight.
func TestEchoGoesOnAfterALoss(t *testing.T) {
	c := quick(serve(t, func() answers {
		return func(n int, kind int, m []byte) []reply {
			if n == 0 {
				return nil
			}
			return echoed(n, kind, m)
		}
	}))
	c.Timeout, c.Duration = 300*time.Millisecond, time.Second
	_, r := mustRun(t, c)
	if r.Lost != uint64(c.Connections) || r.Latency.Count() == 0 {
		t.Errorf("%d lost of %d connections, %d came back", r.Lost, c.Connections, r.Latency.Count())
	}
}

func TestEchoTellsDroppedConnections(t *testing.T) {
	c := quick(serve(t, func() answers { return every(10, func(int, int, []byte) []reply { return []reply{{kind: hangUp}} }) }))
	_, r := mustRun(t, c)
	if got, want := faults(&r.Tally), (fault{Lost: 4, Dropped: 4}); got != want || r.Sent != 40 {
		t.Errorf("faults %+v of %d sent; want %+v of 40", got, r.Sent, want)
	}
}

// TestEchoGreeted has a server that says something first.
func TestEchoGreeted(t *testing.T) {
	c := quick(serve(t, func() answers {
		return func(n int, kind int, m []byte) []reply {
			if n == 0 {
				return []reply{{kind, m}, {kind, []byte("welcome")}}
			}
			return echoed(n, kind, m)
		}
	}))
	c.Rate = 40 // nothing is on its way when the greeting comes
	_, r := mustRun(t, c)
	if got := faults(&r.Tally); got.Unasked+got.Wrong != 4 {
		t.Errorf("faults %+v; want 4 messages that nobody asked for", got)
	}
}

// TestEchoOfABroadcastServer has a server that hands every message to all connections: what
// others have sent is counted as that, and does not stand for what is lost.
func TestEchoOfABroadcastServer(t *testing.T) {
	var mu sync.Mutex
	all := make(map[int64]*websocket.Conn)
	url := hold(t, anybody, func(n int64, c *websocket.Conn) {
		mu.Lock()
		all[n] = c
		mu.Unlock()
		for {
			kind, message, err := c.ReadMessage()
			mu.Lock()
			if err != nil {
				delete(all, n)
				mu.Unlock()
				return
			}
			for _, to := range all {
				_ = to.WriteMessage(kind, message) // its reader notices if it has gone
			}
			mu.Unlock()
		}
	})
	for _, rate := range []float64{0, 400} {
		c := quick(url)
		c.Rate, c.PayloadBytes = rate, stampBytes
		report, r := mustRun(t, c)
		got := faults(&r.Tally)
		most := uint64(c.Connections-1) * r.Sent
		if got != (fault{Foreign: got.Foreign}) || uint64(r.Latency.Count()) != r.Sent {
			t.Errorf("at a rate of %v: faults %+v, %d of %d came back", rate, got, r.Latency.Count(), r.Sent)
		}
		if got.Foreign > most || got.Foreign <= most/2 { // the round ends with the last reply, before its copies
			t.Errorf("at a rate of %v: %d messages of others, want %d or a little less", rate, got.Foreign, most)
		}
		if w := report.Warnings(); !slices.ContainsFunc(w, func(s string) bool { return strings.Contains(s, "fanout is the scenario for it") }) {
			t.Errorf("at a rate of %v the warnings are %q", rate, w)
		}
	}
}

const stall = 50 * time.Millisecond

// stalling delays every 100th reply.
func stalling(stalls *atomic.Int64) func() answers {
	return func() answers {
		return every(100, func(n int, kind int, m []byte) []reply {
			stalls.Add(1)
			time.Sleep(stall) // the server's, not the test's: it is what is measured
			return echoed(n, kind, m)
		})
	}
}

func TestEchoTellsDelays(t *testing.T) {
	var stalls atomic.Int64
	c := quick(serve(t, stalling(&stalls)))
	_, r := mustRun(t, c)
	if got := longer(r.Latency, stall); got < stalls.Load() || stalls.Load() == 0 {
		t.Errorf("%d latencies of %v or more; the server delayed %d", got, stall, stalls.Load())
	}
	if faults(&r.Tally) != (fault{}) {
		t.Errorf("faults %+v", faults(&r.Tally))
	}
}

// TestOpenLoopChargesStalls checks that everything that was due during a stall is
// charged for it: coordinated omission would count one message for each stall.
func TestOpenLoopChargesStalls(t *testing.T) {
	var stalls atomic.Int64
	c := quick(serve(t, stalling(&stalls)))
	c.Connections, c.Rate = 1, 1000
	_, r := mustRun(t, c)
	// Of the 50 messages that are due in 50 ms the first 40 wait 10 ms or more.
	if got, want := longer(r.Latency, stall/5), 35*(stalls.Load()-1); got < want || stalls.Load() < 2 {
		t.Errorf("%d latencies of %v or more after %d stalls; want %d", got, stall/5, stalls.Load(), want)
	}
	if r.Sent != 500 {
		t.Errorf("%d messages sent, want 500", r.Sent)
	}
}

// TestEchoGoesOnAfterAnEarlyReply has the first message, which the worker's goroutine sends, come
// back before the sending function returns: the loop has to send the next, or nobody does.
func TestEchoGoesOnAfterAnEarlyReply(t *testing.T) {
	c := Config{InFlight: 2}.withDefaults()
	s := &session{job: job{Config: c, Count: 1}, stamps: newStamper(1, c.PayloadBytes), op: frame.Binary}
	s.span = span{Start: now(), Begin: now(), End: now() + int64(time.Hour)}
	e := newEcho(s).(*echo)
	h := e.handler(0)
	conn := struct{ handler.Conn }{}
	if err := h.OnOpen(conn, nil); err != nil {
		t.Fatal(err)
	}
	var numbers []uint32
	e.send = func(_ handler.Conn, payload []byte) error {
		sent, _, _, _ := s.stamps.find(payload)
		numbers = append(numbers, sent.number)
		if sent.number == 0 {
			h.OnMessage(conn, frame.Binary, slices.Clone(payload))
		}
		return nil
	}
	e.kick(&e.conns[0])
	if want := []uint32{0, 1, 2}; !slices.Equal(numbers, want) || e.flying != 2 {
		t.Errorf("sent %v, %d on their way; want %v", numbers, e.flying, want)
	}
}
