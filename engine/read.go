package engine

import (
	"errors"
	"io"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"github.com/weirws/weir/frame"
)

// read takes what the socket holds. The poller reports bytes once, when they
// arrive, so a connection that is paused reads again when it resumes.
func (l *loop) read(c *Conn, ev netpoll.IOEvent, flags netpoll.IOFlags) {
	if hungUp(ev, flags) {
		c.readEnd = true
	}
	if c.state == stateOpening && isDead(ev, flags) {
		c.drop(unix.ECONNRESET) // the handler need not go on with OnOpen: Done tells it
		return
	}
	c.heard = l.now
	c.readAll()
}

// readAll reads until the socket is empty, the connection pauses, or others must
// have their turn: soon if the frames are small, since each costs time. A read that did not fill the buffer has emptied the socket;
// only an end that was announced is still to be read behind it.
func (c *Conn) readAll() {
	l := c.loop
	for range readsPerEvent {
		if c.fd < 0 {
			return
		}
		if c.paused != 0 {
			c.unread = true
			return
		}
		if l.undecoded != nil && c.consumeUndecoded() {
			continue
		}
		buf := l.readBuf
		if c.dense {
			buf = buf[:denseReadBytes]
		}
		n, err := readSocket(int(c.fd), buf)
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				c.lost(err)
			}
			return
		}
		if n == 0 {
			c.lost(io.EOF)
			return
		}
		l.count.bytesIn.Add(uint64(n))
		if c.tls != nil {
			c.arrivedTLS(buf[:n])
		} else {
			c.consume(buf[:n])
		}
		if n < len(buf) && !c.readEnd {
			return
		}
		if c.dense {
			break
		}
	}
	c.readAgain()
}

// readAgain asks for another turn of reading.
func (c *Conn) readAgain() {
	c.unread = true
	c.ask(wantRead)
}

// consume takes bytes that have arrived. It does not retain them; what it cannot take now
// is copied.
func (c *Conn) consume(in []byte) {
	switch c.state {
	case stateHeader:
		c.readHeader(in)
	case stateDialing:
		c.readResponse(in)
	case stateOpen, stateClosing:
		if left := c.decode(in); left > 0 {
			c.keepUndecoded(in[len(in)-left:])
		}
	}
}

// decodes reports whether frames are expected.
func (c *Conn) decodes() bool { return c.state == stateOpen || c.state == stateClosing }

// decode takes frames apart: messages are delivered, control frames are answered.
// What these leave in the outbox is written at the end, in one write. It stops when messages
// have inflated to more than a read may bring, and returns how many bytes it has left.
func (c *Conn) decode(in []byte) (left int) {
	e := c.loop.engine
	onLoop := e.options.Mode == OnLoop
	if onLoop {
		c.outbox.hold() // handlers run right here, and what they send is written below
	}
	var messages uint64
	frames, size, grown := 0, len(in), 0
	flush := onLoop
	for len(in) > 0 && c.decodes() {
		op, payload, n, err := c.decoder.DecodeWhole(in)
		var buffer *frame.Buffer
		if n == 0 {
			var m frame.Message
			m, n, err = c.decoder.Decode(in)
			op, payload, buffer = m.Op, m.Payload, m.Buffer
		}
		if err != nil {
			c.violated(err)
			break
		}
		in = in[n:]
		frames++
		switch op {
		case frame.Text, frame.Binary:
			messages++
			c.deliver(op, payload, buffer, len(in))
			if buffer != nil && frames > 1 { // the first may have begun in an earlier read
				grown += len(payload)
			}
		case frame.Ping:
			flush = true
			c.pong(payload)
			c.deliverControl(op, payload, buffer, len(in))
		case frame.Pong:
			c.deliverControl(op, payload, buffer, len(in))
		case frame.Close:
			c.peerClosed(payload)
			buffer.Release()
		}
		if grown > readBufferBytes {
			left = len(in)
			break
		}
	}
	c.dense = size >= denseReadBytes/2 && frames > size/denseFrameBytes
	if messages > 0 {
		c.told = c.loop.now
		c.loop.count.messagesIn.Add(messages)
	}
	c.handOver()
	if flush {
		c.flush()
	}
	return left
}

// pong answers a ping (RFC 6455 section 5.5.2). A peer that sends pings and reads
// no pongs runs into the marks of the outbox.
func (c *Conn) pong(payload []byte) {
	_ = c.outbox.appendFrame(c.loop.engine, frame.Pong, payload)
}

// pause stops reading, for one more reason.
func (c *Conn) pause(why pauses) {
	if c.paused == 0 {
		c.loop.count.pauses.Add(1)
	}
	c.paused |= why
}

// resume takes one reason for not reading away, and reads on if it was the last and
// something has been left unread.
func (c *Conn) resume(why pauses) {
	// What the handler is told of, see tellMissed, may have taken the room again.
	if why == pauseInbox && c.paused&pauseInbox != 0 && !c.inbox.awaitRoom(&c.loop.engine.options) {
		return
	}
	c.paused &^= why
	if c.paused == 0 && c.unread {
		c.unread = false
		c.readAll()
	}
}
