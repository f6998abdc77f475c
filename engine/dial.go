package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/weirws/weir/handler"
)

// Found with errors.Is in the errors of Dial. Besides these there are
// *HandshakeError, the errors of the system, such as syscall.ECONNREFUSED, those of
// name look-up, such as *net.DNSError, and those of TLS, such as
// *tls.CertificateVerificationError.
var (
	// ErrBadURL: the URL is not one of RFC 6455 section 3.
	ErrBadURL = errors.New("engine: bad WebSocket URL")
	// ErrBadDialOptions: what DialOptions ask for cannot be sent, or not from there.
	ErrBadDialOptions = errors.New("engine: bad dial options")
	// ErrTooManyConnections: the engine holds Options.MaxConnections.
	ErrTooManyConnections = errors.New("engine: too many connections")
	// ErrHandshakeTimeout: DialOptions.HandshakeTimeout has passed.
	ErrHandshakeTimeout = errors.New("engine: opening handshake took too long")
	// ErrProxy: the proxy's URL is not one that can be used.
	ErrProxy = errors.New("engine: proxy cannot be used")
)

// DialOptions configure one outgoing connection. The zero value works.
type DialOptions struct {
	// Header is sent with the opening handshake, besides the fields of the handshake
	// itself, which must not be in it: Connection, Upgrade, Origin, Sec-WebSocket-*,
	// and those that announce a body. A Host replaces the one of the URL.
	Header http.Header
	// Subprotocols are offered in this order. The server need not choose one.
	Subprotocols []string
	// Origin is sent as it is; only browsers have to. Default: none.
	Origin string
	// HandshakeTimeout bounds the time from the call to the server's whole response:
	// name look-up, connecting and proxy included. An address that does not answer
	// gets its share of it. It is kept to a tick of the engine, at most a quarter of
	// a second, and is 20 days at most. Default: Options.HeaderTimeout.
	HandshakeTimeout time.Duration
	// LocalAddr is the address to connect from. Default: the system's choice.
	LocalAddr netip.Addr
	// UnixSocket is the path of a unix socket to connect to, whatever the host of the
	// URL, and without a proxy.
	UnixSocket string
	// TLSConfig is for wss: authorities, certificates of the client, a cache of sessions to
	// resume. It is cloned. Its ServerName is by default the host of the URL.
	TLSConfig *tls.Config
	// Proxy returns the proxy to use, nil for none; it must not block, and a panic in it is
	// an error of Dial. The request it gets has nothing but a URL, of scheme http for ws and
	// https for wss. Proxies with scheme http are supported, by way of the CONNECT method.
	// Default: http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
}

// A HandshakeError is a server, or a proxy, that has answered the opening handshake
// with something else than a correct response of status 101 (RFC 6455 section 4.1).
type HandshakeError struct {
	Status int         // of the response; 0 if it was none
	Header http.Header // of the response; nil if it could not be parsed
	Body   []byte      // at most the first KiB
	Reason string      // what is wrong
}

// Error tells the reason and the status.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("engine: opening handshake failed: %s (status %d)", e.Reason, e.Status)
}

// Dial opens a connection to a WebSocket server, and returns when it is open, which
// is after h's OnOpen, or has failed; then h has not been called, or has refused the
// connection in OnOpen. The engine must have been started; one that has nothing else
// to do is made with Options.NoListen. The connection lives on one of its loops and is
// in its Hub, under the path of the URL. Mode, Deflate and all bounds of Options hold
// for it as for others.
//
// rawURL is ws://host:port/path?query, or wss for TLS. Names are looked up, and their addresses tried
// in order. Redirects are not followed: they are a *HandshakeError, as is every status
// but 101.
//
// The Request that OnOpen gets is the one that was sent, with the Header of the
// server's response, the Subprotocol that the server chose, and as RemoteAddr the
// server's address or the proxy's. If OnOpen returns an error the connection is closed
// with 1001 (1011 after a panic), and the error is that of Dial.
//
// When ctx ends first, Dial returns its error and gives up the connection, which is
// closed with 1001 if OnOpen has accepted it meanwhile; Shutdown waits for that, and Close
// does not. Dial must not be called on an event
// loop, which is by handlers in mode OnLoop; in mode Service it needs another
// goroutine that calls Service.
func (e *Engine) Dial(ctx context.Context, rawURL string, h handler.Handler, o DialOptions) (*Conn, error) {
	type outcome struct {
		conn *Conn
		err  error
	}
	if err := ctx.Err(); err != nil {
		return nil, dialError(rawURL, err)
	}
	result := make(chan outcome, 1)
	d := e.dial(rawURL, h, o, func(c *Conn, err error) { result <- outcome{c, err} })
	select {
	case r := <-result:
		return r.conn, r.err
	case <-ctx.Done():
		if d != nil && d.giveUp(ctx.Err()) {
			return nil, dialError(rawURL, ctx.Err())
		}
		r := <-result
		return r.conn, r.err
	}
}

// DialAsync is Dial without waiting, and without a goroutine for each connection. done
// is called exactly once, with what Dial would return: before DialAsync returns if the
// arguments are wrong or the engine does not run, otherwise on a goroutine of the
// engine, which it must not block. In mode OnLoop it comes between OnOpen and the
// first OnMessage; in others these do not wait for it. A panic in it is logged, and closes
// the connection with 1011.
func (e *Engine) DialAsync(rawURL string, h handler.Handler, o DialOptions, done func(*Conn, error)) {
	e.dial(rawURL, h, o, done)
}

// dial starts a connection. It returns nil if done has been called with an error.
func (e *Engine) dial(rawURL string, h handler.Handler, o DialOptions, done func(*Conn, error)) *dialing {
	d, err := e.newDialing(rawURL, h, o, done)
	if err == nil {
		err = e.admitDialing()
	}
	if err != nil {
		done(nil, dialError(rawURL, err))
		return nil
	}
	d.locate()
	return d
}

// admitDialing counts a connection that is to be made.
func (e *Engine) admitDialing() error {
	if e.phase.Load() != phaseRunning {
		return ErrClosed
	}
	if e.active.Add(1) > int64(e.options.MaxConnections) {
		e.active.Add(-1)
		return ErrTooManyConnections
	}
	e.sockets.Add(1)
	return nil
}

// dialError says what was dialled.
func dialError(rawURL string, err error) error {
	return fmt.Errorf("engine: dial %s: %w", withoutQuery(rawURL), err)
}

// withoutQuery is a URL without what may hold a secret.
func withoutQuery(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "malformed URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// callBack calls a function of the application where there is no connection that its panic
// could end.
func (e *Engine) callBack(rawURL string, f func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		e.logPanic(recover(), slog.String("url", withoutQuery(rawURL)))
	}()
	f()
	returned = true
}
