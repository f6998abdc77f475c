package bench

import "golang.org/x/sys/unix"

// steadyClock is the clock of the runtime, which stands still while the machine sleeps.
const steadyClock = unix.CLOCK_UPTIME_RAW
