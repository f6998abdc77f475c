package engine

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A client is what only connections of Dial have.
type client struct {
	handler handler.Handler
	dialing *dialing // nil once the connection is open, or another attempt has replaced it
}

// attempt connects to the next address that can be connected to, on the loop. The
// connection is counted already.
func (d *dialing) attempt() {
	e := d.engine
	if d.settled.Load() { // the caller has given up
		e.release(true)
		return
	}
	for len(d.addrs) > 0 {
		left := d.left()
		if e.draining.Load() {
			d.failure = ErrClosed
			break
		}
		if left <= 0 {
			d.failure = ErrHandshakeTimeout
			break
		}
		to, share := d.addrs[0], left/time.Duration(len(d.addrs))
		d.addrs = d.addrs[1:]
		err := d.connect(to, share)
		if err == nil {
			return
		}
		d.failed(to, err)
	}
	d.fail(d.failure)
}

// left is the time left for the whole handshake.
func (d *dialing) left() time.Duration { return d.timeout - (d.engine.elapsed() - d.began) }

// failed keeps the reason why the first attempt failed: it is the preferred address.
func (d *dialing) failed(to netip.AddrPort, err error) {
	switch {
	case d.failure != nil:
	case d.unixSocket != "":
		d.failure = fmt.Errorf("connecting to %s: %w", d.unixSocket, err)
	case d.tunnel != nil:
		d.failure = fmt.Errorf("connecting to the proxy %s: %w", to, err)
	default:
		d.failure = fmt.Errorf("connecting to %s: %w", to, err)
	}
}

// connect begins to connect to an address, and sends the first request once that is
// done. It may take as long as share.
func (d *dialing) connect(to netip.AddrPort, share time.Duration) error {
	fd, err := d.openSocket(to)
	if err != nil {
		return err
	}
	sa, err := d.sockaddr(to)
	if err == nil {
		err = unix.Connect(fd, sa)
	}
	// An interrupted connect goes on (POSIX), like one that is in progress.
	pending := errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR)
	if err != nil && !pending {
		closeSocket(fd)
		return os.NewSyscallError("connect", err)
	}
	l := d.loop
	c := &Conn{
		loop: l, fd: int32(fd), remote: newRemote(to), state: stateDialing, admitted: true,
		blocked: pending, watched: true, hs: handshakes.Get().(*handshake), client: &client{d.handler, d},
	}
	c.outbox.masks = true
	l.add(c)
	c.wake(l.from(share))
	if err := l.poller.AddReadWrite(&netpoll.PollAttachment{FD: fd}, true); err != nil {
		l.remove(c)
		closeSocket(fd)
		return err
	}
	d.conn = c
	switch {
	case d.tunnel != nil:
		c.request(d.tunnel)
	case d.tls != nil:
		c.tls = new(tlsLayer)
		c.flush()
	default:
		c.request(d.opening.bytes)
	}
	return nil
}

// from is how far in the future d lies. Unlike at it is exact, for times shorter than
// a tick.
func (l *loop) from(d time.Duration) uint32 {
	return l.engine.clockMillis() + uint32(d.Milliseconds())
}

// openSocket makes a socket that can be connected to an address.
func (d *dialing) openSocket(to netip.AddrPort) (int, error) {
	family := unix.AF_UNIX
	switch {
	case to.Addr().Is4():
		family = unix.AF_INET
	case to.Addr().Is6():
		family = unix.AF_INET6
	}
	fd, err := streamSocket(family)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if family == unix.AF_UNIX {
		return fd, nil
	}
	err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	if err == nil && d.localAddr.IsValid() {
		err = bindAddress(fd, d.localAddr)
	}
	if err != nil {
		closeSocket(fd)
		return -1, err
	}
	return fd, nil
}

