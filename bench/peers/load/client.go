package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench/peers/floor/socket"
)

const (
	// pollMillis is how long one poll waits while a reply is due.
	pollMillis = 100
	// patience is how long a server may keep silent while a reply is due.
	patience = 10 * time.Second
)

// errSilent means that replies are due and the server sends nothing.
var errSilent = errors.New("the server has fallen silent")

// client is all connections and the loop that serves them, on one goroutine.
type client struct {
	stream stream

	poller  int
	conns   []conn
	active  []int // indices of the connections that are watched
	scratch []byte
	lines   []byte // scratch too
	events  []unix.EpollEvent
	heard   time.Time // when something was last ready
}

type conn struct {
	fd       int
	sent     uint64 // messages handed to the socket, the last perhaps in part
	received uint64 // whole replies
	at       int    // position in the period of replies
	owed     int    // messages still to be sent

	lines lineReader // only used when replies are lines

	// cut is the rest of a burst that the socket did not take. While it is not
	// empty the connection waits for EPOLLOUT.
	cut []byte

	// due holds when each message in flight was due, oldest first; only used
	// at a fixed rate.
	due []time.Time
}

func (c *client) close() {
	for i := range c.conns {
		unix.Close(c.conns[i].fd)
	}
	unix.Close(c.poller)
}

// watch has the poller report connection i; the event carries the index.
func (c *client) watch(i, op int, events uint32) error {
	err := unix.EpollCtl(c.poller, op, c.conns[i].fd, &unix.EpollEvent{Events: events, Fd: int32(i)})
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// wait returns the connections that are ready, once there is one, and at the
// latest after timeoutMillis. The error is errSilent if nothing has been ready for
// longer than patience.
func (c *client) wait(timeoutMillis int) ([]unix.EpollEvent, error) {
	ready, errno := socket.Wait(c.poller, c.events, timeoutMillis)
	if errno != 0 && errno != unix.EINTR {
		return nil, fmt.Errorf("epoll: %w", errno)
	}
	now := time.Now()
	if errno == unix.EINTR || ready == 0 {
		if now.Sub(c.heard) > patience {
			return nil, errSilent
		}
		return nil, nil
	}
	c.heard = now
	return c.events[:ready], nil
}

// poll waits for at most timeoutMillis and serves what is ready. arrived is
// called after each read, with the connection and how many replies it completed.
func (c *client) poll(timeoutMillis int, arrived func(i, n int) error) error {
	ready, err := c.wait(timeoutMillis)
	if err != nil {
		return err
	}
	for _, event := range ready {
		i := int(event.Fd)
		if event.Events&unix.EPOLLOUT != 0 {
			if err := c.resume(i); err != nil {
				return err
			}
		}
		if event.Events&^unix.EPOLLOUT == 0 {
			continue
		}
		n, err := c.receive(i)
		if err != nil {
			return err
		}
		if err := arrived(i, n); err != nil {
			return err
		}
	}
	return nil
}

// receive reads once, checks every byte, and returns how many replies that
// completed.
func (c *client) receive(i int) (int, error) {
	k := &c.conns[i]
	n, errno := socket.Read(k.fd, c.scratch)
	if errno == unix.EAGAIN {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("reading from connection %d: %w", i, errno)
	}
	if n == 0 {
		return 0, fmt.Errorf("the server closed connection %d", i)
	}
	replies := c.scratch[:n]
	if c.stream.lines {
		c.lines = k.lines.appendLines(c.lines[:0], replies)
		replies = c.lines
	}
	if !c.stream.matches(k.at, replies) {
		return 0, fmt.Errorf("connection %d: after %d good replies, something that was not sent: %.200q",
			i, k.received, replies)
	}
	end := k.at + len(replies)
	whole := end/c.stream.replyBytes - k.at/c.stream.replyBytes
	k.at = end % len(c.stream.replies)
	k.received += uint64(whole)
	return whole, nil
}

// send has connection i send n more messages, at once as far as the socket
// takes them.
func (c *client) send(i, n int) error {
	k := &c.conns[i]
	k.owed += n
	if len(k.cut) > 0 {
		return nil
	}
	for k.owed > 0 {
		n := min(k.owed, c.stream.burst)
		burst := c.stream.from(k.sent, n)
		k.sent += uint64(n)
		k.owed -= n
		taken, err := c.write(i, burst)
		if err != nil {
			return err
		}
		if taken < len(burst) {
			k.cut = burst[taken:]
			return c.watch(i, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLOUT)
		}
	}
	return nil
}

// resume goes on with a burst that was cut.
func (c *client) resume(i int) error {
	k := &c.conns[i]
	taken, err := c.write(i, k.cut)
	if err != nil {
		return err
	}
	if k.cut = k.cut[taken:]; len(k.cut) > 0 {
		return nil
	}
	if err := c.watch(i, unix.EPOLL_CTL_MOD, unix.EPOLLIN); err != nil {
		return err
	}
	return c.send(i, 0)
}

func (c *client) write(i int, p []byte) (int, error) {
	n, errno := socket.Write(c.conns[i].fd, p)
	if errno == unix.EAGAIN {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("writing to connection %d: %w", i, errno)
	}
	return n, nil
}

// drain waits until settled.
func (c *client) drain(settled func() bool, arrived func(i, n int) error) error {
	for !settled() {
		if err := c.poll(pollMillis, arrived); err != nil {
			return fmt.Errorf("replies are missing: %w", err)
		}
	}
	return nil
}

// checkIdle makes sure that the server has closed no connection, the ones that
// did nothing included. What it may have sent them, such as a ping, does not matter.
func (c *client) checkIdle() error {
	for i := range c.conns {
		n, _, err := unix.Recvfrom(c.conns[i].fd, c.scratch[:1], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != nil && err != unix.EAGAIN {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		if err == nil && n == 0 {
			return fmt.Errorf("the server closed connection %d", i)
		}
	}
	return nil
}
