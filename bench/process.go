package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userHz is the unit of /proc/stat on Linux: ticks per second.
const userHz = 100

// shortestUse is the time of which the use of processors means something: twenty ticks.
const shortestUse = 20 * time.Second / userHz

// A sample is what the counters show at one moment.
type sample struct {
	at      time.Time
	process processSample
	machine time.Duration // CPU time of everything; 0 where that is not to be had
}

// A processSample is what one process has used, and holds.
type processSample struct {
	cpu      time.Duration
	switches map[string]uint64 // of context, by the threads that there are, which /proc names
	rss      int64             // bytes
}

// switchesSince is how many context switches there were since another sample of the process.
// Those of threads that have ended are not known.
func (p *processSample) switchesSince(before processSample) (n uint64) {
	for thread, count := range p.switches {
		n += count - min(count, before.switches[thread])
	}
	return n
}

// takeSample tells what a process and the machine have used. With an error it still has what
// the machine has.
func takeSample(pid int) (sample, error) {
	p, err := sampleProcess(pid)
	return sample{at: time.Now(), process: p, machine: machineTime()}, err
}

// sampleProcess reads /proc, of Linux. Process 0 is none.
func sampleProcess(pid int) (processSample, error) {
	p := processSample{switches: make(map[string]uint64)}
	if pid == 0 {
		return p, nil
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return p, err
	}
	if len(threads) == 0 {
		return p, fmt.Errorf("bench: no process %d can be observed", pid)
	}
	for _, thread := range threads {
		if err := p.addThread(thread); err != nil {
			return p, err
		}
	}
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return p, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return p, fmt.Errorf("bench: /proc/%d/statm: %w", pid, err)
	}
	p.rss = resident * int64(os.Getpagesize())
	p.cpu, err = processTime(pid)
	return p, err
}

// processTime is the CPU time of a process that there is, those of its threads that have ended
// included.
func processTime(pid int) (time.Duration, error) {
	const scheduled = 2 // which of the clocks of a process: clock_getcpuclockid(3)
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &t); err != nil {
		return 0, fmt.Errorf("bench: the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// addThread adds one thread.
func (p *processSample) addThread(dir string) error {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.HasSuffix(name, "voluntary_ctxt_switches") { // nonvoluntary too
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			if err != nil {
				return fmt.Errorf("bench: %s: %w", dir, err)
			}
			p.switches[dir] += n
		}
	}
	return nil
}

// isGone reports whether a thread has ended.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// machineTime is the time that all processors together were not idle; 0 where that is
// not to be had.
func machineTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	if _, err := fmt.Sscanf(string(line), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0
	}
	return time.Duration(user+nice+system+irq+softirq+steal) * (time.Second / userHz)
}
