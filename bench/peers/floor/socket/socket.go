// Package socket has the system calls of an event loop on non-blocking sockets
// as raw ones: the Go runtime is not told about them, which saves its
// bookkeeping on every call.
//
// The price is that a call that does block holds its processor. Wait may be
// asked to block all the same by a program that runs one goroutine, or that
// has a processor to spare for the others.
package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read reads from a non-blocking socket into p, which must not be empty. It
// returns 0 and no error when the peer has closed, and EAGAIN when there is
// nothing to read.
func Read(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

// Write writes what a non-blocking socket takes of p, which must not be empty,
// and returns how much that was, or EAGAIN when it takes nothing.
func Write(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

// Wait fills events with what is ready and returns how many that are. It blocks
// for at most timeoutMillis; -1 means until there is one. EINTR is possible.
func Wait(poller int, events []unix.EpollEvent, timeoutMillis int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(poller), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(timeoutMillis), 0, 0)
	return int(n), errno
}
