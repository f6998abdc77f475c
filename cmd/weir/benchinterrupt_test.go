package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// startBench runs "weir bench" as a process in a group of its own, as a shell does.
func startBench(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *transcript) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, program, append([]string{"bench"}, args...)...)
	cmd.Env = append(os.Environ(), asWeir+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = patience // for workers that are still there
	stdout, stderr = newTranscript(), newTranscript()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, stderr
}

// TestBenchInterrupted ends a run with a signal to the program and its workers, as a terminal
// and the command timeout do: its results so far are written, and thresholds count.
func TestBenchInterrupted(t *testing.T) {
	url := "ws://" + serveHere(t, "--address", "127.0.0.1:0").address + "/echo"
	tests := []struct {
		signal    syscall.Signal
		threshold string
		want      int
	}{
		{syscall.SIGINT, "errors<1", exitOK},
		{syscall.SIGTERM, "errors<1", exitOK},
		{syscall.SIGINT, "p50<1us", exitFailed},
	}
	for _, tt := range tests {
		cmd, stdout, stderr := startBench(t, "echo", url, "--rate", "200", "--connections", "4", "--workers", "2", "--warm-up", "0",
			"--duration", "1h", "--threshold", tt.threshold)
		stderr.waitFor(t, `running, 4 connections, .*p99 [1-9]`)
		if err := syscall.Kill(-cmd.Process.Pid, tt.signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != tt.want {
			t.Errorf("%v, %s: exit code %d, want %d: %s", tt.signal, tt.threshold, code, tt.want, stderr)
		}
		for _, line := range []string{"warning: the run was interrupted", "p99.9", "received", "■"} {
			if !strings.Contains(stdout.String(), line) {
				t.Errorf("%v: %q is not in: %s", tt.signal, line, stdout)
			}
		}
	}
}

// TestBenchInterruptedTwice ends the program, not only the run, while that waits for replies
// that do not come.
func TestBenchInterruptedTwice(t *testing.T) {
	var upgrader websocket.Upgrader
	silent := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(rw, r, nil); err == nil {
			defer c.Close()
			for err == nil {
				_, _, err = c.ReadMessage()
			}
		}
	}))
	defer silent.Close()
	cmd, _, stderr := startBench(t, "echo", "ws"+strings.TrimPrefix(silent.URL, "http"), "--connections", "4",
		"--warm-up", "0", "--duration", "1h", "--timeout", "1h")
	stderr.waitFor(t, `running, 4 connections`)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	stderr.waitFor(t, `draining, 4 connections`)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // awaited below
	for again := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-again.C: // the first may still be on its way through the program
			_ = cmd.Process.Signal(os.Interrupt) // one that has ended needs none
			continue
		case <-ended:
		}
		break
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("the program ended with %v; want the interrupt: %s", cmd.ProcessState, stderr)
	}
}
