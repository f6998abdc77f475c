package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// bounded is a Config for find.
func bounded(t *testing.T, url, search, bound string) Config {
	t.Helper()
	c := quick(url)
	c.Scenario, c.Search, c.Rounds, c.Duration = "find", search, 3, 100*time.Millisecond
	if err := c.Bound.UnmarshalText([]byte(bound)); err != nil {
		t.Fatal(err)
	}
	return c
}

// searching has rounds of a server whose p99 in milliseconds is a function of the rate.
func searching(t *testing.T, p99 func(rate float64) float64) *search {
	c := bounded(t, "ws://a/", searchRate, "p99<5ms")
	c.Duration = time.Second
	return &search{config: c, rounds: 3, trials: make(map[float64]*Trial), round: func(c Config, _ int) (*Round, error) {
		r := &Round{Tally: Tally{Opened: 1, Sent: 1, Received: 1}}
		r.Latency.Record(int64(p99(c.Rate) * float64(time.Millisecond)))
		return r, nil
	}}
}

func TestSearch(t *testing.T) {
	for _, capacity := range []float64{1.2, 30, 999, 1000, 1049, 3333, 123456, 7e8} {
		s := searching(t, func(rate float64) float64 {
			if rate > capacity {
				return 9
			}
			return 1
		})
		found, rounds, err := s.run(2)
		if err != nil || found.Value > capacity || found.Value*findStep < capacity || found.Least != found.Value ||
			found.Most <= capacity || found.Most > capacity*findStep*1.0001 || len(rounds) != 3 {
			t.Errorf("capacity %v: found %v from %v to %v with %d rounds, %v", capacity, found.Value, found.Least, found.Most, len(rounds), err)
		}
	}
}

// TestSearchInNoise has rounds that keep the bound by chance, the less the nearer they
// are to the capacity.
func TestSearchInNoise(t *testing.T) {
	const capacity = 5000
	for seed := range uint64(50) {
		chance := rand.New(rand.NewPCG(seed, 0))
		s := searching(t, func(rate float64) float64 { return 5 * rate / capacity * (0.95 + 0.1*chance.Float64()) })
		found, rounds, err := s.run(2)
		if err != nil || found.Value < 0.9*capacity || found.Value > 1.1*capacity || found.Least > found.Value || found.Most <= found.Value || len(rounds) != 3 {
			t.Errorf("seed %d: found %v from %v to %v, %v", seed, found.Value, found.Least, found.Most, err)
		}
		if found.Least > capacity/0.95 || found.Most < capacity/1.05 {
			t.Errorf("seed %d: all rounds kept it at %v, none at %v: neither is possible", seed, found.Least, found.Most)
		}
	}
}

// TestSearchWhereRoundsDisagree has every third round break the bound below the capacity, or
// keep it above: that answers are certain must not be said of what only most rounds did.
func TestSearchWhereRoundsDisagree(t *testing.T) {
	const capacity = 5000
	for _, tt := range []struct {
		name        string
		steady      float64 // from there on to the capacity, rounds disagree
		least, most float64
	}{
		{"below, from a quarter", capacity / 4, capacity / 4, capacity * findStep},
		{"below, everywhere", 0, 0, capacity * findStep},
		{"above, up to four times", 4 * capacity, capacity, 16 * capacity},
		{"above, everywhere", 2 * mostRate, capacity, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := make(map[float64]int)
			s := searching(t, func(rate float64) float64 {
				n[rate]++
				between := min(tt.steady, capacity) < rate && rate <= max(tt.steady, capacity)
				if odd := between && n[rate]%3 == 2; (rate > capacity) != odd {
					return 9
				}
				return 1
			})
			found, _, err := s.run(2)
			if err != nil || found.Value > capacity || found.Value*findStep < capacity || found.Most > tt.most*findStep || (found.Most == 0) != (tt.most == 0) {
				t.Errorf("found %v from %v to %v, %v", found.Value, found.Least, found.Most, err)
			}
			if found.Least > tt.least || (found.Least == 0) != (tt.least == 0) || tt.most > 0 && found.Most <= max(capacity, tt.steady) {
				t.Errorf("certain from %v to %v, want at most %v and at least %v", found.Least, found.Most, tt.least, max(capacity, tt.steady))
			}
			var text strings.Builder
			found.write(&text, s.config)
			if strings.Contains(text.String(), " at 0/s") {
				t.Errorf("it says %s", &text)
			}
		})
	}
}

