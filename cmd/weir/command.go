package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// A command is one sub-command.
type command struct {
	name    string
	summary string
	// run does the work until it is done or ctx is. It returns a usageError if args
	// are wrong, and flag.ErrHelp once it has printed its usage on stdout because args
	// ask for it.
	run func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

func commands() []command {
	return []command{
		{"serve", "serve echo, broadcast and a chat page", serve},
		{"dial", "talk to a WebSocket server from the terminal", dial},
		{"cert", "make a certificate for development", cert},
		{"bench", "load a WebSocket server and measure it", loadTest},
		{"client-js", "write the browser's part of named messages", clientJS},
		{"version", "print the version", version},
		{"help", "explain a command", help},
	}
}

// A usageError says what is wrong with the arguments and what would be right, in
// one sentence.
type usageError struct{ sentence string }

func (e usageError) Error() string { return e.sentence }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// run is the whole program but for the exit: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	fmt.Fprintf(stderr, "weir: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// dispatch calls the sub-command that args begin with.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return usagef("a command is missing; the commands are %s", commandNames())
	}
	switch args[0] {
	case "-h", "-help", "--help":
		return help(ctx, nil, stdout, stderr)
	}
	c, err := findCommand(args[0])
	if err != nil {
		return err
	}
	return c.run(ctx, args[1:], stdout, stderr)
}

func findCommand(name string) (command, error) {
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	if near, ok := nearest(name, names); ok {
		return command{}, usagef("there is no command %q, perhaps %s is meant; the commands are %s", name, near, commandNames())
	}
	return command{}, usagef("there is no command %q; the commands are %s", name, commandNames())
}

func commandNames() string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return join(names, "and")
}

// join lists words: "a, b and c".
func join(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}

// help prints what the commands are, or the usage of one.
func help(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	switch len(args) {
	case 0:
		fmt.Fprint(stdout, "Weir is a WebSocket engine for very many connections.\n\nusage: weir <command> [flags]\n\n")
		for _, c := range commands() {
			fmt.Fprintf(stdout, "  %-9s %s\n", c.name, c.summary)
		}
		fmt.Fprint(stdout, "\n\"weir help <command>\" tells the flags of a command.\n")
		return nil
	case 1:
		c, err := findCommand(args[0])
		if err != nil {
			return err
		}
		if c.name == "help" {
			return help(ctx, nil, stdout, stderr)
		}
		return c.run(ctx, []string{"--help"}, stdout, stderr)
	default:
		return usagef("help explains one command at a time, not %d; the commands are %s", len(args), commandNames())
	}
}
