//go:build unix && !linux

package engine

import "golang.org/x/sys/unix"

// acceptSocket accepts one connection, non-blocking and close-on-exec.
func acceptSocket(fd int) (int, unix.Sockaddr, error) {
	nfd, sa, err := unix.Accept(fd)
	if err != nil {
		return -1, nil, err
	}
	unix.CloseOnExec(nfd)
	if err := unix.SetNonblock(nfd, true); err != nil {
		_ = unix.Close(nfd)
		return -1, nil, err
	}
	return nfd, sa, nil
}
