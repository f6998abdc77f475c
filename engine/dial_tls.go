package engine

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// isConnected reports whether the socket is connected, on which nothing has been written
// yet to tell. If it is not the connection is lost, or waits on.
func (c *Conn) isConnected() bool {
	if code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
		c.lost(unix.Errno(code))
		return false
	}
	if _, err := unix.Getpeername(int(c.fd)); err != nil {
		c.block()
		return false
	}
	return true
}

// clientConfig is the configuration of a connection to a server called name.
func (o *DialOptions) clientConfig(name string) *tls.Config {
	c := new(tls.Config)
	if o.TLSConfig != nil {
		c = o.TLSConfig.Clone()
	}
	name, _, _ = strings.Cut(name, "%") // a zone is no part of what a certificate is for
	c.ServerName = cmp.Or(c.ServerName, name)
	c.Renegotiation = tls.RenegotiateNever // a loop cannot wait for a second handshake
	speakHTTP11(c)
	return c
}

// secure begins the TLS handshake with the server. early is what has arrived already.
func (c *Conn) secure(early []byte) {
	if len(early) > 0 {
		c.tls.wire.keep(early)
	}
	c.queueHandshake()
}

// secured goes on with a connection to a server whose TLS handshake is over.
func (c *Conn) secured(err error) {
	if err != nil {
		c.drop(fmt.Errorf("TLS handshake: %w", err))
		return
	}
	c.request(c.client.dialing.opening.bytes)
}

// hungUpShaking leaves it to the TLS handshake to find out why the server has ended the
// stream: an alert may say. It reports false if there is no handshake.
func (c *Conn) hungUpShaking() bool {
	if c.tls == nil || c.tls.phase != tlsQueued && c.tls.phase != tlsShaking {
		return false
	}
	c.tls.wire.end()
	c.unread = true // the end of the stream, for when the handshake succeeds all the same
	return true
}
