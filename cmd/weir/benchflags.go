package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirws/weir/bench"
	"github.com/weirws/weir/handler"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	config     bench.Config
	thresholds []bench.Threshold
	json       string // files
	csv        string
	html       string
	file       string // with flags
}

// parseBench reads the arguments of bench: the scenario, the URL, and flags before,
// between and behind them.
func parseBench(args []string, stdout io.Writer) (benchOptions, error) {
	var o benchOptions
	fs := flag.NewFlagSet("bench SCENARIO URL", flag.ContinueOnError)
	benchLoadFlags(fs, &o.config)
	benchPublishFlags(fs, &o.config)
	benchRunFlags(fs, &o)
	words, err := parseWords(fs, args, stdout)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printScenarios(stdout)
		}
		return o, err
	}
	if o.file != "" {
		f, err := readBenchFile(o.file)
		if err != nil {
			return o, err
		}
		if err := f.apply(fs); err != nil {
			return o, err
		}
		words = f.words(words)
	}
	scenarios := join(bench.Scenarios(), "and")
	switch {
	case len(words) == 0:
		return o, usagef("bench needs a scenario and a URL; the scenarios are %s", scenarios)
	case !slices.Contains(bench.Scenarios(), words[0]):
		return o, usagef("bench has no scenario %q; the scenarios are %s", words[0], scenarios)
	case len(words) == 1:
		return o, usagef("bench %s needs a URL, such as ws://127.0.0.1:7681/echo", words[0])
	case len(words) > 2:
		return o, usagef("bench takes one URL; others, such as %q, follow --compare", words[2])
	}
	o.config.Scenario = words[0]
	if finding := words[0] == "find"; finding != given(fs, "bound") {
		return o, usagef("--bound 'p99<5ms', or another, is what find needs, and find only")
	}
	if replaying := words[0] == "replay"; replaying != given(fs, "recording") {
		return o, usagef("--recording with a file of weir bench record is what replay needs, and replay only")
	}
	if err := checkFlagsOf(words[0], fs); err != nil {
		return o, err
	}
	o.config.URLs = append([]string{words[1]}, o.config.URLs...)
	return o, o.checkFiles()
}

// flagsOf are the flags that only some scenarios have a use for.
var flagsOf = map[string][]string{
	"attackers":  {"hostile"},
	"in-flight":  {"echo", "find"},
	"publishers": {"fanout"},
	"search":     {"find"},
	"speed":      {"replay"},
}

// checkFlagsOf returns an error if a flag was given that would change nothing.
func checkFlagsOf(scenario string, fs *flag.FlagSet) (err error) {
	fs.VisitAll(func(f *flag.Flag) {
		if users := flagsOf[f.Name]; err == nil && users != nil && given(fs, f.Name) && !slices.Contains(users, scenario) {
			err = usagef("%s has no use for --%s, only %s", scenario, f.Name, join(users, "and"))
		}
	})
	if err == nil && given(fs, "in-flight") && given(fs, "rate") {
		err = usagef("--in-flight is for messages that replies bring on, and --rate for those that come by the clock; give one of them")
	}
	return err
}

// checkFiles returns an error for a file that could not be written once the run is over.
func (o benchOptions) checkFiles() error {
	taken := make(map[string]bool)
	for _, path := range []string{o.json, o.csv, o.html} {
		if path == "" {
			continue
		}
		dir := filepath.Dir(path)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return usagef("%s cannot be written: %s is no directory; make it, or give another name", path, dir)
		}
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			return usagef("%s is a directory; name a file in it", path)
		}
		if err == nil && !info.Mode().IsRegular() {
			continue // such as /dev/stdout, which takes it all
		}
		if path = filepath.Clean(path); taken[path] {
			return usagef("%s can be only one of --json, --csv and --html", path)
		}
		taken[path] = true
	}
	return nil
}

// printScenarios completes the usage.
func printScenarios(w io.Writer) {
	fmt.Fprint(w, "\nThe scenarios:\n\n")
	for _, name := range bench.Scenarios() {
		fmt.Fprintf(w, "  %-8s %s\n", name, bench.Describe(name))
	}
	fmt.Fprint(w, "\nweir bench record URL --out FILE writes what a server sends to a file, for replay.\n")
}

