package engine

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/handler"
)

// A dialing is a connection on its way from DialAsync to the server's response.
type dialing struct {
	// Immutable.
	engine     *Engine
	url        string
	handler    handler.Handler
	done       func(*Conn, error)
	opening    opening
	loop       *loop
	via        endpoint    // where to connect: the server or its proxy
	tls        *tls.Config // nil for ws
	localAddr  netip.Addr
	unixSocket string
	began      time.Duration // as Engine.elapsed
	timeout    time.Duration

	settled atomic.Bool // done has been called, or will not be

	// Owned by the loop.
	conn      *Conn            // of the latest attempt; nil before the first
	addrs     []netip.AddrPort // still to be tried; the zero value is the unix socket
	failure   error            // of the first attempt, or why there is none
	connected bool             // and the request is sent
	tunnel    []byte           // the CONNECT request; nil without a proxy, or once that has accepted
	bodyBytes int              // to be waited for behind the header of a refusal
	chunked   bool             // that body is
}

// newDialing checks what Dial was called with.
func (e *Engine) newDialing(rawURL string, h handler.Handler, o DialOptions, done func(*Conn, error)) (*dialing, error) {
	if h == nil {
		return nil, handler.ErrNilHandler
	}
	u, to, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	own, err := newOpening(u, to, &o, e.options.Deflate)
	if err != nil {
		return nil, err
	}
	d := &dialing{
		engine: e, url: rawURL, handler: h, done: done, opening: own,
		via: to, localAddr: o.LocalAddr.Unmap(), unixSocket: o.UnixSocket,
		began: e.elapsed(), timeout: o.HandshakeTimeout,
	}
	if u.Scheme == "wss" {
		d.tls = o.clientConfig(to.host)
	}
	if d.timeout == 0 {
		d.timeout = e.options.HeaderTimeout
	}
	if d.timeout < 0 || d.timeout > longestTimeout {
		return nil, fmt.Errorf("%w: HandshakeTimeout is %v; it is above 0 and at most %v", ErrBadDialOptions, d.timeout, longestTimeout)
	}
	if o.UnixSocket != "" {
		return d, nil
	}
	return d, d.chooseProxy(u, to, o.Proxy)
}

// chooseProxy asks which proxy leads to the server, and prepares for it.
func (d *dialing) chooseProxy(u *url.URL, to endpoint, choose func(*http.Request) (*url.URL, error)) error {
	if choose == nil {
		choose = http.ProxyFromEnvironment
	}
	asked := *u
	asked.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	var proxy *url.URL
	err := fmt.Errorf("%w in Proxy", handler.ErrPanic)
	d.engine.callBack(d.url, func() {
		proxy, err = choose(&http.Request{Method: http.MethodGet, URL: &asked, Host: asked.Host, Header: make(http.Header)})
	})
	if err != nil || proxy == nil {
		return err
	}
	if proxy.Scheme != "http" {
		return fmt.Errorf("%w: its scheme is %q, not http", ErrProxy, proxy.Scheme)
	}
	if d.via, err = endpointOf(proxy); err != nil {
		return fmt.Errorf("%w: %w", ErrProxy, err)
	}
	credentials := ""
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		credentials = "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	d.tunnel = fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", to, to, credentials)
	return nil
}

// locate finds the addresses to connect to and starts on a loop of its own choice. The
// connection is counted already.
func (d *dialing) locate() {
	e := d.engine
	d.loop = e.loops[e.turnTaken.Add(1)%uint64(len(e.loops))]
	if d.unixSocket != "" {
		d.addrs = make([]netip.AddrPort, 1)
		d.start(nil, nil)
		return
	}
	if addr, err := netip.ParseAddr(d.via.host); err == nil {
		d.start([]netip.Addr{addr}, nil)
		return
	}
	// Only the loops keep deadlines, and no loop knows of the connection yet.
	expiry := time.AfterFunc(d.timeout, func() { d.report(ErrHandshakeTimeout) })
	e.resolver.lookUp(d.via.host, func(addrs []netip.Addr, err error) {
		expiry.Stop()
		d.start(addrs, err)
	})
}

// start hands the connection to its loop. err is why there are no addresses.
func (d *dialing) start(addrs []netip.Addr, err error) {
	d.failure = err
	port, _ := strconv.ParseUint(d.via.port, 10, 16)
	for _, addr := range addrs {
		addr = addr.Unmap()
		if !d.localAddr.IsValid() || d.localAddr.Is4() == addr.Is4() {
			d.addrs = append(d.addrs, netip.AddrPortFrom(addr, uint16(port)))
		}
	}
	if err == nil && len(d.addrs) == 0 {
		d.failure = fmt.Errorf("%w: no address of the server is of the family of LocalAddr %v", ErrBadDialOptions, d.localAddr)
	}
	if !d.loop.do(d.attempt) {
		d.fail(ErrClosed)
	}
}

// settle claims the right to call done, which only one has.
func (d *dialing) settle() bool { return !d.settled.Swap(true) }

// fail ends a dialing that has no socket, from any goroutine.
func (d *dialing) fail(err error) {
	d.engine.release(true)
	d.report(err)
}

// report tells the caller that there is no connection, unless that is clear already.
func (d *dialing) report(err error) {
	if d.settle() {
		d.engine.callBack(d.url, func() { d.done(nil, dialError(d.url, err)) })
	}
}

// giveUp is called when the caller does not want the connection any more. It reports
// whether done will not be called.
func (d *dialing) giveUp(err error) bool {
	if !d.settle() {
		return false
	}
	d.loop.do(func() {
		if c := d.conn; c != nil && c.state == stateDialing {
			c.drop(err)
		}
	})
	return true
}
