package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/bench/peers/result"
	"github.com/weirws/weir/bench/peers/target"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"--target", "floor-go", "--target", "mine=/bin/mine --on {addr}", "--scenario", "echo-16,latency"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.targets) != 2 || o.targets[0].Name != "floor-go" || o.targets[1].Name != "mine" {
		t.Errorf("targets %+v", o.targets)
	}
	want := []string{"/bin/mine", "--on", "127.0.0.1:99"}
	if got := o.targets[1].CommandLine("/dir", "99"); !slices.Equal(got, want) {
		t.Errorf("command %q, want %q", got, want)
	}
	if len(o.scenarios) != 2 || o.scenarios[0].name != "echo-16" || o.scenarios[1].name != "latency" {
		t.Errorf("scenarios %+v", o.scenarios)
	}
}

func TestParseDefaults(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.targets) != len(target.All) || len(o.scenarios) != len(scenarios) {
		t.Errorf("%d targets, %d scenarios", len(o.targets), len(o.scenarios))
	}
	want := []string{"/dir/floor-c", "99"}
	if got := o.targets[0].CommandLine("/dir", "99"); !slices.Equal(got, want) {
		t.Errorf("command %q, want %q", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--target", "unknown"},
		{"--target", "=command"},
		{"--target", "name="},
		{"--target", "floor-c", "--target", "floor-c=true"},
		{"--scenario", "echo-1,unknown"},
		{"--rounds", "0"},
		{"--duration", "0s"},
		{"--warm-up", "-1s"},
		{"--from", "/no/such/file"},
		{"stray"},
	} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	var help strings.Builder
	if _, err := parse([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-scenario") {
		t.Errorf("--help: error %v, printed %q", err, help.String())
	}
}

// rounds are results with these costs in nanoseconds per message.
func rounds(costs ...time.Duration) []result.Result {
	var all []result.Result
	for _, c := range costs {
		all = append(all, result.Result{Messages: 1000, Wall: time.Second, Server: 1000 * c})
	}
	return all
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	// The machine became twice as fast for the last round.
	base := series{Rounds: rounds(1000, 1000, 500)}
	other := series{Rounds: rounds(1100, 1200, 650)}
	got := other.ratios(perMessage, base)
	if want := []float64{1.1, 1.2, 1.3}; !slices.Equal(got, want) {
		t.Errorf("ratios %v, want %v", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		figures []float64
		want    float64
	}{
		{[]float64{7}, 7},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 9, 2}, 3},
	} {
		name := slices.Clone(tt.figures)
		if got := median(tt.figures); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", name, got, tt.want)
		}
	}
}

// example has a target that did well, one with latencies and one that failed.
func example() report {
	timed := rounds(3000)
	timed[0].Latency = &result.Latency{P50: 30 * time.Microsecond, P99: 2 * time.Millisecond, Max: time.Second}
	return report{Scenario: "echo-1", About: "an echo", Figure: perMessage, Targets: []series{
		{Name: "floor-c", Rounds: rounds(2000, 1000)},
		{Name: "<peer>", Rounds: timed},
		{Name: "broken", Failure: "it\nbroke"},
	}}
}

func TestPrint(t *testing.T) {
	var out bytes.Buffer
	r := example()
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `
echo-1: an echo; server CPU per message
   target   median  from    to  ratio  from    to  messages/s  busy  others   p50  p99  max
  floor-c  1.50 µs  1.00  2.00  1.000  1.00  1.00        1000   0 %     0 %                
   <peer>  3.00 µs  3.00  3.00  1.500  1.50  1.50        1000   0 %     0 %  30µs  2ms   1s
   broken   failed                                                                         
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if failures := r.failures(); len(failures) != 1 {
		t.Errorf("failures %v", failures)
	}
}

func TestMarkdown(t *testing.T) {
	got := string(markdown([]report{example(), {Scenario: "idle", About: "nothing", Figure: memory, Targets: []series{
		{Name: "<peer>", Rounds: []result.Result{{BytesPerConnection: 4600}}},
	}}}))
	want := `| | | floor-c | <peer> | broken |
|---|---|--:|--:|--:|
| an echo | server CPU per message, µs | 1.50 | 3.00 | — (1) |
| nothing | resident memory per connection, kB | — | 4.60 | — |

1. echo-1, broken: it broke
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant at first\n%s", got, want)
	}
}

func TestChartIsXML(t *testing.T) {
	text := chart([]report{example(), example(), example()})
	decoder := xml.NewDecoder(bytes.NewReader(text))
	bars := 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if want := 1 + 3*2; bars != want { // and the background
		t.Errorf("%d rectangles, want %d", bars, want)
	}
}

func TestFromPutsRoundsTogether(t *testing.T) {
	file := filepath.Join(t.TempDir(), "result.json")
	if err := (options{jsonFile: file}).write([]report{example()}); err != nil {
		t.Fatal(err)
	}
	o, err := parse([]string{"--from", file, "--from", file}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.earlier) != 1 || len(o.earlier[0].Targets) != 3 {
		t.Fatalf("%+v, want one scenario with three targets", o.earlier)
	}
	for i, want := range []int{4, 2, 0} {
		if s := o.earlier[0].Targets[i]; len(s.Rounds) != want {
			t.Errorf("%s has %d rounds, want %d", s.Name, len(s.Rounds), want)
		}
	}
}

// quick is a run of the C floor that is too short to mean anything, on a
// processor that every machine has.
func quick(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parse(append([]string{"--scenario", "echo-1", "--rounds", "1", "--duration", "50ms", "--warm-up", "10ms",
		"--server-cpu", "0", "--target", "floor-c"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRun(t *testing.T) {
	t.Chdir("..")
	file := filepath.Join(t.TempDir(), "result.json")
	var out bytes.Buffer
	err := run(t.Context(), quick(t, "--target", "ends=false", "--json", file), &out, io.Discard)
	if err == nil || !strings.Contains(out.String(), "floor-c") {
		t.Errorf("error %v, printed %s", err, out.Bytes())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var reports []report
	if err := json.Unmarshal(text, &reports); err != nil {
		t.Fatal(err)
	}
	if len(reports) != 1 || len(reports[0].Targets) != 2 {
		t.Fatalf("reports %+v", reports)
	}
	for i, failed := range []bool{false, true} {
		s := reports[0].Targets[i]
		if (s.Failure != "") != failed || (len(s.Rounds) == 0) != failed {
			t.Errorf("target %s: failure %q, %d rounds", s.Name, s.Failure, len(s.Rounds))
		}
	}
}

func TestRunStops(t *testing.T) {
	t.Chdir("..")
	ctx, cancel := context.WithCancel(t.Context())
	progress := writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	err := run(ctx, quick(t, "--rounds", "1000000"), io.Discard, progress)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("run = %v, want context.Canceled", err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