func TestSearchEnds(t *testing.T) {
	never := func(float64) float64 { return 9 }
	if found, rounds, err := searching(t, never).run(2); err != nil || found.Value != 0 || found.Most < 1 || found.Most > findStep || len(rounds) == 0 {
		t.Errorf("a server that never keeps it: %+v, %v", found, err)
	}
	always := func(float64) float64 { return 1 }
	if found, _, err := searching(t, always).run(2); err != nil || found.Value < mostRate/findStep || found.Most != 0 {
		t.Errorf("a server that always keeps it: %+v, %v", found, err)
	}
	s := searching(t, always)
	s.round = func(Config, int) (*Round, error) { return &Round{}, nil }
	if found, rounds, err := s.run(2); err != nil || found.Value != 0 || len(rounds) != 1 {
		t.Errorf("no connection: %+v, %d rounds, %v", found, len(rounds), err)
	}
	s = searching(t, always)
	good := s.round
	s.round = func(c Config, n int) (*Round, error) {
		if n == 2 {
			return nil, context.Canceled
		}
		return good(c, n)
	}
	if found, _, err := s.run(2); !errors.Is(err, context.Canceled) || found.Value != 0 || len(found.Trials) != 2 {
		t.Errorf("interrupted: %+v, %v", found, err)
	}
}

// TestFindConnections has a server that takes 20.
func TestFindConnections(t *testing.T) {
	places := make(chan struct{}, 20)
	var upgrader websocket.Upgrader
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
		case <-time.After(time.Second): // by then the connections of the last round are gone
			http.Error(w, "full", http.StatusServiceUnavailable)
			return
		}
		defer func() { <-places }()
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, message, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, message) != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	c := bounded(t, "ws"+strings.TrimPrefix(s.URL, "http"), searchConnections, "lost<1")
	c.Connections, c.Duration = 8, 20*time.Millisecond
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	f := report.Targets[0].Found
	if m, _ := report.Targets[0].metric("found.connections"); f.Value != 20 || f.Most != 21 || f.Least != 20 || m.Value != 20 {
		t.Errorf("found %+v, %+v; the server takes 20", f, m)
	}
}

// TestFindRate has a server that hangs up after 50 messages, which is how many come in
// a round at a rate of 500.
func TestFindRate(t *testing.T) {
	c := bounded(t, serve(t, func() answers {
		return func(n int, kind int, m []byte) []reply {
			if n >= 50 {
				return []reply{{kind: hangUp}}
			}
			return echoed(n, kind, m)
		}
	}), searchRate, "lost<1")
	c.Connections, c.Rate = 1, 200
	var trying []string
	c.Progress = func(p Progress) { trying = append(trying, p.Trying) }
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	f := report.Targets[0].Found
	if f.Value > 500 || f.Value < 500/findStep || f.Least != f.Value || f.Most <= 500 || f.Most > 500*findStep || len(report.Targets[0].Rounds) != 3 {
		t.Errorf("found %+v; the server does 500", f)
	}
	var text, table strings.Builder
	if err := errors.Join(report.WriteText(&text), report.WriteCSV(&table)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"is the largest rate with lost<1; all rounds kept it at", "3 of 3", "0 of 3", "3 × errors", "found.rate"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in: %s", want, &text)
		}
	}
	if !strings.Contains(table.String(), ",lost at 200,,0\n") {
		t.Errorf("the first trial is not in: %s", &table)
	}
}

func TestFindInterrupted(t *testing.T) {
	c := bounded(t, serve(t, func() answers { return echoed }), searchRate, "p99<1ms")
	ctx, cancel := context.WithCancel(t.Context())
	c.Duration = time.Hour
	c.Progress = func(p Progress) {
		if p.Received > 0 {
			cancel()
		}
	}
	report, err := Run(ctx, c)
	if err != nil || !report.Interrupted || report.Targets[0].Found.Value != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "has not ended") {
		t.Errorf("%v: %s", err, &text)
	}
}

func TestFindRefusesConfig(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*Config)
	}{
		{"find cannot search \"luck\", only rate or connections", func(c *Config) { c.Search = "luck" }},
		{"find needs a bound, such as", func(c *Config) { c.Bound = Threshold{} }},
		{"an upper bound, such as p99<5ms, not rate>5", func(c *Config) { c.Bound, _ = ParseThreshold("rate>5") }},
		{"a rate of 1 or more, not 0.5", func(c *Config) { c.Rate = 0.5 }},
		{"rounds must last 20 times that or more, not 10ms", func(c *Config) { c.Duration = 10 * time.Millisecond }},
	} {
		c := bounded(t, "ws://127.0.0.1:1/", searchRate, "p99<5ms")
		tt.change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v", tt.want, err)
		}
	}
}
