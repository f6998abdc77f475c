package engine

import (
	"errors"
	"log/slog"
	"net/netip"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// accept takes a bounded number of connections off the listener, and reports whether
// more may wait. The poller reports the listener again while they do.
func (l *loop) accept() (more bool) {
	for range acceptsPerEvent {
		fd, from, err := acceptSocket(l.listener.fd)
		switch {
		case err == nil:
			l.accepted(fd, from)
		case errors.Is(err, unix.EAGAIN):
			l.starved = false
			return false
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			// That one has gone away again.
		default:
			l.starve(err)
			return false
		}
	}
	return true
}

// accepted starts a connection on a new socket, or refuses it right here when
// even the descriptors for refusing are used up.
func (l *loop) accepted(fd int, from netip.AddrPort) {
	e := l.engine
	if n := e.sockets.Add(1); n > int64(e.options.MaxConnections+refusalDescriptors) {
		e.sockets.Add(-1)
		e.count.refused(503)
		if e.tls == nil {
			_, _ = writeSocket(fd, busyResponse)
		}
		closeSocket(fd)
		return
	}
	if l.listener.path == "" || len(e.loops) == 1 {
		l.welcome(fd, from)
		return
	}
	// A unix socket has one listener, for all loops.
	next := e.nextLoop()
	if !next.do(func() { next.welcome(fd, from) }) {
		closeSocket(fd)
		e.release(false)
	}
}

// welcome starts a connection on a socket that was accepted.
func (l *loop) welcome(fd int, from netip.AddrPort) {
	c := l.begin(fd, from)
	if l.engine.tls != nil {
		c.tls = new(tlsLayer)
	}
	if c.fd >= 0 && l.engine.draining.Load() {
		c.dropUnused()
	}
}

var busyResponse = []byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

// begin makes a connection of a socket that is counted already, and waits for its
// opening handshake.
func (l *loop) begin(fd int, from netip.AddrPort) *Conn {
	c := &Conn{loop: l, fd: int32(fd), remote: newRemote(from), hs: handshakes.Get().(*handshake)}
	l.add(c)
	c.wake(l.at(l.engine.options.HeaderTimeout))
	if err := l.poller.AddRead(&netpoll.PollAttachment{FD: fd}, true); err != nil {
		l.engine.options.Logger.LogAttrs(noContext, slog.LevelError, "watching a socket failed", slog.Any("err", err))
		c.drop(err)
	}
	return c
}

// starve stops accepting until a connection of this loop closes or the next tick:
// descriptors or memory have run out, which passes. The poller would report the
// listener over and over meanwhile.
func (l *loop) starve(err error) {
	l.pauseAccept()
	l.engine.count.starved.Add(1)
	if !l.starved {
		l.starved = true
		l.engine.options.Logger.LogAttrs(noContext, slog.LevelError, "accepting paused", slog.Any("err", err))
	}
	l.startClock()
}

// descriptorFreed is told that a descriptor was closed.
func (l *loop) descriptorFreed() {
	if l.starved && !l.accepting && !l.engine.draining.Load() {
		_ = l.resumeAccept()
	}
}

func (l *loop) pauseAccept() {
	if l.accepting {
		l.accepting = false
		_ = l.poller.Delete(l.listener.fd)
	}
}

func (l *loop) resumeAccept() error {
	l.accepting = true
	return l.poller.AddRead(&netpoll.PollAttachment{FD: l.listener.fd}, false)
}
