//go:build linux

package engine

import (
	"encoding/binary"
	"net/netip"
	"syscall"
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
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
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
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// writeSockets writes what each of fds takes of p, and notes how much that was. p must
// not be empty.
func writeSockets(fds []int32, p []byte, all []taken) {
	for i, fd := range fds {
		errno := unix.EINTR
		for errno == unix.EINTR {
			var n uintptr
			n, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
			all[i] = taken{int(n), errno}
		}
		if errno != 0 {
			all[i].bytes = 0
		}
	}
}

// acceptSocket accepts one connection, non-blocking and close-on-exec, and tells the
// peer's address: the zero value on a unix socket. It allocates nothing, which
// unix.Accept4 does.
func acceptSocket(fd int) (int, netip.AddrPort, error) {
	var peer unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&peer)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	switch peer.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&peer))
		return int(n), netip.AddrPortFrom(netip.AddrFrom4(in.Addr), bigEndian(in.Port)), nil
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&peer))
		return int(n), netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), bigEndian(in.Port)), nil
	}
	return int(n), netip.AddrPort{}, nil
}

// bigEndian reads a number that lies in memory in network byte order.
func bigEndian(n uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], n)
	return binary.BigEndian.Uint16(b[:])
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
		n, _, errno := syscall.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vec[0])), uintptr(len(vec)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}
