package engine

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/weirws/weir/handler"
)

// ServeHTTP makes the engine an http.Handler for an existing net/http server: an
// upgrade is hijacked and its socket enrolled in one of the engine's loops, after
// which net/http has no part in it any more. The path that counts is r.URL.Path, so
// http.StripPrefix works; header fields come to OnOpen in canonical case and in
// no particular order. Requests that the routes refuse are answered through w.
//
// The engine must be running; otherwise the answer is 503. HTTP/2 cannot be enrolled
// (505), nor can TLS (501): a tls.Conn reads from the socket it was made with, and waits
// there, so a loop cannot feed it. Let the engine listen itself, with Options.TLS.
//
// A ResponseWriter that wraps that of net/http needs an Unwrap or Hijack method (500), and
// connections of a listener other than those of package net have to be a syscall.Conn (503).
// Both are logged.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.takeOver(w, r, false) }

// takeOver is ServeHTTP, also for connections that have come from a loop of an engine:
// their TLS was fed by one.
func (e *Engine) takeOver(w http.ResponseWriter, r *http.Request, fromLoop bool) {
	head := requestHead(r)
	parsed, err := handler.ParseRequest(head)
	if err != nil {
		answer(w, err)
		return
	}
	if _, refusal := e.options.Mux.Decide(parsed, e.policy()); refusal != nil {
		e.count.refused(refusal.Status)
		if r.ContentLength != 0 { // net/http would wait for the body, before the answer and behind it
			w.Header().Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		}
		answer(w, refusal)
		return
	}
	if r.TLS != nil && !fromLoop {
		answer(w, handler.Refuse(http.StatusNotImplemented, "the engine does not take over TLS connections"))
		return
	}
	if e.phase.Load() != phaseRunning {
		answer(w, handler.Refuse(http.StatusServiceUnavailable, "the engine is not running"))
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		e.logFault("enrolling a connection failed", err)
		answer(w, handler.Refuse(http.StatusInternalServerError, "the connection cannot be taken over"))
		return
	}
	defer conn.Close()
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	head = append(head, early...)
	hc := ownConn(conn)
	if hc != nil {
		head = hc.appendHead(head)
	}
	fd, err := socketOf(conn)
	if err != nil {
		e.logFault("enrolling a connection failed", err)
		_, _ = conn.Write(busyResponse)
		return
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	var layer *tlsLayer
	if hc != nil {
		layer = hc.takeTLS()
	}
	_ = conn.Close() // its place is free for the connection that takes it
	e.enrol(fd, from, head, layer)
}

// socketOf returns a descriptor of our own for the socket of a connection.
func socketOf(conn net.Conn) (int, error) {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("engine: a %T does not tell its socket, as a syscall.Conn does", conn)
	}
	return duplicate(s)
}

// ownConn is conn if that has come from a loop, otherwise nil.
func ownConn(conn net.Conn) *httpConn {
	switch conn := conn.(type) {
	case *httpConn:
		return conn
	case tlsHTTPConn:
		return conn.httpConn
	}
	return nil
}

// enrol gives a socket, from which head has been read already, to a loop. layer is its
// TLS, nil in plain text.
func (e *Engine) enrol(fd int, from netip.AddrPort, head []byte, layer *tlsLayer) {
	e.sockets.Add(1)
	l := e.nextLoop()
	posted := l.do(func() {
		switch c := l.begin(fd, from); {
		case c.fd < 0:
		case layer != nil:
			c.tls = layer
			c.unsealBehind(head)
		default:
			c.consume(head)
		}
	})
	if !posted {
		closeSocket(fd)
		e.release(false)
	}
}

// nextLoop gives the loops their turns.
func (e *Engine) nextLoop() *loop { return e.loops[e.turnTaken.Add(1)%uint64(len(e.loops))] }

// isOurs reports whether a request belongs to the routes: an upgrade, or anything
// else on the path of a WebSocket handler.
func (e *Engine) isOurs(r *http.Request) bool {
	parsed, err := handler.ParseRequest(requestHead(r))
	if err != nil {
		return false
	}
	return parsed.IsUpgrade() || e.isRoute(parsed.Path)
}

// isRoute reports whether path has a route of its own.
func (e *Engine) isRoute(path string) bool {
	route, ok := e.options.Mux.Match(path)
	return ok && route.Path != "*"
}

// requestHead writes a parsed request down again, as the loops take it. The
// target is the one received unless a handler in between has changed the URL.
func requestHead(r *http.Request) []byte {
	target := r.RequestURI
	if u, err := url.ParseRequestURI(target); err != nil || u.Path != r.URL.Path {
		target = r.URL.RequestURI()
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/%d.%d\r\nHost: %s\r\n", r.Method, target, r.ProtoMajor, r.ProtoMinor, r.Host)
	if len(r.TransferEncoding) > 0 { // which net/http has taken out of the fields
		fmt.Fprintf(&b, "Transfer-Encoding: %s\r\n", strings.Join(r.TransferEncoding, ", "))
	}
	_ = r.Header.Write(&b)
	b.WriteString("\r\n")
	return b.Bytes()
}

// answer writes a refusal through net/http.
func answer(w http.ResponseWriter, err error) {
	var refusal *handler.Refusal
	if !errors.As(err, &refusal) {
		refusal = &handler.Refusal{Status: http.StatusInternalServerError}
	}
	maps.Copy(w.Header(), refusal.Header)
	w.WriteHeader(refusal.Status)
	_, _ = w.Write(refusal.Body)
}
