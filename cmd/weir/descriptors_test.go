package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestServeWarnsOfFewDescriptors(t *testing.T) {
	for limit, want := range map[string]string{
		"64":  `no more than 1 connection: `,
		"600": `no more than 472 connections: `,
	} {
		w := serveApart(t, "ulimit -n "+limit+";", "--address", "127.0.0.1:0")
		w.stderr.waitFor(t, `(?m)^warning      the descriptor limit leaves room for `+want+`raise it \(ulimit -Hn\)$`)
		w.dial(t, "/echo", nil)
		w.end(t)
	}
}

func TestServeRefusesHopelesslyFewDescriptors(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `ulimit -n 10; exec "$0" "$@"`, program, "serve", "--address", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asWeir+"=1")
	out, _ := cmd.CombinedOutput() // its exit code is checked below
	want := "weir: cannot start: the descriptor limit is too low even for that; raise it (ulimit -Hn)\n"
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.HasSuffix(string(out), want) {
		t.Errorf("exit code %d: %s", code, out)
	}
}