// bindAddress makes a socket connect from an address of this machine.
func bindAddress(fd int, from netip.Addr) error {
	if err := postponePort(fd); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	sa, err := inetSockaddr(netip.AddrPortFrom(from, 0))
	if err != nil {
		return err
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

func (d *dialing) sockaddr(to netip.AddrPort) (unix.Sockaddr, error) {
	if d.unixSocket != "" {
		return &unix.SockaddrUnix{Name: d.unixSocket}, nil
	}
	return inetSockaddr(to)
}

// request queues a request, which goes out once the socket is connected.
func (c *Conn) request(head []byte) {
	b := frame.NewBuffer(len(head))
	b.Append(head)
	c.outbox.putFirst(b)
	c.flush()
}

// requestSent is called when the socket is connected, and a request of the opening
// handshake, or what there is of TLS, has been written.
func (c *Conn) requestSent() {
	d := c.client.dialing
	begin := c.tls != nil && c.tls.phase == tlsHello
	if begin && !c.isConnected() {
		return
	}
	d.connected = true
	c.wake(c.loop.from(max(0, d.left())))
	if begin {
		c.secure(nil)
	}
}

// dialingLost is lost before the server's response.
func (c *Conn) dialingLost(err error) {
	d := c.client.dialing
	if code, e := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); e == nil && code != 0 {
		err = unix.Errno(code) // why connecting failed, where writing says something vaguer
	}
	switch {
	case !d.connected:
		d.retry(c, os.NewSyscallError("connect", err))
	case c.hungUpShaking():
	case c.hs.size > 0:
		c.drop(c.refusal())
	case errors.Is(err, io.EOF):
		c.drop(fmt.Errorf("hung up before the response: %w", io.ErrUnexpectedEOF))
	default:
		c.drop(err)
	}
}

// dialingTooSlow is called when the time for an address, or for the handshake, is over.
func (c *Conn) dialingTooSlow() {
	d := c.client.dialing
	switch {
	case !d.connected:
		d.retry(c, ErrHandshakeTimeout)
	case c.hs.size > 0:
		c.drop(c.refusal())
	default:
		c.drop(ErrHandshakeTimeout)
	}
}

// retry gives up a socket that could not be connected, for the next address.
func (d *dialing) retry(c *Conn, err error) {
	d.failed(c.remote.addrPort(), err)
	// The next attempt is counted before this one is not any more.
	d.engine.sockets.Add(1)
	d.engine.active.Add(1)
	c.client.dialing = nil
	c.drop(err)
	d.attempt()
}

// dialled tells the caller of Dial what has become of the connection, once OnOpen has
// decided. If nobody wants it any more it is closed.
func (c *Conn) dialled(err error) {
	d := c.client.dialing
	c.client.dialing = nil
	switch {
	case err != nil:
		d.report(err)
	case d.settle():
		c.callDone(d)
	default:
		_ = c.Close(frame.CloseGoingAway, "")
	}
}

// callDone tells the caller of Dial that the connection is open.
func (c *Conn) callDone(d *dialing) {
	returned := false
	defer c.recovered(&returned)
	d.done(c, nil)
	returned = true
}

// decline ends a connection that OnOpen has refused: the server believes it open, so it
// gets a close frame.
func (c *Conn) decline(err error) {
	c.dialled(err)
	c.leave()
	c.backlog = nil
	code := frame.CloseGoingAway
	if errors.Is(err, handler.ErrPanic) {
		code = frame.CloseInternalError
	}
	c.dropHandshake()
	c.outbox.endWithClose(code, "", true)
	c.linger()
}

// callee is the handler of the connection.
func (c *Conn) callee() handler.Handler {
	if c.client != nil {
		return c.client.handler
	}
	return c.path.route.Handler
}

// application is the handler that the application has given, which is asked for the
// interfaces that a Handler need not have.
func (c *Conn) application() handler.Handler {
	h := c.callee()
	if r, ok := h.(reconnecting); ok {
		return r.handler
	}
	return h
}

// hangUp waits for the server to end the stream, now that close frames are exchanged:
// who ends it first keeps the port busy (RFC 6455 section 7.1.1). If it does not, we do.
func (c *Conn) hangUp() {
	c.state = stateHangUp
	c.paused = 0
	c.wake(c.loop.at(c.loop.engine.options.CloseTimeout))
	c.readAgain()
}

// decoderOptions is what the connection's decoder is made with.
func (c *Conn) decoderOptions() *frame.DecoderOptions {
	if c.client != nil {
		return &c.loop.engine.clientDecoder
	}
	return &c.loop.engine.decoderOptions
}

// dialEnded does what is left to do when the socket of a dialled connection is gone.
func (c *Conn) dialEnded(dialing bool, err error) {
	if c.path != nil {
		c.loop.engine.dialled.leave(c.path)
	}
	if dialing && c.client.dialing != nil {
		c.dialled(err)
	}
}
