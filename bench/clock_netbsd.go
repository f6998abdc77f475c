package bench

// steadyClock is CLOCK_MONOTONIC, which package unix does not name.
const steadyClock = 3
