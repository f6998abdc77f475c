package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench/peers/result"
)

// userHz is the unit of /proc/stat on Linux: ticks per second.
const userHz = 100

// window is the measured part of a run: from the end of the warm-up, for the
// duration, or longer if no message came back that fast.
type window struct {
	begin, end time.Time
	serverPID  int

	messages uint64 // all that came back so far, counted by the mode
	begun    bool
	over     bool
	first    sample
	last     sample
}

// sample is what the counters show at one moment.
type sample struct {
	at                         time.Time
	messages                   uint64
	server, generator, machine time.Duration // CPU time
}

func newWindow(o options) *window {
	begin := time.Now().Add(o.warmUp)
	return &window{begin: begin, end: begin.Add(o.length), serverPID: o.serverPID}
}

// contains reports whether t lies in the window.
func (w *window) contains(t time.Time) bool {
	return !t.Before(w.begin) && t.Before(w.end)
}

// tick takes the samples when it is time for them. The window begins and ends
// with a call, so the samples belong together.
func (w *window) tick() error {
	now := time.Now()
	var err error
	if !w.begun && !now.Before(w.begin) {
		w.begun = true
		w.first, err = w.sample(now)
	} else if w.begun && !w.over && !now.Before(w.end) && w.messages > w.first.messages {
		w.over = true
		w.last, err = w.sample(now)
	}
	return err
}

func (w *window) sample(now time.Time) (sample, error) {
	s := sample{at: now, messages: w.messages}
	var errs [3]error
	if w.serverPID != 0 {
		s.server, errs[0] = processTime(strconv.Itoa(w.serverPID))
	}
	s.generator, errs[1] = processTime("self")
	s.machine, errs[2] = machineTime()
	return s, errors.Join(errs[:]...)
}

// result is complete once the window is over.
func (w *window) result() result.Result {
	r := result.Result{
		Messages:  w.last.messages - w.first.messages,
		Wall:      w.last.at.Sub(w.first.at),
		Server:    w.last.server - w.first.server,
		Generator: w.last.generator - w.first.generator,
	}
	r.Others = max(0, w.last.machine-w.first.machine-r.Server-r.Generator)
	return r
}

// processTime is the CPU time of all threads of a process. schedstat counts
// nanoseconds where stat counts hundredths of a second; what it misses, the time of
// threads that have ended, does not occur in a server under steady load.
func processTime(pid string) (time.Duration, error) {
	files, err := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("no process %s", pid)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has just ended
		}
		if err != nil {
			return 0, err
		}
		var ran int64
		if _, err := fmt.Sscan(string(text), &ran); err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += time.Duration(ran)
	}
	return sum, nil
}

// machineTime is the time that all processors together were not idle.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	_, err = fmt.Sscanf(string(line), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	if err != nil {
		return 0, fmt.Errorf("/proc/stat: %w", err)
	}
	return time.Duration(user+nice+system+irq+softirq+steal) * (time.Second / userHz), nil
}
