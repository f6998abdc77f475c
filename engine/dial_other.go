//go:build unix && !linux

package engine

import "golang.org/x/sys/unix"

// streamSocket makes a stream socket, non-blocking and close-on-exec.
func streamSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// postponePort does nothing: bind chooses the port.
func postponePort(int) error { return nil }
