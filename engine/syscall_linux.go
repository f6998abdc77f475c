//go:build linux

package engine

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below go to the kernel without telling the Go scheduler, which saves
// about 50 ns each. That is only right for calls that cannot block: every
// descriptor passed here is non-blocking. This is the one file with unsafe.

// readSocket reads what fd holds, up to len(p) bytes. p must not be empty. The
// kernel gets to the socket sooner by recvfrom than by read.
func readSocket(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// writeSocket writes what fd takes of p. p must not be empty.
func writeSocket(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// iovec is scratch room for one gathered write.
type iovec []unix.Iovec

// writeSocketv writes what fd takes of bufs, none of which may be empty. It keeps
// no reference to them in the scratch room v.
func writeSocketv(fd int, v *iovec, bufs [][]byte) (int, error) {
	vec := (*v)[:0]
	for _, b := range bufs {
		one := unix.Iovec{Base: &b[0]}
		one.SetLen(len(b))
		vec = append(vec, one)
	}
	*v = vec
	defer clear(vec)
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vec[0])), uintptr(len(vec)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}
