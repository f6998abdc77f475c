//go:build unix && !linux

package engine

import (
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// readyToRead reports whether reading would find bytes, the end or an error.
func readyToRead(ev netpoll.IOEvent, _ netpoll.IOFlags) bool { return ev == unix.EVFILT_READ }

// isDead reports whether the connection is reset, or ended on both sides, which
// kqueue tells only when it is read.
func isDead(netpoll.IOEvent, netpoll.IOFlags) bool { return false }

// hungUp reports whether the peer has ended its side, so that the end can be read
// behind the last bytes and no further event will announce it.
func hungUp(_ netpoll.IOEvent, flags netpoll.IOFlags) bool { return flags&unix.EV_EOF != 0 }
