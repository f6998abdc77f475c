package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// target is a server to measure.
type target struct {
	name    string
	command []string // with placeholders
}

// builtin are the targets known by name; the first defaultTargets of them run
// when none are given.
var builtin = []target{
	{"floor-c", []string{"{floor-c}", "{port}"}},
	{"floor-go", []string{"{floor-go}", "{port}"}},
	{"weir-loop", []string{"{weir}", "serve", "--address", "{addr}", "--handlers", "loop", "--loops", "1"}},
	{"weir-workers", []string{"{weir}", "serve", "--address", "{addr}", "--handlers", "workers", "--loops", "1"}},
	{"gorilla", []string{"{gorilla}", "{port}"}},
}

const defaultTargets = 4

func defaultTargetNames() string {
	var names []string
	for _, t := range builtin[:defaultTargets] {
		names = append(names, t.name)
	}
	return strings.Join(names, ", ")
}

// addTarget takes one value of the target flag.
func (o *options) addTarget(value string) error {
	name, command, given := strings.Cut(value, "=")
	t := target{name: name, command: strings.Fields(command)}
	if !given {
		at := slices.IndexFunc(builtin, func(t target) bool { return t.name == name })
		if at < 0 {
			return fmt.Errorf("no built-in target %q", name)
		}
		t = builtin[at]
	}
	if t.name == "" || len(t.command) == 0 {
		return fmt.Errorf("%q is not name=command", value)
	}
	if slices.ContainsFunc(o.targets, func(other target) bool { return other.name == t.name }) {
		return fmt.Errorf("two targets are named %q", t.name)
	}
	o.targets = append(o.targets, t)
	return nil
}

// builds are the programs that a placeholder may stand for, and the generator,
// each with the command that builds it, run in bench/peers. The name of the
// file to build goes behind -o.
var builds = map[string][]string{
	"floor-c":  {"gcc", "-O2", "floor/c/floor.c", "floor/c/handshake.c", "-o"},
	"floor-go": {"go", "build", "-o", "./floor/go"},
	"gorilla":  {"go", "build", "-o", "./gorilla"},
	"load":     {"go", "build", "-o", "./floor/load"},
	"weir":     {"go", "-C", "../..", "build", "-o", "./cmd/weir"},
}

// buildAll builds into dir the load generator and the programs that the targets
// need.
func buildAll(ctx context.Context, dir string, targets []target) error {
	for name, command := range builds {
		needed := name == "load" || slices.ContainsFunc(targets, func(t target) bool {
			return slices.Contains(t.command, "{"+name+"}")
		})
		if !needed {
			continue
		}
		command = slices.Clone(command)
		command = slices.Insert(command, slices.Index(command, "-o")+1, filepath.Join(dir, name))
		if output, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, output)
		}
	}
	return nil
}

// commandLine is the command of t for a server that listens on port.
func (t target) commandLine(dir, port string) []string {
	pairs := []string{"{port}", port, "{addr}", "127.0.0.1:" + port}
	for name := range builds {
		pairs = append(pairs, "{"+name+"}", filepath.Join(dir, name))
	}
	replacer := strings.NewReplacer(pairs...)
	var line []string
	for _, word := range t.command {
		line = append(line, replacer.Replace(word))
	}
	return line
}
