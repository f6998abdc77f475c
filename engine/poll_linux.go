//go:build linux

package engine

import (
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// readyToRead reports whether reading would find bytes, the end or an error.
func readyToRead(ev netpoll.IOEvent, _ netpoll.IOFlags) bool {
	return ev&(unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0
}

// isDead reports whether the connection is reset, or ended on both sides.
func isDead(ev netpoll.IOEvent, _ netpoll.IOFlags) bool {
	return ev&(unix.EPOLLERR|unix.EPOLLHUP) != 0
}

// hungUp reports whether the peer has ended its side, so that the end can be read
// behind the last bytes and no further event will announce it.
func hungUp(ev netpoll.IOEvent, _ netpoll.IOFlags) bool {
	return ev&(unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0
}
