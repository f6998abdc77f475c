//go:build linux

package engine

import (
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A bell wakes one loop from any goroutine: an eventfd in the loop's poller.
type bell struct{ fd int }

func newBell() (bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	return bell{fd}, os.NewSyscallError("eventfd", err)
}

var one = binary.NativeEndian.AppendUint64(nil, 1)

// ring makes the poller report the bell. It cannot fail in a way that matters: a
// full counter has been reported already.
func (b bell) ring() { _, _ = unix.Write(b.fd, one) }

// hush has nothing to do: the poller watches the bell edge-triggered, so every
// ring is reported once and the counter need not be read.
func (b bell) hush() {}

func (b bell) close() { _ = unix.Close(b.fd) }

// A clock reports the passing of time to one loop: a timerfd in the loop's poller.
type clock struct{ fd int }

func newClock() (*clock, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &clock{fd}, nil
}

// descriptor is what the poller is to watch, edge-triggered.
func (c *clock) descriptor() int { return c.fd }

// hush reads the clock, without which it would not tick again: the kernel starts an
// interval of a timerfd when the one before has been read.
func (c *clock) hush() {
	var ticks [8]byte
	_, _ = unix.Read(c.fd, ticks[:])
}

// start makes the clock tick every interval; zero stops it.
func (c *clock) start(interval time.Duration) {
	t := unix.NsecToTimespec(int64(interval))
	_ = unix.TimerfdSettime(c.fd, 0, &unix.ItimerSpec{Interval: t, Value: t}, nil)
}

func (c *clock) close() { _ = unix.Close(c.fd) }
