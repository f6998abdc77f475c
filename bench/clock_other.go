//go:build !darwin && !netbsd

package bench

import "golang.org/x/sys/unix"

// steadyClock is the clock of the runtime.
const steadyClock = unix.CLOCK_MONOTONIC
