package engine

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"

	"github.com/weirws/weir/frame"
)

const (
	handedOffAtMost = 1024 // connections that wait for the HTTP server to take them
	httpIdleTimeout = 2 * time.Minute
)

// An httpSide serves the requests that are no upgrade on a standard net/http
// server. It is the listener of that server: what it accepts are connections that
// leave their loop.
type httpSide struct {
	server *http.Server
	addr   net.Addr
	queue  chan *httpConn
	ended  chan struct{} // closed when Serve has returned

	closing   sync.Once
	listening chan struct{} // closed when nothing is accepted any more
}

// newHTTPSide makes the HTTP server of e and starts it. Engine.finish waits for
// its goroutine.
func newHTTPSide(e *Engine) *httpSide {
	h := &httpSide{
		addr:      e.addr,
		queue:     make(chan *httpConn, handedOffAtMost),
		ended:     make(chan struct{}),
		listening: make(chan struct{}),
	}
	h.server = &http.Server{
		Handler:           http.HandlerFunc(e.serveHTTP),
		ReadHeaderTimeout: e.options.HeaderTimeout,
		IdleTimeout:       httpIdleTimeout,
		MaxHeaderBytes:    e.options.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(e.options.Logger.Handler(), slog.LevelError),
	}
	go func() {
		defer close(h.ended)
		_ = h.server.Serve(h) // ends with http.ErrServerClosed
	}()
	return h
}

// serveHTTP serves a request on a connection that has been handed off. A later request on
// such a connection may still be an upgrade: proxies reuse connections.
func (e *Engine) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if e.isOurs(r) {
		e.takeOver(w, r, true)
		return
	}
	e.options.HTTP.ServeHTTP(w, r)
}

// handOff moves the connection, with the bytes that were read, from its loop to the
// HTTP server.
func (c *Conn) handOff() {
	l, e := c.loop, c.loop.engine
	if refusal := e.admit(); refusal != nil {
		c.refuse(refusal)
		return
	}
	hc := &httpConn{engine: e, fd: int(c.fd), head: c.hs.bytes, tls: c.tls}
	// The HTTP server makes another descriptor of it, and a poller cannot be told to
	// forget a socket by a number that is closed.
	_ = l.poller.Delete(int(c.fd))
	if c.tls != nil {
		c.tls.leaveLoop()
	}
	select {
	case e.http.queue <- hc:
	default:
		e.active.Add(-1)
		c.refuseHandOff()
		return
	}
	// From here on the HTTP server may be using the socket already; the loop only
	// forgets it.
	e.count.handedOff.Add(1)
	c.hs.bytes = nil // the HTTP side has it
	c.dropHandshake()
	c.state = stateGone
	l.remove(c)
}

// refuseHandOff answers a request that the HTTP server has no time for.
func (c *Conn) refuseHandOff() {
	if err := c.loop.poller.AddRead(&netpoll.PollAttachment{FD: int(c.fd)}, true); err != nil {
		c.drop(err)
		return
	}
	c.refuse(busy("too many requests wait"))
}

// Accept implements net.Listener.
func (h *httpSide) Accept() (net.Conn, error) {
	for {
		select {
		case hc := <-h.queue:
			if err := hc.open(); err != nil {
				hc.abandon()
				continue
			}
			if hc.tls != nil {
				return tlsHTTPConn{hc}, nil
			}
			return hc, nil
		case <-h.listening:
			return nil, net.ErrClosed
		}
	}
}

// Addr implements net.Listener.
func (h *httpSide) Addr() net.Addr { return h.addr }

// Close implements net.Listener.
func (h *httpSide) Close() error {
	h.closing.Do(func() { close(h.listening) })
	return nil
}

// abandonQueue closes what nobody will accept any more. The loops have ended.
func (h *httpSide) abandonQueue() {
	for {
		select {
		case hc := <-h.queue:
			hc.abandon()
		default:
			return
		}
	}
}

// An httpConn is a connection with the HTTP server: its socket, and first the bytes
// that its loop had read.
type httpConn struct {
	net.Conn // the socket, or the tls.Conn on it; nil before open
	engine   *Engine
	fd       int
	tls      *tlsLayer // nil in plain text

	mu   sync.Mutex
	head *frame.Buffer // nil once read
	read int           // bytes of head that have been read

	closing sync.Once
}

// open makes a net.Conn of the descriptor.
func (c *httpConn) open() error {
	f := os.NewFile(uintptr(c.fd), "socket")
	defer f.Close()
	var err error
	c.Conn, err = net.FileConn(f)
	if err != nil {
		c.fd = -1
		return err
	}
	if c.tls != nil {
		c.tls.wire.socket, c.Conn = c.Conn, c.tls.conn
	}
	return nil
}

// abandon gives up a connection before or while it is opened.
func (c *httpConn) abandon() {
	if c.fd >= 0 {
		closeSocket(c.fd)
	}
	c.head.Release()
	c.engine.release(true)
}

// Read reads the bytes that came with the request first.
func (c *httpConn) Read(p []byte) (int, error) {
	if n := c.readHead(p); n > 0 {
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *httpConn) readHead(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == nil {
		return 0
	}
	n := copy(p, c.head.B[c.read:])
	c.read += n
	if c.read == len(c.head.B) {
		c.head.Release()
		c.head = nil
	}
	return n
}

// appendHead appends what has not been read of the bytes that came with the request.
func (c *httpConn) appendHead(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head != nil {
		dst = append(dst, c.head.B[c.read:]...)
	}
	return dst
}

// Close closes the socket, once.
func (c *httpConn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		err = c.Conn.Close()
		c.engine.release(true)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.head.Release()
		c.head = nil
	})
	return err
}

// CloseWrite ends our side of the stream: net/http does that before it closes a
// connection on which bytes may still be arriving.
func (c *httpConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn implements syscall.Conn, so that ServeHTTP can take the socket back.
func (c *httpConn) SyscallConn() (syscall.RawConn, error) {
	socket := c.Conn
	if c.tls != nil {
		socket = c.tls.wire.socket
	}
	if s, ok := socket.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// takeTLS returns the TLS of the connection, nil in plain text. Close then closes the
// socket only.
func (c *httpConn) takeTLS() *tlsLayer {
	t := c.tls
	if t != nil {
		c.tls = nil
		c.Conn, t.wire.socket = t.wire.socket, nil
	}
	return t
}

// A tlsHTTPConn is an httpConn with TLS: net/http asks for its state.
type tlsHTTPConn struct{ *httpConn }

// ConnectionState describes the TLS connection.
func (c tlsHTTPConn) ConnectionState() tls.ConnectionState { return *c.tls.state() }
