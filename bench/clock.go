package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// now is the time in nanoseconds since some moment, such as the start of the machine. All
// processes of a machine agree on it, it never jumps, whoever sets the wall clock, and it passes
// as timers do.
func now() int64 { return clockOrigin.monotonic + int64(time.Since(clockOrigin.at)) }

// An origin is one moment by two clocks: that of package time, which reads quickly but in each
// process counts from somewhere else, and the system's.
type origin struct {
	at        time.Time
	monotonic int64
}

var clockOrigin = newOrigin()

// newOrigin reads both clocks, several times because something may come between: the times that
// were closest to each other are taken.
func newOrigin() origin {
	const attempts = 10
	var best origin
	least := time.Duration(-1)
	for range attempts {
		o := origin{at: time.Now(), monotonic: systemClock()}
		if between := time.Since(o.at); least < 0 || between < least {
			best, least = o, between
		}
	}
	return best
}

// systemClock is the clock on which the runtime's timers run.
func systemClock() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(steadyClock, &t) // fails only for a clock that there is not
	return t.Nano()
}
