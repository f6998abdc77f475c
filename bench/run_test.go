package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// asWorker makes the test binary be a worker.
const asWorker = "WEIR_TEST_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if Worker(os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// withWorkers makes the workers processes of their own.
func withWorkers(t *testing.T, c *Config, n int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asWorker, "1")
	c.Workers, c.WorkerCommand = n, []string{program}
}

func TestRunWithProcesses(t *testing.T) {
	for _, rate := range []float64{0, 1000} {
		c := quick(serve(t, func() answers { return echoed }))
		withWorkers(t, &c, 3)
		c.Connections, c.Rate, c.PIDs = 10, rate, []int{os.Getpid()}
		report, r := mustRun(t, c)
		if got := faults(&r.Tally); got != (fault{}) || r.Opened != 10 || len(r.Clients) != 3 {
			t.Errorf("faults %+v, %d opened by %d workers", got, r.Opened, len(r.Clients))
		}
		if uint64(r.Latency.Count()) != r.Sent || rate > 0 && r.Sent != 500 {
			t.Errorf("%d sent, %d measured", r.Sent, r.Latency.Count())
		}
		if r.Server == nil || r.Server.CPU <= 0 || r.Server.CPUPerMessage <= 0 || r.Server.RSS <= 0 || r.Server.Switches == 0 {
			t.Errorf("the server cost %+v", r.Server)
		}
		if m, ok := report.Targets[0].metric("client.heap"); !ok || m.Value <= 0 {
			t.Errorf("client heap %+v", m)
		}
	}
}

// TestClientHeap prints what a connection costs the client.
func TestClientHeap(t *testing.T) {
	c := quick(serve(t, func() answers { return echoed }))
	withWorkers(t, &c, 1)
	c.Connections, c.Duration = 4000, 200*time.Millisecond
	report, r := mustRun(t, c)
	m, _ := report.Targets[0].metric("client.heap")
	t.Logf("%d connections: client heap of %.0f B each", r.Opened, m.Value)
	if r.Opened != 4000 || m.Value >= 1024 {
		t.Errorf("%d opened, %.0f B each; want 4000, less than 1024", r.Opened, m.Value)
	}
}

func TestRunInTurn(t *testing.T) {
	c := quick(serve(t, func() answers { return echoed }))
	c.URLs = append(c.URLs, c.URLs[0])
	c.Rounds, c.Duration = 2, 50*time.Millisecond
	report, _ := mustRun(t, c)
	rounds := [][]Round{report.Targets[0].Rounds, report.Targets[1].Rounds}
	for n := range 2 {
		if !rounds[0][n].Began.Before(rounds[1][n].Began) || n > 0 && !rounds[1][0].Began.Before(rounds[0][1].Began) {
			t.Errorf("round %d was not in turn", n)
		}
	}
}

// TestRunInterrupted ends the context once messages flow, so many that some are sent while the
// workers are told of the end: each that counts as sent counts when it is back.
func TestRunInterrupted(t *testing.T) {
	for _, phase := range []string{"running", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		c := quick(serve(t, func() answers { return echoed }))
		c.Duration, c.Connections = time.Hour, 64
		c.Progress = func(p Progress) {
			if p.Phase == phase && p.Received > 0 {
				cancel()
			}
		}
		if phase == "" {
			cancel()
		}
		report, err := Run(ctx, c)
		if err != nil || !report.Interrupted {
			t.Fatalf("%v, %+v", err, report)
		}
		if phase == "" {
			continue
		}
		r := &report.Targets[0].Rounds[0]
		if faults(&r.Tally) != (fault{}) || r.Sent == 0 || uint64(r.Latency.Count()) != r.Sent {
			t.Errorf("faults %+v, %d sent, %d measured", faults(&r.Tally), r.Sent, r.Latency.Count())
		}
	}
}

