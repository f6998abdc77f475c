package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/weirws/weir/bench"
)

// loadTest is the command bench: it loads servers and tells how they did. An interrupt
// ends the run, with the results so far, and a second one the program.
func loadTest(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "record" {
		return record(ctx, args[1:], stdout)
	}
	o, err := parseBench(args, stdout)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal is not caught
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot start workers: %w", err)
	}
	o.config.WorkerCommand = []string{program, benchWorker}
	p := newProgressLine(stderr, o.config)
	o.config.Progress = p.show
	report, err := bench.Run(ctx, o.config)
	p.clear()
	if err != nil {
		return usageIfConfig(err)
	}
	if err := errors.Join(report.WriteText(stdout), writeFile(o.json, report.WriteJSON),
		writeFile(o.csv, report.WriteCSV), writeFile(o.html, report.WriteHTML)); err != nil {
		return err
	}
	return errors.Join(noLoad(report), report.Check(o.thresholds))
}

// usageIfConfig makes what is wrong with the configuration an error of the arguments.
func usageIfConfig(err error) error {
	if wrong, ok := errors.AsType[bench.ConfigError](err); ok {
		return usageError{strings.ReplaceAll(wrong.Error(), "\n", "; ")}
	}
	return err
}

// noLoad is an error if there was a round without a connection, or without a message where some
// were to be sent: then nothing was measured.
func noLoad(r *bench.Report) error {
	for _, t := range r.Targets {
		for _, round := range t.Rounds {
			switch {
			case r.Interrupted:
			case round.Opened == 0:
				return fmt.Errorf("no connection to %s could be opened", t.URL)
			case round.Messaging && round.Sent == 0:
				return fmt.Errorf("no message to %s could be sent", t.URL)
			}
		}
	}
	return nil
}

// benchWorker is the argument that makes the program a worker of a bench. It is no
// command: people have no use for it.
const benchWorker = "bench-worker"

// workForBench is one worker, and returns the exit code. A signal to all of a terminal or a
// group is for its parent, which tells it to stop.
func workForBench(in io.Reader, out io.Writer) int {
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if bench.Worker(in, out) != nil {
		return exitFailed // the parent has been told why
	}
	return exitOK
}

// writeFile has write fill the file at path, unless that is "".
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
