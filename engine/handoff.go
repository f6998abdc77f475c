package engine

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	handedOffAtMost = 1024 // connections that wait for the HTTP server to take them
	httpIdleTimeout = 2 * time.Minute
)

// An httpSide serves the requests that are no upgrade on a standard net/http
// server. It is the listener of that server: what it accepts are connections that
// leave their loop.
type httpSide struct {
	server  *http.Server
	addr    net.Addr
	waiting atomic.Int32 // connections in the queue, or about to be
	queue   chan *httpConn
	ended   chan struct{} // closed when Serve has returned

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
	hc, refusal := e.http.open(c)
	if refusal != nil {
		e.active.Add(-1)
		c.refuse(refusal)
		return
	}
	e.count.handedOff.Add(1)
	c.hs.bytes = nil // the HTTP side has it
	c.dropHandshake()
	c.state = stateGone
	fd := int(c.fd)
	// The HTTP server has another descriptor of the socket, so closing this one does not
	// take it out of the poller.
	_ = l.poller.Delete(fd)
	l.remove(c)
	closeSocket(fd)
	e.http.queue <- hc // has room for all that wait
	select {
	case <-e.http.listening:
		// The server may have looked there for the last time. To close a connection with TLS may
		// take seconds; the engine waits for its socket.
		go e.http.abandonQueue()
	default:
	}
}

// open makes a net.Conn of a connection, which is refused if too many wait, or there is no
// descriptor for it.
func (h *httpSide) open(c *Conn) (*httpConn, *handler.Refusal) {
	if h.waiting.Add(1) > handedOffAtMost {
		h.waiting.Add(-1)
		return nil, busy("too many requests wait")
	}
	socket, err := socketConn(int(c.fd))
	if err != nil {
		h.waiting.Add(-1)
		return nil, busy("no descriptor is free")
	}
	hc := &httpConn{Conn: socket, engine: c.loop.engine, head: c.hs.bytes, tls: c.tls}
	if hc.tls != nil {
		hc.tls.leaveLoop()
		hc.tls.wire.socket, hc.Conn = socket, hc.tls.conn
	}
	return hc, nil
}

// socketConn makes a net.Conn, with a descriptor of its own, of a socket.
func socketConn(fd int) (net.Conn, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(own), "socket")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		_ = unix.SetNonblock(fd, true) // which it may have undone
		return nil, err
	}
	return conn, nil
}

// Accept implements net.Listener.
func (h *httpSide) Accept() (net.Conn, error) {
	select {
	case hc := <-h.queue:
		return h.accepted(hc), nil
	case <-h.listening:
	}
	select {
	case hc := <-h.queue: // it was there first
		return h.accepted(hc), nil
	default:
		return nil, net.ErrClosed
	}
}

func (h *httpSide) accepted(hc *httpConn) net.Conn {
	h.waiting.Add(-1)
	if hc.tls != nil {
		return tlsHTTPConn{hc}
	}
	return hc
}

// Addr implements net.Listener.
func (h *httpSide) Addr() net.Addr { return h.addr }

// Close implements net.Listener.
func (h *httpSide) Close() error {
	h.closing.Do(func() { close(h.listening) })
	return nil
}

// abandonQueue closes what nobody will accept.
func (h *httpSide) abandonQueue() {
	for {
		select {
		case hc := <-h.queue:
			_ = hc.Close()
		default:
			return
		}
	}
}

// An httpConn is a connection with the HTTP server: its socket, and first the bytes
// that its loop had read.
type httpConn struct {
	net.Conn // the socket, or the tls.Conn on it
	engine   *Engine
	tls      *tlsLayer // nil in plain text

	mu   sync.Mutex
	head *frame.Buffer // nil once read
	read int           // bytes of head that have been read

	closing sync.Once
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
