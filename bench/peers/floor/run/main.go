// Command run measures servers against the C floor: what does one message cost
// in server CPU time? It builds what it needs, pins the server to one processor
// and the load generator to another, and lets the targets take turns, round
// after round, so that slow and fast stretches of the machine hit all of them
// alike. It prints medians, and the ratio to the first target taken round by
// round.
//
// Run it in bench/peers:
//
//	go run ./floor/run
//	go run ./floor/run --scenario echo-1,echo-16 --rounds 9 --json result.json
//	go run ./floor/run --target floor-c --target 'two-loops={weir} serve --address {addr} --handlers loop --loops 2'
//
// How exact that is on a given machine shows when the floor runs against itself:
//
//	go run ./floor/run --target floor-c --target 'again={floor-c} {port}'
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

type options struct {
	targets                 []target
	scenarios               []scenario
	rounds                  int
	warmUp, length          time.Duration
	serverCPU, generatorCPU string
	jsonFile                string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "floor")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := buildAll(ctx, dir, o.targets); err != nil {
		return err
	}
	b := bench{options: o, dir: dir, progress: stderr}
	var reports []report
	var failures []error
	for _, s := range o.scenarios {
		r, err := b.measure(ctx, s)
		if err != nil {
			return err
		}
		if err := r.print(stdout); err != nil {
			return err
		}
		reports = append(reports, r)
		failures = append(failures, r.failures()...)
	}
	if o.jsonFile != "" {
		text, err := json.MarshalIndent(reports, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Clean(o.jsonFile), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return errors.Join(failures...)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Func("target", "`name` of a built-in target or name=command; the first is the base of the ratios; may be\n"+
		"repeated. {addr} and {port} in the command stand for where to listen, {floor-c}, {floor-go},\n"+
		"{gorilla} and {weir} for those servers, built for the run. Default: "+defaultTargetNames(), o.addTarget)
	fs.Func("scenario", "`names`, separated by commas; default: all of\n"+scenarioNames(), o.addScenarios)
	fs.IntVar(&o.rounds, "rounds", 11, "rounds per scenario, in each of which every target runs once")
	fs.DurationVar(&o.warmUp, "warm-up", 300*time.Millisecond, "load before measuring, in each round")
	fs.DurationVar(&o.length, "duration", time.Second, "load while measuring, in each round")
	fs.StringVar(&o.serverCPU, "server-cpu", "1", "`processors` for the server, as taskset takes them")
	fs.StringVar(&o.generatorCPU, "generator-cpu", "0", "`processor` for the load generator")
	fs.StringVar(&o.jsonFile, "json", "", "`file` to write every round's figures to")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.rounds < 1 || o.length <= 0 || o.warmUp < 0 {
		return o, errors.New("rounds and duration must be above zero")
	}
	if len(o.targets) == 0 {
		o.targets = builtin[:defaultTargets]
	}
	if len(o.scenarios) == 0 {
		o.scenarios = scenarios
	}
	return o, nil
}
