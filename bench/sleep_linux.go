package bench

import (
	"syscall"
	"time"
)

// sleep waits for d, or less. The runtime's timers are late by as much as a
// millisecond when nothing else is to be done; the system's by a twentieth.
func sleep(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // an interruption: the caller looks at the clock
}
