package bench

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// sampleReport has two servers and three rounds with each.
func sampleReport() *Report {
	r := &Report{Config: Config{Scenario: "echo", Rate: 100, Connections: 2, Rounds: 3}, Machine: Machine{Processors: 2}}
	for i, url := range []string{"ws://a/", "ws://b/"} {
		t := Target{URL: url}
		for n := range 3 {
			round := Round{Tally: Tally{
				Opened: 2, Measured: time.Second, Sent: 100, Expected: 100, Received: uint64(100 * (n + 1) * (i + 1)), Lost: uint64(n),
				Clients: []ClientCost{{CPU: 0.5, HeapPerConnection: 500}},
			}}
			for range 100 {
				round.Latency.Record(int64(n+1) * int64(i+1) * int64(time.Millisecond))
			}
			if n == 1 {
				round.Drops = map[string]int{"hung up": 1}
			}
			t.Rounds = append(t.Rounds, round)
		}
		r.Targets = append(r.Targets, t)
	}
	return r
}

// TestReportTellsNoNonsense has rounds too short for the clock of processors, and a server
// that gave memory back.
func TestReportTellsNoNonsense(t *testing.T) {
	r := sampleReport()
	for n := range r.Targets[0].Rounds {
		round := &r.Targets[0].Rounds[n]
		round.Measured, round.Clients[0].CPU = shortestUse/2, 2
		round.Server = &ServerCost{RSSPerConnection: -4096}
	}
	if warnings := r.Warnings(); len(warnings) != 0 {
		t.Errorf("warnings %q", warnings)
	}
	if m, ok := r.Targets[0].metric("server.rss.connection"); ok {
		t.Errorf("the server grew by %+v", m)
	}
	for _, bound := range []string{"lost<NaN", "lost<Inf", "p99<NaN", "lost<", "lost<1ms"} {
		if _, err := ParseThreshold(bound); err == nil {
			t.Errorf("%s is a threshold", bound)
		}
	}
}

func TestReportText(t *testing.T) {
	var b strings.Builder
	if err := sampleReport().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"open loop, 100/s: latency counts from when a message was due",
		"ws://a/ rate 200/s 100/s … 300/s",
		"p99 2.00 ms 1.00 ms … 3.00 ms",
		"ws://b/ rate 400/s 200/s … 600/s × 2.00",
		"p99 4.00 ms 2.00 ms … 6.00 ms × 2.00",
		"lost 3 0 … 2",
		"errors 4 0 … 2",
		"dropped: 1 × hung up",
		"client.heap 500 B",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
	if strings.Contains(text, "warning") || strings.Contains(text, "duplicate") {
		t.Errorf("more than there is to tell:\n%s", b.String())
	}
}

func TestReportWarns(t *testing.T) {
	r := sampleReport()
	r.Interrupted = true
	r.Targets[0].Rounds[1].Clients[0].CPU = 0.97
	r.Targets[0].Rounds[2].MachineCPU = 1.99
	r.Targets[0].Rounds[2].Server = &ServerCost{CPU: 0.5}
	r.Targets[1].Rounds[0].SendLag.Record(int64(5 * time.Millisecond))
	r.Targets[1].Rounds[0].Opened = 0
	all := strings.Join(r.Warnings(), "\n")
	for _, want := range []string{
		"ws://a/: a worker used 97 % of a processor", "ws://a/: all 2 processors", "ws://a/: other programs on this machine used 1.0",
		"ws://b/: one message in a hundred was sent 5.00 ms late", "ws://b/: there was a round without", "interrupted",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in:\n%s", want, all)
		}
	}
	if got := len(r.Warnings()); got != 6 {
		t.Errorf("%d warnings:\n%s", got, all)
	}
}

// TestReportTellsWhichRoundsLackAFigure has a round of which nothing came back, and one in
// which nothing could be sent: left out of a median, they would let a bound be kept.
func TestReportTellsWhichRoundsLackAFigure(t *testing.T) {
	r := sampleReport()
	rounds := r.Targets[0].Rounds
	rounds[0].Latency, rounds[0].Received = Histogram{}, 0
	rounds[1].Messaging, rounds[1].Sent, rounds[1].Received = true, 0, 0
	for text, wrong := range map[string]string{
		"p99<1s":    "ws://a/: there is no figure for p99<1s in 1 of 3 rounds",
		"rate>=1":   "ws://a/: rate is 0/s, not rate>=1",
		"lost<1000": "",
	} {
		bound, err := ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check([]Threshold{bound}); (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v; want %q", text, err, wrong)
		}
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	page, _ := pageOf(t, r)
	for _, all := range []string{text.String(), page} {
		if want := "2.00 ms … 3.00 ms, none in 1 of 3 rounds"; !strings.Contains(all, want) {
			t.Errorf("%q is not in: %s", want, all)
		}
	}
	for n := range rounds {
		rounds[n].Server = &ServerCost{RSSPerConnection: float64(4096 * (1 - n))}
	}
	rounds[2].Clients[0].HeapPerConnection = -1
	for _, name := range []string{"server.rss.connection", "client.heap"} { // in a round with less than before nothing has failed
		if m, ok := r.Targets[0].metric(name); !ok || m.Lacking != 0 {
			t.Errorf("%s is %+v, %v", name, m, ok)
		}
	}
}

func TestReportJSONAndCSV(t *testing.T) {
	r := sampleReport()
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Report
		Targets []struct {
			Target
			Metrics []Metric
		} `json:"targets"`
	}
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if h := got.Targets[1].Rounds[2].Latency; h.Count() != 100 || got.Config.Rate != 100 || got.Targets[0].Metrics[0].Value != 200 {
		t.Errorf("%d latencies, %+v, %+v", h.Count(), got.Config, got.Targets[0].Metrics[0])
	}
	text.Reset()
	if err := r.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&text).ReadAll()
	if err != nil || len(lines) < 100 || strings.Join(lines[1], " ") != "ws://a/ 1 rate /s 100" {
		t.Errorf("%d lines, %v, %v", len(lines), lines[1], err)
	}
}

func TestThreshold(t *testing.T) {
	tests := []struct {
		text  string
		wrong string // in the errors of both servers together; "" if none
	}{
		{"p99<5ms", ""},
		{"p99 < 3ms", "ws://b/: p99 is 4.00 ms, not p99 < 3ms"},
		{"p99<=1ms", "ws://a/: p99 is 2.00 ms"},
		{"rate>=200", ""},
		{"rate>200", "ws://a/: rate is 200/s"},
		{"lost<3", "lost is 3, not lost<3"}, // the sum
		{"lost<=3", ""},
		{"server.cpu<1", "there is no figure for server.cpu<1"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			bound, err := ParseThreshold(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			err = sampleReport().Check([]Threshold{bound})
			if (err == nil) != (tt.wrong == "") || err != nil && (!errors.Is(err, ErrThreshold) || !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("Check = %v; want %q", err, tt.wrong)
			}
		})
	}
	for _, text := range []string{"", "p99", "p99=5ms", "p99<5", "p42<5ms", "rate>fast", "<5ms"} {
		if _, err := ParseThreshold(text); err == nil {
			t.Errorf("ParseThreshold(%q) accepts it", text)
		}
	}
}
