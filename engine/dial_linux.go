//go:build linux

package engine

import "golang.org/x/sys/unix"

// streamSocket makes a stream socket, non-blocking and close-on-exec.
func streamSocket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// postponePort makes bind with port 0 leave the choice of the port to connect, which may
// take one that is in use towards another address.
func postponePort(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}
