//go:build unix && !linux

package engine

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A bell wakes one loop from any goroutine: a pipe in the loop's poller.
type bell struct{ fd, in int }

func newBell() (bell, error) {
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return bell{}, os.NewSyscallError("pipe", err)
	}
	for _, fd := range p {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	return bell{p[0], p[1]}, nil
}

var one = []byte{1}

// ring makes the poller report the bell. A full pipe has been reported already.
func (b bell) ring() { _, _ = writeSocket(b.in, one) }

// hush empties the pipe.
func (b bell) hush() {
	var p [64]byte
	for {
		if n, err := readSocket(b.fd, p[:]); err != nil || n < len(p) {
			return
		}
	}
}

func (b bell) close() {
	_ = unix.Close(b.fd)
	_ = unix.Close(b.in)
}

// A clock reports the passing of time to one loop: a goroutine that writes to a
// pipe, ended by close.
type clock struct {
	bell  bell
	reset chan time.Duration
	done  chan struct{}
}

func newClock() (*clock, error) {
	b, err := newBell()
	if err != nil {
		return nil, err
	}
	c := &clock{bell: b, reset: make(chan time.Duration, 1), done: make(chan struct{})}
	go c.run()
	return c, nil
}

func (c *clock) run() {
	defer close(c.done)
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.bell.ring()
		case d, ok := <-c.reset:
			if !ok {
				return
			}
			if d > 0 {
				ticker.Reset(d)
			} else {
				ticker.Stop()
			}
		}
	}
}

// descriptor is what the poller is to watch, edge-triggered.
func (c *clock) descriptor() int { return c.bell.fd }

// hush empties the pipe.
func (c *clock) hush() { c.bell.hush() }

// start makes the clock tick every interval; zero stops it.
func (c *clock) start(interval time.Duration) { c.reset <- interval }

func (c *clock) close() {
	close(c.reset)
	<-c.done
	c.bell.close()
}
