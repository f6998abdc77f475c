package engine

import (
	"io"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"github.com/weirws/weir/handler"
)

const (
	writesPerFlush = 4        // then other connections get their turn
	copiedBytes    = 16 << 10 // small frames are copied together up to this, which beats writev
)

// flush writes what the outbox holds, as far as the socket takes it, in one write
// for all of it unless it is much. It runs on the loop and is the only writer to
// the socket; replies, control frames and broadcasts all go through it.
func (c *Conn) flush() {
	if c.blocked || c.state == stateOpening || c.fd < 0 {
		c.checkMarks()
		return
	}
	if c.tls != nil {
		c.flushTLS()
		return
	}
	for range writesPerFlush {
		bufs, err := c.take()
		if err != nil {
			c.fail(err)
			return
		}
		if len(bufs) == 0 {
			c.flushed()
			return
		}
		n, whole, err := c.loop.write(int(c.fd), bufs)
		clear(bufs)
		waiting, messages := c.outbox.wrote(n, !whole)
		c.loop.count.messagesOut.Add(messages)
		c.loop.count.bytesOut.Add(uint64(n))
		if err != nil {
			c.lost(err)
			return
		}
		if !whole {
			c.block()
			return
		}
		if waiting == 0 && c.backlog == nil {
			c.flushed()
			return
		}
	}
	c.ask(wantFlush)
}

// write gives bufs to the socket in one system call and returns how much it took,
// and whether that was all. A full socket is no error.
func (l *loop) write(fd int, bufs [][]byte) (n int, whole bool, err error) {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	switch {
	case len(bufs) == 1:
		return l.writeOne(fd, bufs[0])
	case total <= copiedBytes:
		l.writeBuf = l.writeBuf[:0]
		for _, b := range bufs {
			l.writeBuf = append(l.writeBuf, b...)
		}
		n, err = writeSocket(fd, l.writeBuf)
	default:
		n, err = writeSocketv(fd, &l.iov, bufs)
	}
	return written(n, total, err)
}

// writeOne is write for a single slice.
func (l *loop) writeOne(fd int, p []byte) (n int, whole bool, err error) {
	n, err = writeSocket(fd, p)
	return written(n, len(p), err)
}

func written(n, total int, err error) (int, bool, error) {
	if err == unix.EAGAIN {
		return 0, false, nil
	}
	if err == nil && n == 0 {
		err = io.ErrShortWrite
	}
	return n, n == total, err
}

// block waits until the socket is writable.
func (c *Conn) block() {
	c.blocked = true
	c.waits()
	if !c.watched {
		if err := c.loop.poller.ModReadWrite(&netpoll.PollAttachment{FD: int(c.fd)}, true); err != nil {
			c.lost(err)
			return
		}
		c.watched = true
	}
	c.checkMarks()
}

// checkMarks acts on how much waits in the outbox, or before it although it may not be
// dropped.
func (c *Conn) checkMarks() {
	if c.fd < 0 || c.state != stateOpen {
		return
	}
	waiting, err := c.outbox.owed()
	if err != nil {
		c.fail(err)
		return
	}
	if b := c.backlog; b != nil && b.rate == nil {
		waiting += b.held[handler.Disconnect]
	}
	o := &c.loop.engine.options
	switch {
	case waiting > o.OutboxSoftBytes && c.paused&pauseOutbox == 0:
		c.pause(pauseOutbox)
		c.behind = c.loop.now
		if o.SlowTimeout > 0 {
			c.wakeBefore(c.loop.at(o.SlowTimeout))
		}
	case waiting <= o.OutboxSoftBytes/2 && c.paused&pauseOutbox != 0:
		c.resume(pauseOutbox)
	}
}

// flushed is called when nothing waits to be written.
func (c *Conn) flushed() {
	switch c.state {
	case stateOpen:
		if c.paused&pauseOutbox != 0 {
			c.resume(pauseOutbox)
		}
	case stateDialing:
		c.requestSent()
	case stateFinishing:
		if c.client != nil {
			c.hangUp()
			return
		}
		c.drop(nil)
	case stateLingering:
		c.shutWrite()
	}
}

// shutWrite ends our side of the stream once, so that the peer sees the end behind
// what we wrote.
func (c *Conn) shutWrite() {
	if !c.shut {
		c.shut = true
		_ = unix.Shutdown(int(c.fd), unix.SHUT_WR)
	}
}
