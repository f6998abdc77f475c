package bench_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/weirws/weir/bench"
)

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

func ExampleRun_find() {
	bound, err := bench.ParseThreshold("p99<5ms")
	if err != nil {
		log.Fatal(err)
	}
	report, err := bench.Run(context.Background(), bench.Config{
		Scenario: "find", URLs: []string{"ws://127.0.0.1:7681/echo"}, Bound: bound, Connections: 1000,
	})
	if err != nil {
		log.Fatal(err)
	}
	found := report.Targets[0].Found
	fmt.Printf("%.0f messages per second, between %.0f and %.0f\n", found.Value, found.Least, found.Most)
}

func ExampleRecord() {
	f, err := os.Create("feed")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	recorded, err := bench.Record(context.Background(), bench.Config{URLs: []string{"ws://127.0.0.1:7681/broadcast"}, Duration: time.Minute}, f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(recorded.Messages, "messages")
	if _, err := bench.Run(context.Background(), bench.Config{
		Scenario: "replay", URLs: []string{"ws://127.0.0.1:7682/publish"}, Recording: "feed", Speed: 10,
	}); err != nil {
		log.Fatal(err)
	}
}
