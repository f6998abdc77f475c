package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench/peers/floor/socket"
	"github.com/weirws/weir/bench/peers/result"
)

// mostOpening bounds the opening handshakes that are under way.
const mostOpening = 128

// connect opens all connections, many at a time, and counts them. There is no
// warm-up, and they stay open until all are.
func (c *client) connect(o options) (result.Result, error) {
	w := newWindow(o)
	var err error
	if w.first, err = w.sample(time.Now()); err != nil {
		return result.Result{}, err
	}
	request := o.request()
	responses := make(map[int][]byte, mostOpening) // by connection; nil until the request is sent
	for opened := 0; opened < o.connections; {
		for len(c.conns) < o.connections && len(c.conns)-opened < mostOpening {
			if err := c.beginOpening(o); err != nil {
				return result.Result{}, err
			}
		}
		ready, err := c.wait(pollMillis)
		if err != nil {
			return result.Result{}, err
		}
		for _, event := range ready {
			i := int(event.Fd)
			done, err := c.goOnOpening(i, request, responses)
			if err != nil {
				return result.Result{}, fmt.Errorf("connection %d: %w", i, err)
			}
			if done {
				opened++
			}
		}
	}
	w.messages = uint64(o.connections)
	w.last, err = w.sample(time.Now())
	return w.result(), err
}

// beginOpening adds a connection that is being made.
func (c *client) beginOpening(o options) error {
	i := len(c.conns)
	fd, err := newSocket(source(i))
	if err != nil {
		return err
	}
	c.conns = append(c.conns, conn{fd: fd})
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := unix.Connect(fd, o.sockaddr()); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connection %d: %w", i, err)
	}
	return c.watch(i, unix.EPOLL_CTL_ADD, unix.EPOLLOUT)
}

// goOnOpening sends the request, or reads the response, of connection i and reports
// whether it is open.
func (c *client) goOnOpening(i int, request []byte, responses map[int][]byte) (bool, error) {
	fd := c.conns[i].fd
	response, sent := responses[i]
	if !sent {
		if _, err := unix.Write(fd, request); err != nil { // an empty socket takes it whole
			return false, err // that of the connection, if that has failed
		}
		responses[i] = nil
		return false, c.watch(i, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
	}
	n, errno := socket.Read(fd, c.scratch)
	switch {
	case errno == unix.EAGAIN:
		return false, nil
	case errno != 0:
		return false, errno
	case n == 0:
		return false, fmt.Errorf("the server closed it in the handshake: %.200q", response)
	}
	response = append(response, c.scratch[:n]...)
	responses[i] = response
	done, err := isOpen(response)
	if !done || err != nil {
		return false, err
	}
	delete(responses, i)
	return true, c.watch(i, unix.EPOLL_CTL_DEL, 0)
}
