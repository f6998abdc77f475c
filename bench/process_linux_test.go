package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProcessTimeOfThreadsThatEnded samples this process around threads that use 20 ms of CPU time
// each and end: a sum over the threads that there are had none of it, and less of their context
// switches than before.
func TestProcessTimeOfThreadsThatEnded(t *testing.T) {
	const threads, each = 10, 20 * time.Millisecond
	before, err := sampleProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for ended := 0; ended < threads; {
		if endThread(t, each) {
			ended++
		}
	}
	after, err := sampleProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after.cpu - before.cpu; used < threads*each {
		t.Errorf("%v used, of which %d threads that have ended used %v each", used, threads, each)
	}
	if n := after.switchesSince(before); n > 1<<32 {
		t.Errorf("%d context switches", n)
	}
}

// endThread has a thread work for a time and waits until it has ended, or reports false: the main
// thread never does.
func endThread(t *testing.T, work time.Duration) bool {
	t.Helper()
	worked := make(chan int)
	go func() { // ends once it has worked, and its thread with it
		runtime.LockOSThread()
		id := unix.Gettid()
		if id == os.Getpid() {
			runtime.UnlockOSThread()
			id = 0
		}
		for began := threadTime(); id != 0 && threadTime() < began+work; {
		}
		worked <- id
	}()
	id := <-worked
	for deadline := time.Now().Add(time.Minute); id != 0; runtime.Gosched() {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", id)); errors.Is(err, fs.ErrNotExist) {
			return true
		}
		if time.Now().After(deadline) {
			t.Fatalf("thread %d does not end", id)
		}
	}
	return false
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var used unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used) // fails only for bad arguments
	return time.Duration(used.Nano())
}

func TestSwitchesSince(t *testing.T) {
	before := processSample{switches: map[string]uint64{"a": 5, "ended": 100, "another of that name": 7}}
	after := processSample{switches: map[string]uint64{"a": 8, "new": 4, "another of that name": 2}}
	if got, want := after.switchesSince(before), uint64(3+4); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}
