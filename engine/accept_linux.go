//go:build linux

package engine

import "golang.org/x/sys/unix"

// acceptSocket accepts one connection, non-blocking and close-on-exec.
func acceptSocket(fd int) (int, unix.Sockaddr, error) {
	return unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
}
