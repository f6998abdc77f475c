// Command run measures servers against each other and the C floor: what does one
// message cost in server CPU time, what does a connection? It builds what it needs, pins the server to one processor
// and the load generator to another, and lets the targets take turns, round
// after round, so that slow and fast stretches of the machine hit all of them
// alike. It prints medians, and the ratio to the first target taken round by
// round.
//
// Run it in bench/peers; everything takes about three quarters of an hour:
//
//	go run ./run
//	go run ./run --quick
//	go run ./run --from result.json --markdown result.md --svg result.svg
//	go run ./run --scenario echo-1,echo-16 --rounds 9 --json result.json
//	go run ./run --target floor-c --target 'two-loops={weir} serve --address {addr} --handlers loop --loops 2'
//
// How exact that is on a given machine shows when the floor runs against itself:
//
//	go run ./run --target floor-c --target 'again={floor-c} {port}'
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
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench/peers/target"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	code := 2
	if err == nil {
		code, err = 1, run(ctx, o, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(code)
	}
}

type options struct {
	targets                 []target.Target
	scenarios               []scenario
	rounds                  int
	warmUp, length          time.Duration
	serverCPU, generatorCPU string
	jsonFile                string
	markdownFile, svgFile   string
	earlier                 []report // to be written in place of new ones
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	if o.earlier != nil {
		return o.write(o.earlier)
	}
	reports, err := measureAll(ctx, o, stdout, stderr)
	failures := []error{err}
	for _, r := range reports {
		failures = append(failures, r.failures()...)
	}
	return errors.Join(failures...)
}

// measureAll builds what is needed and runs every scenario. What it has measured so far is
// printed and written after each.
func measureAll(ctx context.Context, o options, stdout, stderr io.Writer) ([]report, error) {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := target.Build(ctx, dir, o.targets); err != nil {
		return nil, err
	}
	b := bench{options: o, dir: dir, progress: stderr}
	var reports []report
	for _, s := range o.scenarios {
		r, err := b.measure(ctx, s)
		if err != nil {
			return reports, err
		}
		reports = append(reports, r)
		if err := errors.Join(r.print(stdout), o.write(reports)); err != nil {
			return reports, err
		}
	}
	return reports, nil
}

// write writes the files that were asked for.
func (o options) write(reports []report) error {
	text, err := json.MarshalIndent(reports, "", "\t")
	if err != nil {
		return err
	}
	var errs []error
	for file, content := range map[string]func() []byte{
		o.jsonFile:     func() []byte { return append(text, '\n') },
		o.markdownFile: func() []byte { return markdown(reports) },
		o.svgFile:      func() []byte { return chart(reports) },
	} {
		if file != "" {
			errs = append(errs, os.WriteFile(filepath.Clean(file), content(), 0o644))
		}
	}
	return errors.Join(errs...)
}

// parse reads the flags. Help goes to stdout, with flag.ErrHelp.
func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Func("target", "`name` of a built-in target or name=command; the first is the base of the ratios; may be\n"+
		"repeated. {addr} and {port} in the command stand for where to listen, and the name of a\n"+
		"program in braces, such as {floor-c} or {weir}, for that program, built for the run. Default: all of\n"+
		target.Names(target.All), o.addTarget)
	fs.Func("scenario", "`names`, separated by commas; default: all of\n"+scenarioNames(), o.addScenarios)
	fs.IntVar(&o.rounds, "rounds", 5, "rounds per scenario, in each of which every target runs once")
	fs.DurationVar(&o.warmUp, "warm-up", 300*time.Millisecond, "load before measuring, in each round")
	fs.DurationVar(&o.length, "duration", time.Second, "load while measuring, in each round")
	fs.StringVar(&o.serverCPU, "server-cpu", "1", "`processors` for the server, as taskset takes them")
	fs.StringVar(&o.generatorCPU, "generator-cpu", "0", "`processor` for the load generator")
	quick := fs.Bool("quick", false, "one short round of everything, in minutes: to see that it works, not for figures")
	fs.StringVar(&o.jsonFile, "json", "", "`file` to write every round's figures to")
	fs.StringVar(&o.markdownFile, "markdown", "", "`file` to write tables to")
	fs.StringVar(&o.svgFile, "svg", "", "`file` to write charts to")
	fs.Func("from", "`file` written with --json, to make tables and charts of instead of measuring; may be repeated:\n"+
		"rounds of the same scenario and target are put together", o.addEarlier)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(stdout)
			fs.PrintDefaults()
		}
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; there are flags only", fs.Arg(0))
	}
	if *quick {
		o.rounds, o.warmUp, o.length = 1, 100*time.Millisecond, 300*time.Millisecond
	}
	if o.rounds < 1 || o.length <= 0 || o.warmUp < 0 {
		return o, errors.New("rounds and duration must be above zero, and warm-up not below")
	}
	if len(o.targets) == 0 {
		o.targets = target.All
	}
	if len(o.scenarios) == 0 {
		o.scenarios = scenarios
	}
	return o, nil
}

// addTarget takes one value of the target flag.
func (o *options) addTarget(value string) error {
	t, err := target.Parse(value)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(o.targets, func(other target.Target) bool { return other.Name == t.Name }) {
		return fmt.Errorf("two targets are named %q", t.Name)
	}
	o.targets = append(o.targets, t)
	return nil
}
