//go:build unix && !linux

package engine

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// acceptSocket accepts one connection, non-blocking and close-on-exec, and tells the
// peer's address: the zero value on a unix socket.
func acceptSocket(fd int) (int, netip.AddrPort, error) {
	nfd, sa, err := unix.Accept(fd)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	unix.CloseOnExec(nfd)
	if err := unix.SetNonblock(nfd, true); err != nil {
		_ = unix.Close(nfd)
		return -1, netip.AddrPort{}, err
	}
	return nfd, addrPort(sa), nil
}

// addrPort is the address in sa: the zero value for a unix socket.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
