package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBenchInterrupted ends a run with the signal of a terminal: its results so far are
// written, and thresholds count.
func TestBenchInterrupted(t *testing.T) {
	url := "ws://" + serveHere(t, "--address", "127.0.0.1:0").address + "/echo"
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for threshold, want := range map[string]int{"errors<1": exitOK, "p50<1us": exitFailed} {
		cmd := exec.CommandContext(t.Context(), program, "bench", "echo", url, "--rate", "200", "--connections", "4", "--warm-up", "0",
			"--duration", "1h", "--threshold", threshold)
		cmd.Env = append(os.Environ(), asWeir+"=1")
		stdout, stderr := newTranscript(), newTranscript()
		cmd.Stdout, cmd.Stderr = stdout, stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stderr.waitFor(t, `running, 4 connections, .*p99 [1-9]`)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: exit code %d, want %d: %s", threshold, code, want, stderr)
		}
		for _, line := range []string{"warning: the run was interrupted", "p99.9", "received", "■"} {
			if !strings.Contains(stdout.String(), line) {
				t.Errorf("%q is not in: %s", line, stdout)
			}
		}
	}
}
