// Package target has the servers that are compared: how each is built and
// started.
package target

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Target is a server to measure.
type Target struct {
	Name string
	// Command starts it. {addr} and {port} in it stand for where to listen, and the
	// name of a program in braces for that program, built by Build.
	Command []string
	// Protocol is what it speaks in place of bare messages: "centrifuge", or nothing.
	Protocol string
}

// All are the targets known by name. The first is the base of the ratios.
var All = []Target{
	{Name: "floor-c", Command: []string{"{floor-c}", "{port}"}},
	{Name: "floor-go", Command: []string{"{floor-go}", "{port}"}},
	{Name: "weir-loop", Command: weir("loop")},
	{Name: "weir-workers", Command: weir("workers")},
	{Name: "gorilla", Command: []string{"{gorilla}", "{port}"}},
	{Name: "coder", Command: []string{"{coder}", "{port}"}},
	{Name: "gobwas", Command: []string{"{gobwas}", "{port}"}},
	{Name: "gws", Command: []string{"{gws}", "{port}"}},
	{Name: "nbio", Command: []string{"{nbio}", "{port}"}},
	{Name: "fasthttp", Command: []string{"{fasthttp}", "{port}"}},
	{Name: "melody", Command: []string{"{melody}", "{port}"}},
	{Name: "centrifuge", Command: []string{"{centrifuge}", "{port}"}, Protocol: "centrifuge"},
}

func weir(handlers string) []string {
	return []string{"{weir}", "serve", "--address", "{addr}", "--handlers", handlers, "--loops", "1"}
}

// Names are the names of targets, separated by commas.
func Names(targets []Target) string {
	var names []string
	for _, t := range targets {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// Parse returns the target that value, a name of All or name=command, stands for.
func Parse(value string) (Target, error) {
	name, command, given := strings.Cut(value, "=")
	if !given {
		at := slices.IndexFunc(All, func(t Target) bool { return t.Name == name })
		if at < 0 {
			return Target{}, fmt.Errorf("no target is named %q; there are %s", name, Names(All))
		}
		return All[at], nil
	}
	t := Target{Name: name, Command: strings.Fields(command)}
	if t.Name == "" || len(t.Command) == 0 {
		return Target{}, fmt.Errorf("%q is not name=command", value)
	}
	return t, nil
}

// builds are the programs with the commands that build them, run in bench/peers.
// The name of the file to build goes behind -o.
var builds = map[string][]string{
	"centrifuge": {"go", "build", "-o", "./centrifuge"},
	"coder":      {"go", "build", "-o", "./coder"},
	"fasthttp":   {"go", "build", "-o", "./fasthttp"},
	"floor-c":    {"gcc", "-O2", "-Wall", "-Wextra", "-Werror", "floor/c/floor.c", "floor/c/handshake.c", "-o"},
	"floor-go":   {"go", "build", "-o", "./floor/go"},
	"gobwas":     {"go", "build", "-o", "./gobwas"},
	"gorilla":    {"go", "build", "-o", "./gorilla"},
	"gws":        {"go", "build", "-o", "./gws"},
	"load":       {"go", "build", "-o", "./load"},
	"melody":     {"go", "build", "-o", "./melody"},
	"nbio":       {"go", "build", "-o", "./nbio"},
	"weir":       {"go", "-C", "../..", "build", "-o", "./cmd/weir"},
}

// Build builds the load generator, and the programs that targets need, into dir.
func Build(ctx context.Context, dir string, targets []Target) error {
	for name, command := range builds {
		needed := name == "load" || slices.ContainsFunc(targets, func(t Target) bool {
			return slices.Contains(t.Command, "{"+name+"}")
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

// CommandLine is the command for a server that listens on port of 127.0.0.1, with
// the programs that Build put into dir.
func (t Target) CommandLine(dir, port string) []string {
	pairs := []string{"{port}", port, "{addr}", "127.0.0.1:" + port}
	for name := range builds {
		pairs = append(pairs, "{"+name+"}", filepath.Join(dir, name))
	}
	replacer := strings.NewReplacer(pairs...)
	var line []string
	for _, word := range t.Command {
		line = append(line, replacer.Replace(word))
	}
	return line
}
