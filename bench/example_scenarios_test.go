package bench_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/weirws/weir/bench"
)

// mustRun returns the first round with the first server.
func mustRun(c bench.Config) *bench.Round {
	r, err := bench.Run(context.Background(), c)
	if err != nil {
		log.Fatal(err)
	}
	return &r.Targets[0].Rounds[0]
}

// Messages come back as they were sent: in an open loop 200 a second over all connections.
func ExampleRun() {
	url, stop := startServer()
	defer stop()
	r, err := bench.Run(context.Background(), bench.Config{
		Scenario: "echo", URLs: []string{url + "/echo"}, Connections: 10, Rate: 200,
		WarmUp: -1, Duration: 100 * time.Millisecond, Rounds: 2,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, round := range r.Targets[0].Rounds {
		fmt.Println(round.Sent, "sent,", round.Lost, "lost,", round.Wrong, "wrong")
	}
	// Output:
	// 20 sent, 0 lost, 0 wrong
	// 20 sent, 0 lost, 0 wrong
}

// Two servers in turn.
func ExampleRun_compare() {
	url, stop := startServer()
	defer stop()
	r, err := bench.Run(context.Background(), bench.Config{
		Scenario: "echo", URLs: []string{url + "/echo", url + "/broadcast"}, Connections: 1, Rate: 200,
		WarmUp: -1, Duration: 100 * time.Millisecond, Rounds: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range r.Targets {
		fmt.Println(t.Rounds[0].Sent, "sent,", t.Rounds[0].Lost, "lost")
	}
	// Output:
	// 20 sent, 0 lost
	// 20 sent, 0 lost
}

// What one connection publishes reaches all others once and in order.
func ExampleRun_fanout() {
	url, stop := startServer()
	defer stop()
	r := mustRun(bench.Config{
		Scenario: "fanout", URLs: []string{url + "/broadcast"}, Connections: 50, Rate: 50,
		WarmUp: -1, Duration: 100 * time.Millisecond, Rounds: 1,
	})
	fmt.Println(r.Sent, "publications,", r.Expected, "deliveries,", r.Lost+r.Duplicate+r.Reordered, "lost, double or out of order")
	// Output: 5 publications, 250 deliveries, 0 lost, double or out of order
}

// What is published goes to a topic of a server with a protocol of its own.
func ExampleRun_publishing() {
	r, err := bench.Run(context.Background(), bench.Config{
		Scenario: "fanout", URLs: []string{"ws://127.0.0.1:7681/feed"}, Connections: 5000, Rate: 50,
		Publishing: bench.Publishing{
			Subscribe: `{"op":"subscribe","topic":"t"}`,
			URLs:      []string{"http://127.0.0.1:7681/publish/t"},
			Headers:   []string{"Authorization: Bearer " + os.Getenv("TOKEN")},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := r.WriteText(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// What is measured is how connections are opened.
func ExampleRun_connect() {
	url, stop := startServer()
	defer stop()
	r := mustRun(bench.Config{Scenario: "connect", URLs: []string{url + "/echo"}, Connections: 100, Rounds: 1})
	fmt.Println(r.Opened, "opened,", r.Handshakes.Count(), "handshakes measured,", len(r.Failures), "reasons for failures")
	// Output: 100 opened, 100 handshakes measured, 0 reasons for failures
}

// Connections are held, and pinged.
func ExampleRun_idle() {
	url, stop := startServer()
	defer stop()
	r := mustRun(bench.Config{
		Scenario: "idle", URLs: []string{url + "/echo"}, Connections: 20, Rate: 200,
		WarmUp: -1, Duration: 100 * time.Millisecond, Rounds: 1,
	})
	fmt.Println(r.Sent, "pings,", r.Latency.Count(), "pongs")
	// Output: 20 pings, 20 pongs
}

// All connections are cut at once, and come back.
func ExampleRun_storm() {
	url, stop := startServer()
	defer stop()
	r := mustRun(bench.Config{
		Scenario: "storm", URLs: []string{url + "/echo"}, Connections: 100, WarmUp: -1, Duration: time.Minute, Rounds: 1,
	})
	fmt.Println(r.Cut, "cut,", r.Arrived, "back")
	// Output: 100 cut, 100 back
}

// Connections come and go.
func ExampleRun_churn() {
	url, stop := startServer()
	defer stop()
	r := mustRun(bench.Config{
		Scenario: "churn", URLs: []string{url + "/echo"}, Connections: 20, Rate: 100,
		WarmUp: -1, Duration: 100 * time.Millisecond, Rounds: 1,
	})
	fmt.Println(r.Arrived, "came,", r.Departed, "left,", len(r.Failures), "reasons for failures")
	// Output: 10 came, 10 left, 0 reasons for failures
}

// Attackers of all kinds in turn, next to a control group.
func ExampleRun_hostile() {
	r := mustRun(bench.Config{Scenario: "hostile", URLs: []string{"ws://127.0.0.1:7681/echo"}, Rate: 1000, Attackers: 16, Duration: 35 * time.Second})
	for _, s := range r.Stages {
		fmt.Printf("%s: %v, control group p99 %v, %d missing\n", s.Name, s.Outcomes, s.Latency.At(99), s.Missing())
	}
}

// The largest rate with which 99 % of the messages are back in less than 5 ms.
func ExampleRun_find() {
	bound, err := bench.ParseThreshold("p99<5ms")
	if err != nil {
		log.Fatal(err)
	}
	r, err := bench.Run(context.Background(), bench.Config{
		Scenario: "find", URLs: []string{"ws://127.0.0.1:7681/echo"}, Bound: bound, Connections: 1000,
	})
	if err != nil {
		log.Fatal(err)
	}
	found := r.Targets[0].Found
	fmt.Printf("%.0f messages per second, between %.0f and %.0f\n", found.Value, found.Least, found.Most)
}

// A recording is played ten times as fast, on each of two connections.
func ExampleRun_replay() {
	url, stop := startServer()
	defer stop()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "recording")
	const recorded = `{"at_ns":0,"text":"hello"}
{"at_ns":1000000000,"text":"world"}
`
	if err := os.WriteFile(file, []byte(recorded), 0o600); err != nil {
		log.Fatal(err)
	}
	r := mustRun(bench.Config{Scenario: "replay", URLs: []string{url + "/echo"}, Recording: file, Speed: 10, Connections: 2})
	fmt.Println(r.Sent, "messages,", r.SentBytes, "bytes in", r.Playing, "on", r.Finishing.Count(), "connections")
	// Output: 4 messages, 20 bytes in 100ms on 2 connections
}

// Something to look at during a long run.
func ExampleProgress() {
	_, err := bench.Run(context.Background(), bench.Config{
		Scenario: "echo", URLs: []string{"ws://127.0.0.1:7681/echo"}, Duration: time.Hour,
		Progress: func(p bench.Progress) {
			fmt.Printf("%s: %d connections, %.0f messages per second, p99 %v, %d errors\n", p.Phase, p.Open, p.Rate, p.P99, p.Errors)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
}