// TestCutKeepsWhatWasSent ends the measured time after a message was sent, by a command from
// before: the message was counted, and its reply has to be.
func TestCutKeepsWhatWasSent(t *testing.T) {
	s := &session{span: span{Start: 1, Begin: 1, End: math.MaxInt64}}
	w := worker{session: s, scenario: newEcho(s), commands: make(chan command, 1), events: json.NewEncoder(io.Discard)}
	told := now()
	due := told + 1
	w.commands <- command{Stop: told}
	close(w.commands)
	if err := w.pass(func() bool { return false }); !errors.Is(err, errOrphaned) {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.contains(due) || s.span.End > now() {
		t.Errorf("told at %d, with a message due at %d, the end is %d", told, due, s.span.End)
	}
}

// TestRunInterruptedWhileDraining ends a run that waits for replies that do not come: it does not
// go on until they have timed out.
func TestRunInterruptedWhileDraining(t *testing.T) {
	withAndWithoutWorkers(t, quick(hold(t, anybody, listen)), func(t *testing.T, c Config) {
		ctx, cancel := context.WithCancel(t.Context())
		c.Duration, c.Timeout = 50*time.Millisecond, 240*time.Hour
		c.Progress = func(p Progress) {
			if p.Phase == "draining" {
				cancel()
			}
		}
		report, err := Run(ctx, c)
		if err != nil || !report.Interrupted {
			t.Fatalf("%v, %+v", err, report)
		}
		if r := &report.Targets[0].Rounds[0]; r.Sent != 4 || r.Lost != 4 {
			t.Errorf("%d sent, %d lost; want 4 and 4", r.Sent, r.Lost)
		}
	})
}

// TestRunInterruptedWhileConnecting ends a run against a server that never answers: it does
// not wait until the handshakes have timed out, nor for those that are not under way yet.
func TestRunInterruptedWhileConnecting(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // whose backlog takes the connections
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, scenario := range []string{"echo", "connect", "storm"} {
		ctx, cancel := context.WithCancel(t.Context())
		c := quick("ws://" + silent.Addr().String() + "/")
		c.Scenario, c.Connections, c.Timeout = scenario, mostDialling+10, 240*time.Hour
		c.Progress = func(Progress) { cancel() }
		report, err := Run(ctx, c)
		if err != nil || !report.Interrupted || report.Targets[0].Rounds[0].Opened != 0 {
			t.Errorf("%s: %v, %+v", scenario, err, report)
		}
	}
}

// TestRunInterruptedByHalf ends a run when the server has answered half of the handshakes,
// and answers the others at just that moment: nobody waits for those.
func TestRunInterruptedByHalf(t *testing.T) {
	recording := filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(recording, []byte("{\"at_ns\":0,\"text\":\"a\"}\n{\"at_ns\":3600000000000,\"text\":\"b\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, scenario := range []string{"echo", "replay"} {
		ctx, cancel := context.WithCancel(t.Context())
		late := make(chan struct{})
		c := quick(hold(t, func(n int64) bool {
			if n%2 == 0 {
				<-late
			}
			return true
		}, listen))
		c.Scenario, c.Connections, c.Duration, c.Timeout = scenario, 100, time.Hour, 240*time.Hour
		if scenario == "replay" {
			c.Recording = recording
		}
		once := sync.OnceFunc(func() { cancel(); close(late) })
		c.Progress = func(p Progress) {
			if p.Open > 0 {
				once()
			}
		}
		if report, err := Run(ctx, c); err != nil || !report.Interrupted {
			t.Errorf("%s: %v, %+v", scenario, err, report)
		}
	}
}

// TestRunWhileServerEnds has the server's process end: the figures of the rest are told all
// the same.
func TestRunWhileServerEnds(t *testing.T) {
	server := exec.CommandContext(t.Context(), "/bin/cat") // that of another server would do
	held, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	c := quick(serve(t, func() answers { return echoed }))
	c.PIDs, c.Duration = []int{server.Process.Pid}, 1500*time.Millisecond // progress is told twice a second
	c.Progress = func(Progress) {
		_ = held.Close()
		_ = server.Wait() // ends at once, and only once
	}
	report, r := mustRun(t, c)
	if faults(&r.Tally) != (fault{}) || r.Received == 0 || r.Server != nil {
		t.Errorf("faults %+v, %d received, the server cost %+v", faults(&r.Tally), r.Received, r.Server)
	}
	if warnings := strings.Join(report.Warnings(), "; "); !strings.Contains(warnings, "ended; what the server needed is not known") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestRunWithoutServer(t *testing.T) {
	c := quick("ws://127.0.0.1:1/")
	c.Duration = time.Hour // nothing to wait for
	_, r := mustRun(t, c)
	if r.Failures["connection refused"] != 4 || r.Opened != 0 || r.errors() != 4 {
		t.Errorf("failures %v, %d opened, %d errors", r.Failures, r.Opened, r.errors())
	}
	url := serve(t, func() answers { return echoed })
	c = quick(strings.Replace(url, "ws://127.0.0.1", "ws://localhost", 1))
	if _, r := mustRun(t, c); faults(&r.Tally) != (fault{}) {
		t.Errorf("by name: faults %+v", faults(&r.Tally))
	}
}

func TestRunRefusesConfig(t *testing.T) {
	tests := []struct {
		want   string
		change func(*Config)
	}{
		{"there is no scenario", func(c *Config) { c.Scenario = "dance" }},
		{"a URL is missing", func(c *Config) { c.URLs = nil }},
		{"is not a URL", func(c *Config) { c.URLs[0] = "http://127.0.0.1/" }},
		{`"…@127.0.0.1/" is not a URL such as ws://127.0.0.1:7681/echo: engine: bad WebSocket URL: no place for a user`, func(c *Config) { c.URLs[0] = "ws://me:secret@127.0.0.1/" }},
		{"no fragment allowed", func(c *Config) { c.URLs[0] = "ws://127.0.0.1/#a" }},
		{"no host, or no such port", func(c *Config) { c.URLs[0] = "ws://:7681/" }},
		{"no host, or no such port", func(c *Config) { c.URLs = append(c.URLs, "ws://127.0.0.1:99999/") }},
		{"authorities have no use", func(c *Config) { c.CAFile, c.Insecure = "x", true }},
		{"there is none", func(c *Config) { c.Insecure = true }},
		{"reading the authorities", func(c *Config) { c.URLs[0], c.CAFile = "wss://a/", "/nonexistent" }},
		{"no certificate in PEM", func(c *Config) { c.URLs[0], c.CAFile = "wss://a/", "run_test.go" }},
		{"a ping of 126 bytes is above 125", func(c *Config) { c.Scenario, c.PayloadBytes = "idle", 126 }},
		{"storm has no rate", func(c *Config) { c.Scenario, c.Rate = "storm", 1 }},
		{"-1 connections are too few", func(c *Config) { c.Connections = -1 }},
		{"-1 messages in flight", func(c *Config) { c.InFlight = -1 }},
		{"a rate of -1", func(c *Config) { c.Rate = -1 }},
		{"a payload of 31 bytes", func(c *Config) { c.PayloadBytes = 31 }},
		{"durations must be positive", func(c *Config) { c.Duration = -1 }},
		{"-1 rounds", func(c *Config) { c.Rounds = -1 }},
		{"5 workers cannot share", func(c *Config) { c.Workers = 5 }},
		{"needs a WorkerCommand", func(c *Config) { c.Workers = 2 }},
		{"too many for the limit of descriptors", func(c *Config) { c.Connections = 1 << 30 }},
		{"is not an IP address", func(c *Config) { c.Sources = []string{"here"} }},
		{"192.0.2.1 is not an address of this machine", func(c *Config) { c.Sources = []string{"127.0.0.1", "::1", "192.0.2.1"} }},
		{"no process 1073741824 can be observed", func(c *Config) { c.PIDs = []int{1 << 30} }},
		{"more than the 1 URLs", func(c *Config) { c.PIDs = []int{1, 2} }},
	}
	for _, tt := range tests {
		c := quick("ws://127.0.0.1:1/")
		tt.change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v", tt.want, err)
		}
	}
}

func TestRunWithFailingWorkers(t *testing.T) {
	c := quick("ws://127.0.0.1:1/")
	c.WorkerCommand = []string{"/bin/false"}
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "worker 0: ended too early") {
		t.Errorf("got %v", err)
	}
	c.WorkerCommand = []string{"/nonexistent"}
	if _, err := Run(t.Context(), c); err == nil {
		t.Error("a worker that cannot be started is no error")
	}
}

// TestWorkerAbandoned ends the commands at once.
func TestWorkerAbandoned(t *testing.T) {
	if err := Worker(strings.NewReader(""), io.Discard); err == nil {
		t.Error("no error")
	}
}

func TestSource(t *testing.T) {
	tests := []struct {
		url     string
		sources []string
		i       int
		want    string
	}{
		{"ws://127.0.0.1:1/", nil, 0, "127.0.0.1"},
		{"ws://127.0.0.1:1/", nil, 45000, "127.0.0.3"},
		{"ws://10.0.0.1:1/", nil, 45000, "invalid IP"},
		{"ws://localhost:1/", nil, 45000, "invalid IP"},
		{"ws://10.0.0.1:1/", []string{"10.0.0.2", "10.0.0.3"}, 25000, "10.0.0.3"},
		{"ws://10.0.0.1:1/", []string{"10.0.0.2", "10.0.0.3"}, 45000, "10.0.0.2"},
	}
	for _, tt := range tests {
		got, err := Config{Sources: tt.sources}.source(tt.url, tt.i)
		if err != nil || got.String() != tt.want {
			t.Errorf("source %d to %s from %v: %v, %v; want %s", tt.i, tt.url, tt.sources, got, err, tt.want)
		}
	}
}
