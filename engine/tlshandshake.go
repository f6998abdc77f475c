package engine

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	handshakesPerLoop = 1024 // TLS handshakes under way at once; more wait for their turn

	recordTypeHandshake = 22
	recordHeaderBytes   = 5
	maxRecordBytes      = 16<<10 + 256

	// With more than that a connection is not read from until its handshake has read it. A
	// whole record fits.
	handshakeReadAhead = recordHeaderBytes + maxRecordBytes
)

// tlsPhase is how far the TLS of a connection has come.
type tlsPhase uint8

const (
	tlsHello   tlsPhase = iota // the first record is arriving
	tlsQueued                  // too many handshakes are under way
	tlsShaking                 // the handshake is
	tlsOpen                    // application data flows
	tlsBroken                  // nothing can be read or written any more but what is encrypted already
)

// A tlsLayer is the TLS of one connection: a tls.Conn that the loop feeds with
// records.
type tlsLayer struct {
	wire tlsWire

	// Owned by the loop, or by the HTTP server once the connection has left.
	conn    *tls.Conn // nil before the handshake; during it the handshake's goroutine's
	phase   tlsPhase
	cancel  context.CancelFunc // of the handshake, nil without one
	sending *frame.Buffer      // records that the socket has not taken, nil if none
	sent    int                // bytes of sending that it has taken
}

// tlsTurns is a loop's part in the handshakes: how many are under way, and who waits.
type tlsTurns struct {
	running int
	waiting []*Conn // in the order of arrival; some may be gone already
	plain   []byte  // scratch: what one read has brought, decrypted
}

// arrivedTLS takes bytes from the socket of a connection with TLS.
func (c *Conn) arrivedTLS(in []byte) {
	switch {
	case c.state == stateLingering:
	case c.tls.phase == tlsOpen:
		c.unseal(in)
	case c.tls.phase == tlsHello && len(c.tls.wire.in) == 0 && in[0] != recordTypeHandshake:
		c.refusePlain(in)
	default:
		unread, held := c.tls.wire.keep(in)
		if c.tls.phase == tlsHello && isWholeRecord(unread) {
			c.queueHandshake()
		}
		if held {
			c.paused |= pauseTLS
		}
	}
}

// isWholeRecord reports whether p begins with a record, or with what cannot become
// one. No goroutine is spent on a client that has not said hello.
func isWholeRecord(p []byte) bool {
	if len(p) < recordHeaderBytes {
		return false
	}
	size := int(p[3])<<8 | int(p[4])
	return size > maxRecordBytes || len(p) >= recordHeaderBytes+size
}

// refusePlain answers a client that does not speak TLS in plain text.
func (c *Conn) refusePlain(in []byte) {
	c.tls = nil
	c.hs.bytes = frame.NewBuffer(len(in))
	c.hs.bytes.Append(in)
	c.refuse(handler.Refuse(http.StatusBadRequest, "this port speaks TLS: use https or wss"))
}

// queueHandshake starts the handshake if it is the connection's turn.
func (c *Conn) queueHandshake() {
	turns := &c.loop.turns
	if turns.running < handshakesPerLoop {
		c.startHandshake()
		return
	}
	c.tls.phase = tlsQueued
	turns.waiting = append(turns.waiting, c)
}

// startHandshake runs the handshake on a goroutine. That ends when the handshake does
// or the connection, which its deadline sees to; runQueue.close waits for it.
func (c *Conn) startHandshake() {
	l, t := c.loop, c.tls
	l.turns.running++
	t.phase = tlsShaking
	t.wire.beginHandshake(c)
	if c.client != nil {
		t.conn = tls.Client(&t.wire, c.client.dialing.tls)
	} else {
		t.conn = tls.Server(&t.wire, l.engine.tls)
	}
	ctx, cancel := context.WithCancel(noContext)
	t.cancel = cancel
	l.engine.run.group.Go(func() {
		err := errShakePanic
		defer func() { l.do(func() { c.handshakeEnded(err) }) }() // also if a callback ends the goroutine
		err = t.shake(ctx, l.engine.options.Logger)
	})
}

// shake runs the handshake. A panic in a callback of the configuration is an error.
func (t *tlsLayer) shake(ctx context.Context, log *slog.Logger) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.LogAttrs(noContext, slog.LevelError, "TLS callback panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errShakePanic
		}
	}()
	return t.conn.HandshakeContext(ctx)
}

var errShakePanic = fmt.Errorf("%w in a TLS callback", handler.ErrPanic)

// handshakeEnded goes on with a connection whose handshake is over, and with the next
// that waits for one.
func (c *Conn) handshakeEnded(err error) {
	c.loop.nextHandshake()
	if c.fd < 0 {
		return
	}
	t := c.tls
	t.cancel()
	t.cancel = nil
	kept := t.wire.endHandshake()
	defer kept.Release()
	t.phase = tlsOpen
	if err != nil {
		t.wire.lend(nil)
		t.phase = tlsBroken
	}
	switch {
	case c.client != nil:
		c.secured(err)
	case err != nil:
		c.handshakeFailed(err)
	default:
		c.wake(c.loop.at(c.loop.engine.options.HeaderTimeout))
	}
	if t.phase == tlsBroken || c.fd < 0 {
		return
	}
	c.unseal(t.wire.in)
	if c.fd >= 0 {
		c.resume(pauseTLS)
	}
	if c.fd >= 0 && c.loop.engine.draining.Load() {
		c.dropUnused()
	}
}

// handshakeFailed ends a connection whose client is to read the alert.
func (c *Conn) handshakeFailed(err error) {
	c.loop.engine.options.Logger.LogAttrs(noContext, slog.LevelDebug, "TLS handshake failed",
		slog.Any("remote", c.RemoteAddr()), slog.Any("err", err))
	c.dropHandshake()
	c.linger()
}

// nextHandshake gives the turn of a handshake that has ended to the next that waits.
func (l *loop) nextHandshake() {
	l.turns.running--
	for len(l.turns.waiting) > 0 {
		c := l.turns.waiting[0]
		l.turns.waiting[0] = nil
		l.turns.waiting = l.turns.waiting[1:]
		if c.fd >= 0 && c.tls != nil && c.tls.phase == tlsQueued {
			c.startHandshake()
			return
		}
	}
	l.turns.waiting = nil
}

// isShaking reports whether a client has begun a handshake that is not over.
func (t *tlsLayer) isShaking() bool {
	return t != nil && t.phase != tlsOpen && (t.phase != tlsHello || len(t.wire.in) > 0)
}

// state describes the connection, nil without TLS.
func (t *tlsLayer) state() *tls.ConnectionState {
	if t == nil {
		return nil
	}
	s := t.conn.ConnectionState()
	return &s
}

// drop ends the TLS of a connection whose socket the loop closes next. Unless that is to
// be cut, what is encrypted already, and a close_notify alert (RFC 8446 section 6.1), goes
// out if the socket takes it at once.
func (t *tlsLayer) drop(fd int, cut bool) {
	if t.cancel != nil {
		t.cancel()
	}
	if t.sending == nil && !cut {
		t.sayGoodbye()
		if b := t.wire.collect(); b != nil {
			_, _ = writeSocket(fd, b.B)
			b.Release()
		}
	}
	t.sending.Release()
	t.sending = nil
	t.wire.discard()
}

// sayGoodbye writes a close_notify alert, once, behind which nothing can be sent.
func (t *tlsLayer) sayGoodbye() {
	if t.phase == tlsOpen {
		_ = t.conn.CloseWrite()
	}
}
