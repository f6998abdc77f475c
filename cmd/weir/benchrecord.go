package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/weirws/weir/bench"
)

// record is the command bench record: it writes what a server sends to a file. An
// interrupt ends it, and the recording is whole.
func record(ctx context.Context, args []string, stdout io.Writer) error {
	c, path, err := parseRecord(args, stdout)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return usagef("--out %s exists; give another name, or remove it", path)
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := bench.Record(ctx, c, f)
	err = errors.Join(err, f.Close())
	if r.Messages == 0 {
		if err == nil {
			err = fmt.Errorf("no message has come from %s: %s", c.URLs[0], r.Ended)
		}
		return errors.Join(usageIfConfig(err), os.Remove(path))
	}
	fmt.Fprintf(stdout, "%d messages with %d bytes in %v, in %s: %s\n", r.Messages, r.Bytes, r.Took.Round(time.Millisecond), path, r.Ended)
	return err
}

// parseRecord reads the arguments of bench record.
func parseRecord(args []string, stdout io.Writer) (c bench.Config, path string, err error) {
	fs := flag.NewFlagSet("bench record URL", flag.ContinueOnError)
	fs.Var(text(&path, "the name of a file", ""), "out", "`file` to write to, which must not exist")
	fs.Var(spanOrNever(&c.Duration, 0, 0), "duration", "`time` to record; 0: until the server closes, or an interrupt")
	fs.Var(span(&c.Timeout, 5*time.Second), "timeout", "`time` that the opening handshake may take")
	trustFlags(fs, &c)
	words, err := parseWords(fs, args, stdout)
	if err != nil {
		return c, "", err
	}
	switch {
	case len(words) != 1:
		return c, "", usagef("bench record takes one URL, such as ws://127.0.0.1:7681/feed, not %d", len(words))
	case path == "":
		return c, "", usagef("bench record needs --out, the file to write to")
	}
	c.URLs = words
	return c, path, nil
}