func benchLoadFlags(fs *flag.FlagSet, c *bench.Config) {
	const mostConnections = 1 << 20
	fs.Var(whole(&c.Connections, 1, mostConnections, 64), "connections", "`number` of connections to hold")
	fs.Var(whole(&c.InFlight, 1, 1<<16, 1), "in-flight", "`number` of messages that each connection keeps on their way, without --rate")
	fs.Var(&value{want: "a number above 0, per second", set: func(s string) bool {
		v, err := strconv.ParseFloat(s, 64)
		c.Rate = v
		return err == nil && v > 0 && v <= 1e9
	}}, "rate", "send so many messages per `second`, whether or not the server keeps up")
	fs.Var(whole(&c.Attackers, 1, 128, 4), "attackers", "`number` of connections that attack at a time, with hostile")
	fs.Var(text(&c.Recording, "the path of a file that weir bench record has written", ""), "recording", "`file` to play, with replay")
	fs.Var(&value{want: "a number above 0, such as 10 or 0.5", text: "1", set: func(s string) bool {
		v, err := strconv.ParseFloat(s, 64)
		c.Speed = v
		return err == nil && v > 0 && v <= 1e6
	}}, "speed", "how many `times` as fast as it was recorded, with replay")
	searches := bench.Searches()
	fs.Var(&value{want: join(searches, "or"), text: searches[0], set: func(s string) bool {
		c.Search = s
		return slices.Contains(searches, s)
	}}, "search", "what find looks for, rate or connections; it begins at --rate or --connections")
	fs.Var(&value{want: "an upper bound of a figure, such as p99<5ms", set: func(s string) bool {
		return c.Bound.UnmarshalText([]byte(s)) == nil
	}}, "bound", "`bound` that find has to keep, such as p99<5ms")
	fs.Var(whole(&c.PayloadBytes, 1, mostBytes, 128), "payload", "`bytes` of a message, at least 32")
	fs.Var(toggle(&c.Text), "text", "send text messages, not binary ones")
	fs.Var(spanOrNever(&c.WarmUp, -1, time.Second), "warm-up", "`time` of load before measuring begins; 0: none")
	fs.Var(span(&c.Duration, 5*time.Second), "duration", "`time` to measure in each round")
	fs.Var(whole(&c.Rounds, 1, 1000, 3), "rounds", "`number` of rounds with each server")
	fs.Var(span(&c.Timeout, 5*time.Second), "timeout", "`time` that an opening handshake or a reply may take")
}

// benchPublishFlags say how fanout publishes.
func benchPublishFlags(fs *flag.FlagSet, c *bench.Config) {
	p := &c.Publishing
	fs.Var(whole(&c.Publishers, 1, 64, 1), "publishers", "`number` of connections, besides the others, that publish, with fanout")
	fs.Var(list(&p.URLs, "a URL such as http://127.0.0.1:7681/publish/topic", func(s string) bool {
		return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
	}), "publish-url", "`URL` to post messages to, with fanout, in place of sending them; may be repeated, in the order of the URLs")
	fs.Var(list(&p.Headers, "a header field, such as 'Authorization: Bearer x'", func(s string) bool {
		name, field, ok := strings.Cut(s, ":")
		var checked handler.Request
		return ok && checked.AddHeader(name, strings.TrimSpace(field)) == nil
	}), "publish-header", "`field` of those posts, 'Name: value'; may be repeated")
	fs.Var(text(&p.Template, "a template with {{.Message}}", ""), "publish-template", "what to post or send, as a `template` with {{.Message}}, and {{.Publisher}} and {{.Number}} if wanted")
	fs.Var(text(&p.Subscribe, "a template of a message", ""), "subscribe", "`message` that each subscriber sends once it is connected, with {{.Subscriber}} for its number")
}

func benchRunFlags(fs *flag.FlagSet, o *benchOptions) {
	c := &o.config
	fs.Var(whole(&c.Workers, 1, 1024, 0), "workers", "`number` of processes that hold the connections (default: as descriptors and processors require)")
	fs.Var(list(&c.Sources, "an IP address of this machine", func(s string) bool {
		_, err := netip.ParseAddr(s)
		return err == nil
	}), "source", "`address` to connect from, for 20000 connections; may be repeated")
	fs.Var(list(&c.URLs, "a URL such as ws://127.0.0.1:7682/echo", func(s string) bool {
		return strings.HasPrefix(s, "ws://") || strings.HasPrefix(s, "wss://")
	}), "compare", "`URL` of another server, to be loaded in turn with the first; may be repeated")
	trustFlags(fs, c)
	fs.Var(&value{want: "the number of a process", repeats: true, set: func(s string) bool {
		pid, err := strconv.Atoi(s)
		c.PIDs = append(c.PIDs, pid)
		return err == nil && pid > 0
	}}, "pid", "`process` of the server, to measure what it needs; may be repeated, in the order of the URLs")
	fs.Var(&value{want: "a figure and its bound, such as p99<5ms or lost<1", repeats: true, set: func(s string) bool {
		t, err := bench.ParseThreshold(s)
		o.thresholds = append(o.thresholds, t)
		return err == nil
	}}, "threshold", "`bound` that a figure, which all rounds must have, is to keep for the exit code to be 0, such as p99<5ms; may be repeated")
	file := func(p *string) *value {
		return &value{want: "the name of a file", set: func(s string) bool { *p = s; return s != "" }}
	}
	fs.Var(file(&o.file), "config", "JSON `file` with an object of flags and values, and scenario and url; flags on the command line win")
	fs.Var(file(&o.json), "json", "`file` to write everything to, as JSON")
	fs.Var(file(&o.csv), "csv", "`file` to write the figures of all rounds to, as CSV")
	fs.Var(file(&o.html), "html", "`file` to write a page with charts to, which needs nothing but itself")
}

func trustFlags(fs *flag.FlagSet, c *bench.Config) {
	fs.Var(text(&c.CAFile, "the path of a file in PEM", ""), "ca", "`file` with authorities in PEM to trust, in place of the system's, for wss")
	fs.Var(toggle(&c.Insecure), "insecure", "trust any certificate of a server")
}
