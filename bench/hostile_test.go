package bench

import (
	"context"
	"encoding/csv"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// attacked is a Config of a short round of hostile.
func attacked(url string) Config {
	c := quick(url)
	c.Scenario, c.Attackers, c.Rate, c.Duration = "hostile", 2, 400, 200*time.Millisecond
	return c
}

// serveWeir starts the engine with an echo and bounds that are soon reached.
func serveWeir(t *testing.T) string {
	t.Helper()
	mux := handler.NewMux()
	mux.Handle("/", handler.Echo{})
	e, err := engine.New(engine.Options{
		Address: "127.0.0.1:0", Mux: mux, Deflate: frame.DeflateOptions{Enabled: true},
		Logger: slog.New(slog.DiscardHandler), HeaderTimeout: 100 * time.Millisecond, SlowTimeout: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return "ws://" + e.Addr().String() + "/"
}

// TestAttacks has each attack end as it should. A machine that is too busy for the time
// there is gets more.
func TestAttacks(t *testing.T) {
	tests := []struct {
		name string
		url  string
		want map[string]string
	}{
		{"weir", serveWeir(t), map[string]string{
			"half-frame": keptOpen, "byte-by-byte": keptAnswering, "ping-flood": keptOpen,
			"oversize": "closed with 1009", "bomb": "closed with 1009", "bad-utf8": "closed with 1007",
			"unmasked": "closed with 1002", "slow-reader": "closed with 1008", "slowloris": "status 408",
		}},
		{"gorilla", serve(t, func() answers { return echoed }), map[string]string{
			"half-frame": keptOpen, "byte-by-byte": keptAnswering, "ping-flood": keptOpen,
			"oversize": keptOpen, "bomb": noDeflate, "bad-utf8": keptAnswering,
			"unmasked": "closed with 1002", "slow-reader": keptAnswering, "slowloris": keptOpen,
		}},
		{"nobody", "ws://127.0.0.1:1/", map[string]string{
			"half-frame": noServer, "byte-by-byte": noServer, "ping-flood": noServer,
			"oversize": noServer, "bomb": noServer, "bad-utf8": noServer,
			"unmasked": noServer, "slow-reader": noServer, "slowloris": noServer,
		}},
	}
	for _, tt := range tests {
		target, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		for i := range attacks {
			kind := &attacks[i]
			t.Run(tt.name+"/"+kind.name, func(t *testing.T) {
				var o outcome
				for length := 200 * time.Millisecond; length < time.Minute && o.what != tt.want[kind.name]; length *= 4 {
					a := attacker{kind: kind, target: target, until: time.Now().Add(length), grace: length / 2, ctx: t.Context()}
					o = a.attack()
				}
				isOpen := o.what == keptOpen || o.what == keptAnswering
				if o.what != tt.want[kind.name] || o.open != isOpen || o.ended == (o.took == 0) || o.open && o.bytes == 0 {
					t.Errorf("the outcome is %+v; want %s", o, tt.want[kind.name])
				}
			})
		}
	}
}

const noServer = "no connection: connection refused"

// checkStages checks that there is an outcome for each attacker, and that the control group
// has felt nothing.
func checkStages(t *testing.T, c Config, r *Round) {
	t.Helper()
	if got := faults(&r.Tally); got != (fault{}) || r.Opened != c.Connections || uint64(r.Latency.Count()) != r.Sent {
		t.Errorf("faults %+v, %d opened, %d sent, %d measured", got, r.Opened, r.Sent, r.Latency.Count())
	}
	if len(r.Stages) != len(attacks)+2 {
		t.Fatalf("%d stages", len(r.Stages))
	}
	for _, s := range r.Stages {
		attackers := c.Attackers
		if s.Name == stageBefore || s.Name == stageAfter {
			attackers = 0
		}
		attacked := attackers
		for what, n := range s.Outcomes {
			if strings.HasPrefix(what, "no ") { // connection, on a machine too busy for the time there is, or compression
				attacked -= n
			}
		}
		if s.Attackers != attackers || s.Attacked != attacked || total(s.Outcomes) != uint64(attackers) || s.Open > attackers {
			t.Errorf("%s: %d attackers, outcomes %v, %d open", s.Name, s.Attackers, s.Outcomes, s.Open)
		}
		if due := uint64(c.Rate * c.Duration.Seconds()); s.Due != due || s.Missing() != 0 {
			t.Errorf("%s: %d messages due, %d missing; want %d due", s.Name, s.Due, s.Missing(), due)
		}
	}
}

func TestHostile(t *testing.T) {
	c := attacked(serveWeir(t))
	var names []string
	c.Progress = func(p Progress) { names = append(names, p.Trying) }
	report, r := mustRun(t, c)
	checkStages(t, c, r)
	if !slices.ContainsFunc(names, func(name string) bool { return name != "" }) {
		t.Error("the progress names no attack")
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"control group in an open loop, 400/s", "  slow-reader  ", "2 attackers at a time", "× ", "worst.ratio"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in: %s", want, &text)
		}
	}
}

// TestHostileWithoutControlGroup has a stage of which nothing came back: that is worse than
// any ratio of those that did.
func TestHostileWithoutControlGroup(t *testing.T) {
	r := Round{Tally: Tally{Stages: stages()}}
	for i := range r.Stages {
		r.Stages[i].Due = 1
		r.Stages[i].Latency.Record(1000)
	}
	report := Report{Targets: []Target{{URL: "ws://a/", Rounds: []Round{r}}}}
	bound, err := ParseThreshold("worst.ratio<5")
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Check([]Threshold{bound}); err != nil {
		t.Error(err)
	}
	r.Stages[1].Latency = Histogram{}
	if err := report.Check([]Threshold{bound}); !errors.Is(err, ErrThreshold) {
		t.Errorf("with a stage of which nothing came back: %v", err)
	}
}

// TestHostileWithProcesses has the attackers in a worker of their own, and TLS.
func TestHostileWithProcesses(t *testing.T) {
	url, caFile := serveTLS(t, func() answers { return echoed })
	c := attacked(url)
	c.CAFile = caFile
	withWorkers(t, &c, 0)
	report, r := mustRun(t, c)
	if len(r.Clients) < 2 {
		t.Errorf("%d workers", len(r.Clients))
	}
	checkStages(t, c, r)
	bound, err := ParseThreshold("bad-utf8.open>99")
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Check([]Threshold{bound}); err == nil || !strings.Contains(err.Error(), "bad-utf8.open is ") {
		t.Errorf("the threshold: %v", err)
	}
	var table strings.Builder
	if err := report.WriteCSV(&table); err != nil {
		t.Fatal(err)
	}
	if lines, err := csv.NewReader(strings.NewReader(table.String())).ReadAll(); err != nil || len(lines) < 50 || !strings.Contains(table.String(), "1,unmasked: ") {
		t.Errorf("%v: %s", err, &table)
	}
}

// TestHostileTellsStalls has a server that stands still whenever a text message comes,
// which are only those of attackers.
func TestHostileTellsStalls(t *testing.T) {
	const still = 100 * time.Millisecond
	var all sync.Mutex
	stalls := 0
	c := attacked(serve(t, func() answers {
		return func(n int, kind int, m []byte) []reply {
			all.Lock()
			defer all.Unlock()
			if kind == websocket.TextMessage {
				stalls++
				time.Sleep(still) // the server's, not the test's: it is what is measured
			}
			return echoed(n, kind, m)
		}
	}))
	_, r := mustRun(t, c)
	var slow int64
	for _, s := range r.Stages[1:] {
		slow += longer(s.Latency, still/2)
	}
	all.Lock()
	defer all.Unlock()
	if stalls == 0 || slow < int64(stalls) {
		t.Errorf("%d latencies of %v or more during the attacks; the server stood still %d times", slow, still/2, stalls)
	}
}

// TestHostileTellsHarm has a server that closes everything once a text message has come.
func TestHostileTellsHarm(t *testing.T) {
	var broken atomic.Bool
	c := attacked(serve(t, func() answers {
		return func(n int, kind int, m []byte) []reply {
			if kind == websocket.TextMessage {
				broken.Store(true)
			}
			if broken.Load() {
				return []reply{{kind: hangUp}}
			}
			return echoed(n, kind, m)
		}
	}))
	_, r := mustRun(t, c)
	before, after := r.Stages[0], r.Stages[len(r.Stages)-1]
	if before.Missing() != 0 || after.Missing() != after.Due || after.Due == 0 || total(r.Drops) != 4 {
		t.Errorf("%d missing before, %d of %d after; drops %v", before.Missing(), after.Missing(), after.Due, r.Drops)
	}
}

func TestHostileInterrupted(t *testing.T) {
	c := attacked(serve(t, func() answers { return echoed }))
	c.Duration = time.Second
	ctx, cancel := context.WithCancel(t.Context())
	c.Progress = func(p Progress) {
		if p.Trying != "" {
			cancel()
		}
	}
	report, err := Run(ctx, c)
	if err != nil || !report.Interrupted {
		t.Fatalf("%+v, %v", report, err)
	}
	r := &report.Targets[0].Rounds[0]
	if s := r.Stages[0]; s.Due != 400 || s.Missing() != 0 {
		t.Errorf("before the attacks %d of %d are missing", s.Missing(), s.Due)
	}
	if s := r.Stages[len(r.Stages)-1]; s.Due != 0 || s.Attackers != 0 {
		t.Errorf("after the interrupt there is %+v", s)
	}
	checkNoFigures(t, report, "slow-reader.open", "bad-utf8.open", "bad-utf8.missing", "after.missing", "worst.ratio")
}

// checkNoFigures checks that nothing can be said about what did not happen.
func checkNoFigures(t *testing.T, r *Report, names ...string) {
	t.Helper()
	for _, name := range names {
		if m, ok := r.Targets[0].metric(name); ok {
			t.Errorf("there is %+v", m)
		}
	}
}

// TestHostileToAServerThatRefuses has a server that admits the control group only.
func TestHostileToAServerThatRefuses(t *testing.T) {
	c := attacked(hold(t, func(n int64) bool { return n <= 4 }, func(_ int64, c *websocket.Conn) {
		for {
			kind, message, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, message) != nil {
				return
			}
		}
	}))
	report, r := mustRun(t, c)
	if s := r.Stages[1]; s.Attackers != 2 || s.Attacked != 0 || s.Outcomes["status 503"] != 2 {
		t.Errorf("the first attack: %+v", s)
	}
	checkNoFigures(t, report, "slow-reader.open", "bad-utf8.open")
	if m, ok := report.Targets[0].metric("bad-utf8.missing"); !ok || m.Value != 0 {
		t.Errorf("%+v, %v", m, ok)
	}
}

// TestHostileWithoutAnswer has a listener that never answers.
func TestHostileWithoutAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := attacked("ws://" + l.Addr().String())
	c.Timeout = 100 * time.Millisecond
	_, r := mustRun(t, c)
	if r.Opened != 0 || r.Failures["handshake timed out"] != 4 {
		t.Errorf("%d opened, failures %v", r.Opened, r.Failures)
	}
}
