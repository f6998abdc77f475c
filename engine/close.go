package engine

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// startClosing follows on Conn.Close: our close frame is in the outbox. Reading
// goes on, whatever it was paused for, until the peer's close frame comes; messages
// are not delivered any more.
func (c *Conn) startClosing() {
	c.state = stateClosing
	c.leave()
	c.paused = 0
	c.wake(c.loop.at(c.loop.engine.options.CloseTimeout))
	c.readAgain()
}

// peerClosed handles the peer's close frame, whose payload the decoder has checked.
// Ours follows when the handler has seen all messages that came before and what it
// answered is in the outbox.
func (c *Conn) peerClosed(payload []byte) {
	code, reason, err := frame.ParseClosePayload(payload)
	c.end(handler.CloseStatus{Code: code, Reason: reason, Err: err})
	c.ending.heard = true
	c.leave()
	c.paused = pauseDone
	c.wake(c.loop.at(c.loop.engine.options.CloseTimeout))
	if c.state == stateClosing {
		c.state = stateFinishing
		c.flush()
		return
	}
	c.state = statePeerClose
	if c.loop.engine.options.Mode == OnLoop {
		c.startFinishing()
		return
	}
	c.handOver() // what came before it
	c.notify(eventPeerClose)
}

// violated fails a connection whose peer has broken the protocol. The close frame
// follows when the handler has seen all messages that came before and what it
// answered is in the outbox.
func (c *Conn) violated(err error) {
	c.handOver() // what came before it
	if c.state != stateOpen || c.inbox.isEmpty() {
		c.fail(err)
		return
	}
	c.end(handler.CloseStatus{Code: frame.CloseAbnormal, Err: err})
	c.leave()
	c.decoder.Release()
	c.paused = pauseDone
	c.wake(c.loop.at(c.loop.engine.options.CloseTimeout))
	c.state = statePeerClose
	c.notify(eventPeerClose)
}

// startFinishing answers the peer's close frame with the same code (RFC 6455
// section 5.5.1), after which the connection ends, or fails it for its violation.
func (c *Conn) startFinishing() {
	if err := c.ending.status.Err; err != nil {
		c.fail(err)
		return
	}
	c.outbox.appendClose(c.ending.status.Code, "")
	c.state = stateFinishing
	c.wake(c.loop.at(c.loop.engine.options.CloseTimeout))
	c.flush()
}

// fail ends a connection for a fault of the peer or of the handler: a close frame
// that says why, then the end of our side. What still arrives is thrown away until
// the peer has hung up, so that the kernel does not reset the connection before the
// peer has read the reason.
func (c *Conn) fail(err error) {
	if c.state >= stateLingering {
		return
	}
	c.end(handler.CloseStatus{Code: frame.CloseAbnormal, Err: err})
	c.leave()
	c.decoder.Release()
	code, reason := closeFor(err)
	c.loop.engine.logPeer("connection failed", c, err)
	slow := errors.Is(err, handler.ErrSlowConsumer)
	if slow && c.backlog != nil {
		c.backlog.discard()
	}
	c.outbox.endWithClose(code, reason, slow)
	c.linger()
}

// linger lets the outbox drain and the peer read it.
func (c *Conn) linger() {
	c.state = stateLingering
	c.paused = 0
	c.wake(c.loop.at(c.loop.engine.options.CloseTimeout))
	c.readAgain()
	c.flush()
}

// closeFor is the close code for an error, and a reason if the peer did nothing
// wrong in itself; what rule a peer has broken is for the log.
func closeFor(err error) (frame.CloseCode, string) {
	var violation *frame.ProtocolError
	switch {
	case errors.As(err, &violation):
		return violation.Code, ""
	case errors.Is(err, handler.ErrSlowConsumer):
		return frame.ClosePolicyViolation, "too slow to read"
	case errors.Is(err, handler.ErrIdleTimeout):
		return frame.CloseGoingAway, "idle for too long"
	default:
		return frame.CloseInternalError, ""
	}
}

// dropReason is the name under which Counters.Drops counts err.
func dropReason(err error) string {
	for _, r := range []struct {
		err  error
		name string
	}{
		{handler.ErrSlowConsumer, "slow consumer"},
		{handler.ErrPongTimeout, "pong timeout"},
		{handler.ErrIdleTimeout, "idle timeout"},
		{handler.ErrCloseTimeout, "close timeout"},
		{handler.ErrAborted, "aborted"},
		{handler.ErrPanic, "panic"},
		{errLoopEnded, "engine closed"},
		{io.EOF, "hung up"},
	} {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	if _, ok := errors.AsType[*frame.ProtocolError](err); ok {
		return "protocol error"
	}
	return "i/o error"
}

// lost ends a connection whose socket failed or whose peer hung up.
func (c *Conn) lost(err error) {
	if c.state == stateDialing {
		c.dialingLost(err)
		return
	}
	if c.state >= stateLingering || c.state == stateClosing && errors.Is(err, io.EOF) {
		err = nil
	}
	c.drop(err)
}

// abort drops the connection so that the peer's end is reset, and no port stays busy.
func (c *Conn) abort() {
	// It fails on a socket that is no stream of TCP, which closing resets anyway.
	_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	c.drop(handler.ErrAborted)
}

// drop closes the socket at once and hands the handler its last event.
func (c *Conn) drop(err error) {
	if c.fd < 0 {
		return
	}
	l, fd, dialing := c.loop, int(c.fd), c.state == stateDialing
	c.end(handler.CloseStatus{Code: frame.CloseAbnormal, Err: err})
	exchanged := c.state == stateFinishing || c.state == stateHangUp
	c.ending.status.Clean = c.ending.heard && exchanged && err == nil
	c.leave()
	opening := c.state == stateOpening
	if !opening { // else OnOpen is still to return
		c.dropHandshake()
	}
	c.state = stateGone
	if c.tls != nil {
		c.tls.drop(fd, errors.Is(err, handler.ErrAborted))
	}
	l.remove(c)
	closeSocket(fd)
	c.decoder.Release()
	c.dropUndecoded()
	c.outbox.discard()
	l.engine.release(c.admitted)
	l.descriptorFreed()
	if c.client != nil {
		c.dialEnded(dialing, err)
	}
	c.signalDone()
	if c.opened {
		l.engine.count.closed(c.ending.status.Code)
		if err := c.ending.status.Err; err != nil {
			l.engine.count.dropped(dropReason(err))
		}
		c.closed()
	}
	switch {
	case !opening:
		c.backlog = nil
	case c.backlog != nil:
		c.backlog.discard() // openedTooLate tells of it
	}
}

// closed hands the handler its last event.
func (c *Conn) closed() {
	if c.loop.engine.options.Mode == OnLoop {
		c.tellMissed()
		c.callClose()
		return
	}
	c.handOver() // what came before, if this happens while reading
	c.tellMissed()
	c.notify(eventClose)
}

// end records how the connection ends, the first time.
func (c *Conn) end(s handler.CloseStatus) {
	if c.ending == nil {
		c.ending = &ending{status: s}
	}
}

// leave takes the connection out of the hub: nothing published reaches it any more.
func (c *Conn) leave() {
	c.loop.partAll(c)
	s := &c.loop.slots[c.slot]
	if !s.open {
		return
	}
	s.open = false
	m := c.loop.paths[c.path]
	m.remove(c.pathAt)
	c.loop.forgetPath(m)
	c.loop.engine.registry.remove(c)
}
