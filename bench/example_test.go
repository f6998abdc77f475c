package bench_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/weirws/weir/bench"
	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// startServer starts a server to load, on a port of its own. It sends back what comes to
// /echo, hands to everyone what comes to /broadcast, and greets at /greeting.
func startServer() (url string, stop func() error) {
	m := handler.NewMux()
	m.Handle("/echo", handler.Echo{})
	m.Handle("/broadcast", handler.Func(func(c handler.Conn, op frame.Opcode, payload []byte) {
		c.Hub().Broadcast(op, payload, handler.Audience{Path: c.Path()})
	}))
	m.Handle("/greeting", handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error {
		return errors.Join(c.Send(frame.Text, []byte("hello")), c.Send(frame.Text, []byte("world")), c.Close(frame.CloseNormal, ""))
	}})
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: m})
	if err != nil {
		log.Fatal(err)
	}
	if err := e.Start(); err != nil {
		log.Fatal(err)
	}
	return "ws://" + e.Addr().String(), e.Close
}

// report loads a server with 20 messages.
func report() *bench.Report {
	url, stop := startServer()
	defer stop()
	r, err := bench.Run(context.Background(), bench.Config{
		Scenario: "echo", URLs: []string{url + "/echo"}, Connections: 4, Rate: 200,
		WarmUp: -1, Duration: 100 * time.Millisecond, Rounds: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	return r
}

func ExampleConfigError() {
	_, err := bench.Run(context.Background(), bench.Config{Scenario: "dance", URLs: []string{"http://127.0.0.1/"}, Rounds: -1})
	if wrong, ok := errors.AsType[bench.ConfigError](err); ok {
		fmt.Println(wrong)
	}
	// Output:
	// bench: there is no scenario "dance"; there are churn, connect, echo, fanout, find, hostile, idle, replay, storm
	// bench: "http://127.0.0.1/" is not a URL such as ws://127.0.0.1:7681/echo: engine: bad WebSocket URL: scheme must be ws or wss
	// bench: -1 rounds are too few
}

func ExampleScenarios() {
	for _, name := range bench.Scenarios()[:3] {
		fmt.Printf("%s: %s\n", name, bench.Describe(name))
	}
	// Output:
	// churn: connections come and go, their number stays the same; --rate is how many per second
	// connect: connections are opened; --rate is connections per second
	// echo: messages come back as they were sent; --rate is messages per second
}

func ExampleDescribe() {
	fmt.Println(bench.Describe("fanout"))
	// Output: what is published reaches all connections once and in order; --rate is publications per second
}

func ExampleSearches() {
	fmt.Println(bench.Searches())
	// Output: [rate connections]
}

func ExampleReadRecording() {
	messages, err := bench.ReadRecording(strings.NewReader(`{"at_ns":0,"text":"hello"}
{"at_ns":1500000,"base64":"AAEC"}
`))
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range messages {
		fmt.Printf("%v %v %q\n", m.At, m.Op, m.Payload)
	}
	// Output:
	// 0s text "hello"
	// 1.5ms binary "\x00\x01\x02"
}

func ExampleRecord() {
	url, stop := startServer()
	defer stop()
	var file bytes.Buffer
	recorded, err := bench.Record(context.Background(), bench.Config{URLs: []string{url + "/greeting"}, Duration: time.Minute}, &file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(recorded.Messages, "messages,", recorded.Bytes, "bytes")
	messages, err := bench.ReadRecording(&file)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range messages {
		fmt.Printf("%s\n", m.Payload)
	}
	// Output:
	// 2 messages, 10 bytes
	// hello
	// world
}

// A program whose workers are processes of its own starts itself as one.
func ExampleWorker() {
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		if bench.Worker(os.Stdin, os.Stdout) != nil {
			os.Exit(1) // the parent has been told why
		}
		return
	}
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	r, err := bench.Run(context.Background(), bench.Config{
		Scenario: "idle", URLs: []string{"ws://127.0.0.1:7681/echo"}, Connections: 50000,
		WorkerCommand: []string{program, "worker"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := r.WriteText(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func ExampleParseThreshold() {
	_, err := bench.ParseThreshold("p99<5")
	fmt.Println(err)
	t, err := bench.ParseThreshold("p99<5ms")
	if err != nil {
		log.Fatal(err)
	}
	text, _ := t.MarshalText()
	fmt.Printf("%s\n", text)
	// Output:
	// bench: threshold "p99<5": "5" is not a duration such as 5ms
	// p99<5ms
}

func ExampleReport_Check() {
	r := report()
	for _, text := range []string{"errors<1", "sent>=20", "sent>1000"} {
		t, err := bench.ParseThreshold(text)
		if err != nil {
			log.Fatal(err)
		}
		err = r.Check([]bench.Threshold{t})
		fmt.Println(text, errors.Is(err, bench.ErrThreshold))
	}
	// Output:
	// errors<1 false
	// sent>=20 false
	// sent>1000 true
}

func ExampleReport_Warnings() {
	r := &bench.Report{Interrupted: true}
	fmt.Println(r.Warnings())
	// Output: [the run was interrupted]
}

func ExampleReport_WriteText() {
	var b strings.Builder
	if err := report().WriteText(&b); err != nil {
		log.Fatal(err)
	}
	headline, _, _ := strings.Cut(b.String(), "\n")
	fmt.Println(headline)
	// Output: echo: 4 connections, 1 worker, 1 round of 100ms after 0s of warm-up, 128 bytes
}

func ExampleReport_WriteCSV() {
	var b bytes.Buffer
	if err := report().WriteCSV(&b); err != nil {
		log.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rows[0])
	for _, row := range rows {
		if row[2] == "sent" {
			fmt.Println("round", row[1], row[2], row[4])
		}
	}
	// Output:
	// [url round metric unit value]
	// round 1 sent 20
}

func ExampleReport_WriteJSON() {
	var b bytes.Buffer
	if err := report().WriteJSON(&b); err != nil {
		log.Fatal(err)
	}
	var r bench.Report
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		log.Fatal(err)
	}
	round := r.Targets[0].Rounds[0]
	fmt.Println(round.Sent, "sent,", round.Latency.Count(), "latencies")
	// Output: 20 sent, 20 latencies
}

func ExampleReport_WriteHTML() {
	f, err := os.Create("report.html")
	if err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(report().WriteHTML(f), f.Close()); err != nil {
		log.Fatal(err)
	}
}

func ExampleTarget_Metrics() {
	var t bench.Target
	for _, n := range []uint64{90, 110, 100} {
		t.Rounds = append(t.Rounds, bench.Round{Tally: bench.Tally{Sent: n, Received: n, Measured: time.Second}})
	}
	for _, m := range t.Metrics() {
		if m.Name == "rate" || m.Name == "sent" {
			fmt.Printf("%s %v%s, in rounds %v to %v\n", m.Name, m.Value, m.Unit, m.Least, m.Most)
		}
	}
	// Output:
	// rate 100/s, in rounds 90 to 110
	// sent 300, in rounds 90 to 110
}

func ExampleHistogram() {
	var h, other bench.Histogram
	for ms := range int64(100) {
		h.Record((ms + 1) * int64(time.Millisecond))
	}
	other.Record(int64(time.Second))
	h.Merge(other)
	fmt.Println(h.Count(), h.At(50).Round(time.Millisecond), h.At(100).Round(time.Millisecond))
	// Output: 101 51ms 1s
}

func ExampleStage_Missing() {
	s := bench.Stage{Name: "ping-flood", Due: 2}
	s.Latency.Record(int64(time.Millisecond))
	fmt.Println(s.Missing())
	// Output: 1
}
