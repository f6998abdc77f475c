//go:build unix && !linux

package engine

import (
	"errors"

	"golang.org/x/sys/unix"
)

// readSocket reads what fd holds, up to len(p) bytes. p must not be empty.
func readSocket(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return 0, err
		}
	}
}

// writeSocket writes what fd takes of p. p must not be empty.
func writeSocket(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Write(fd, p)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return 0, err
		}
	}
}

// writeSockets writes what each of fds takes of p, and notes how much that was. p must
// not be empty.
func writeSockets(fds []int32, p []byte, all []taken) {
	for i, fd := range fds {
		n, err := writeSocket(int(fd), p)
		all[i] = taken{bytes: n}
		if err != nil {
			errors.As(err, &all[i].errno)
		}
	}
}

// iovec is scratch room for one gathered write; unused where writev is not at hand.
type iovec struct{}

// writeSocketv writes what fd takes of bufs, none of which may be empty.
func writeSocketv(fd int, _ *iovec, bufs [][]byte) (int, error) {
	total := 0
	for _, b := range bufs {
		n, err := writeSocket(fd, b)
		total += n
		if err != nil && total == 0 {
			return 0, err
		}
		if err != nil || n < len(b) {
			return total, nil
		}
	}
	return total, nil
}
