package engine

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/handler"
)

const (
	sealedBytes    = 64 << 10 // of what waits this much is encrypted for one write
	mostUnsent     = 16 << 10 // of alerts and key updates beyond what one write takes
	unsealedAtOnce = 16 << 10 // the plain text of one record
)

// unseal decrypts what the socket has brought, and consumes it.
func (c *Conn) unseal(in []byte) {
	plain, err := c.loop.decrypt(c.tls, in)
	c.unsealed(plain, err)
}

// unsealBehind consumes head and what the tls.Conn holds behind it, for a connection that
// comes back from the HTTP server.
func (c *Conn) unsealBehind(head []byte) {
	plain, err := c.loop.decrypt(c.tls, nil)
	c.unsealed(append(head, plain...), err)
}

// unsealed consumes what decrypt has returned.
func (c *Conn) unsealed(plain []byte, err error) {
	t := c.tls
	if errors.Is(err, errNoRecord) {
		err = nil
	} else if !errors.Is(err, io.EOF) {
		t.phase = tlsBroken
	}
	if len(plain) > 0 {
		c.consume(plain)
	}
	if c.fd < 0 {
		return
	}
	// Reading may have made the tls.Conn write: an alert, the answer to a key update.
	switch n := t.wire.uncollected(); {
	case n > mostUnsent && c.blocked:
		c.drop(handler.ErrSlowConsumer)
	case n > 0:
		c.flush()
	}
	if err != nil && c.fd >= 0 {
		c.ended(err)
	}
}

// ended ends a connection that can be read no further: a record was bad, or the peer
// has said that it sends nothing more, which is io.EOF. While the connection is paused,
// or has more to decode, that waits, as the end of a plain stream does.
func (c *Conn) ended(err error) {
	_, left := c.loop.undecoded[c]
	if !errors.Is(err, io.EOF) || c.paused == 0 && !left {
		c.lost(err)
		return
	}
	_ = unix.Shutdown(int(c.fd), unix.SHUT_RD) // so that reading on finds the end
	c.unread = true
}

// decrypt returns the plain text of in, and of what was left unread before. It is
// valid until the loop decrypts again. It is all there is when the error is errNoRecord,
// and there is always an error.
func (l *loop) decrypt(t *tlsLayer, in []byte) ([]byte, error) {
	t.wire.lend(in)
	defer t.wire.lend(nil)
	plain := l.turns.plain[:0]
	for {
		if cap(plain)-len(plain) < unsealedAtOnce {
			plain = append(plain, make([]byte, max(readBufferBytes, cap(plain)))...)[:len(plain)]
		}
		n, err := t.conn.Read(plain[len(plain):cap(plain)])
		plain = plain[:len(plain)+n]
		if err != nil {
			l.turns.plain = plain
			return plain, err
		}
	}
}

// flushTLS is flush for a connection with TLS. Of what the outbox holds so much is
// encrypted as goes into one write, and more only when the socket has taken that.
func (c *Conn) flushTLS() {
	l, t := c.loop, c.tls
	for range writesPerFlush {
		sealed := 0
		if t.sending == nil {
			var err error
			if sealed, err = c.seal(); err != nil {
				return
			}
			t.sending, t.sent = t.wire.collect(), 0
		}
		if t.sending == nil {
			c.flushed()
			return
		}
		n, whole, err := l.writeOne(int(c.fd), t.sending.B[t.sent:])
		t.sent += n
		l.count.bytesOut.Add(uint64(n))
		if whole {
			t.sending.Release()
			t.sending = nil
		}
		waiting := -1
		if sealed > 0 {
			var messages uint64
			waiting, messages = c.outbox.wrote(sealed, !whole)
			l.count.messagesOut.Add(messages)
		}
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

// seal encrypts what comes next of the outbox, and returns how much of that it was.
// When it was the last for good, a close_notify alert follows. An error has been acted
// on.
func (c *Conn) seal() (int, error) {
	l, t := c.loop, c.tls
	if t.phase != tlsOpen {
		return 0, nil
	}
	bufs, err := c.take()
	if err != nil {
		c.fail(err)
		return 0, err
	}
	plain := l.gather(bufs)
	if len(plain) > 0 {
		t.wire.reserve(len(plain))
		_, err = t.conn.Write(plain)
	}
	clear(bufs)
	if err != nil {
		t.phase = tlsBroken
		c.lost(err)
		return 0, err
	}
	if c.state == stateFinishing || c.state == stateLingering {
		if waiting, _ := c.outbox.status(); waiting == len(plain) {
			t.sayGoodbye()
		}
	}
	return len(plain), nil
}

// gather returns the first bytes of bufs, as many as are encrypted for one write, in one
// piece.
func (l *loop) gather(bufs [][]byte) []byte {
	if len(bufs) == 0 {
		return nil
	}
	if first := bufs[0]; len(bufs) == 1 || len(first) >= sealedBytes {
		return first[:min(len(first), sealedBytes)]
	}
	l.writeBuf = l.writeBuf[:0]
	for _, b := range bufs {
		l.writeBuf = append(l.writeBuf, b[:min(len(b), sealedBytes-len(l.writeBuf))]...)
	}
	return l.writeBuf
}

// unsent is how many bytes are encrypted and wait for the socket.
func (t *tlsLayer) unsent() int {
	if t.sending == nil {
		return 0
	}
	return len(t.sending.B) - t.sent
}

// leaveLoop prepares the TLS of a connection for the HTTP server: records that the
// socket has not taken yet go before those that the server writes.
func (t *tlsLayer) leaveLoop() {
	if t.sending != nil {
		t.wire.putBack(t.sending.B[t.sent:])
		t.sending.Release()
		t.sending = nil
	}
}
