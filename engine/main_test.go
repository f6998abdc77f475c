package engine_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// settleTime is how long goroutines and descriptors may take to go away after the
// last test.
const settleTime = 10 * time.Second

// TestMain runs the tests of the package and fails when goroutines or descriptors
// outlive them.
func TestMain(m *testing.M) {
	primeRuntime()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	code := m.Run()
	settled := func() bool {
		return runtime.NumGoroutine() <= goroutines && len(openDescriptors()) <= len(descriptors)
	}
	if code == 0 && !pollUntil(settleTime, settled) {
		code = 1
		reportGoroutines(goroutines)
		reportDescriptors(descriptors)
	}
	os.Exit(code)
}

// primeRuntime makes the runtime open the descriptors that it keeps for good: those
// of its network poller, and what looking up the limits of listening needs.
func primeRuntime() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "engine tests need to listen on the loopback interface:", err)
		os.Exit(1)
	}
	_ = l.Close()
}

// pollUntil reports whether ok comes true before patience is over.
func pollUntil(patience time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

// openDescriptors is what each descriptor of the process refers to; nil where the
// system has no /proc.
func openDescriptors() map[string]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	open := make(map[string]string, len(entries))
	for _, entry := range entries {
		// The descriptor that read the directory is closed by now.
		if target, err := os.Readlink(dir + "/" + entry.Name()); err == nil {
			open[entry.Name()] = target
		}
	}
	return open
}

func reportGoroutines(before int) {
	if now := runtime.NumGoroutine(); now > before {
		fmt.Fprintf(os.Stderr, "%d goroutines before the tests, %d after:\n", before, now)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
	}
}

func reportDescriptors(before map[string]string) {
	now := openDescriptors()
	if len(now) <= len(before) {
		return
	}
	fmt.Fprintf(os.Stderr, "%d descriptors before the tests, %d after; new are:\n", len(before), len(now))
	for fd, target := range now {
		if before[fd] != target {
			fmt.Fprintf(os.Stderr, "  %s → %s\n", fd, target)
		}
	}
}
