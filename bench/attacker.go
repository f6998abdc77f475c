package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// What a server does with an attacker, besides close codes and statuses of HTTP.
const (
	keptOpen      = "kept open"
	keptAnswering = "kept open and answered"
	wasReset      = "reset"
	hungUp        = "hung up"
	noDeflate     = "no compression to attack"
)

// An attacker is one connection that does not behave.
type attacker struct {
	kind   *attack
	target *url.URL
	from   netip.Addr // zero: the system's choice
	trust  *tls.Config
	until  time.Time // when it is over
	grace  time.Duration
	ctx    context.Context // ends it earlier

	socket   net.Conn // closed without the farewell of TLS, for which a full socket has no room
	conn     net.Conn
	reader   *bufio.Reader
	begun    int64 // when the attack began; 0: it has not
	written  uint64
	answered bool // with a message
}

// An outcome is what the server did with one attacker.
type outcome struct {
	what     string // "" if there was no time to see
	attacked bool   // the attack was carried out
	open     bool   // the connection was still there at the end
	ended    bool   // the server has ended it, after took nanoseconds
	took     int64
	bytes    uint64 // that could be written
}

// attack does it all: it opens the connection, attacks, and watches.
func (a *attacker) attack() outcome {
	if err := a.connect(); err != nil {
		return a.refused("no connection: " + failureCause(err))
	}
	defer a.socket.Close()
	defer context.AfterFunc(a.ctx, func() { _ = a.socket.Close() })()
	_ = a.conn.SetDeadline(a.until) // fails on a closed connection, which reading tells
	a.reader = bufio.NewReader(a.conn)
	if !a.kind.handshake {
		if refusal := a.open(); refusal != "" {
			return a.refused(refusal)
		}
	}
	a.begun = now()
	sent := make(chan error, 1)
	go func() { sent <- a.kind.send(a) }() // ends with the connection, and is awaited
	var early error
	if a.kind.deaf {
		early = <-sent
	}
	o := a.watch(early)
	_ = a.socket.Close()
	if !a.kind.deaf {
		<-sent
	}
	o.attacked, o.bytes = true, a.written
	if a.ctx.Err() != nil {
		o = outcome{bytes: a.written}
	}
	return o
}

// refused is the outcome where there was nothing to attack.
func (a *attacker) refused(why string) outcome {
	if a.ctx.Err() != nil {
		why = ""
	}
	return outcome{what: why}
}

// connect opens the stream.
func (a *attacker) connect() error {
	d := net.Dialer{Deadline: a.until}
	if a.from.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: a.from.AsSlice()}
	}
	host, port := a.target.Hostname(), a.target.Port()
	isSecure := a.target.Scheme == "wss"
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[isSecure]
	}
	conn, err := d.DialContext(a.ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	a.socket, a.conn = conn, conn
	if !isSecure {
		return nil
	}
	trust := a.trust.Clone()
	trust.ServerName = host
	secured := tls.Client(conn, trust)
	ctx, cancel := context.WithDeadline(a.ctx, a.until)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return err
	}
	a.conn = secured
	return nil
}

// request is a correct opening handshake.
func (a *attacker) request() []byte {
	text := "GET " + a.target.RequestURI() + " HTTP/1.1\r\nHost: " + a.target.Host +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if a.kind.deflate {
		text += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	return []byte(text + "\r\n")
}

// open does the opening handshake, and says why that failed.
func (a *attacker) open() (refusal string) {
	if _, err := a.conn.Write(a.request()); err != nil {
		return "no handshake: " + endCause(err)
	}
	response, err := http.ReadResponse(a.reader, nil)
	switch {
	case err != nil:
		return "no handshake: " + endCause(err)
	case response.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Sprintf("status %d", response.StatusCode)
	case a.kind.deflate && !strings.Contains(response.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"):
		return noDeflate
	}
	return ""
}

// write sends p.
func (a *attacker) write(p []byte) error {
	if a.written+uint64(len(p)) > mostHostileBytes+uint64(len(zeros)) {
		return errEnough
	}
	n, err := a.conn.Write(p)
	a.written += uint64(n)
	return err
}

// drip sends p again and again, one byte at a time.
func (a *attacker) drip(p []byte) error {
	for i := 0; ; i++ {
		if err := a.write(p[i%len(p):][:1]); err != nil {
			return err
		}
		select {
		case <-a.ctx.Done():
			return a.ctx.Err()
		case <-time.After(betweenBytes):
		}
	}
}

// watch reads what the server says until it ends the connection or the time is over. What
// an attacker without ears has missed it reads first, for a moment. early is why that one
// could not go on.
func (a *attacker) watch(early error) outcome {
	gone := int64(0)
	if a.kind.deaf {
		if early != nil && !errors.Is(early, os.ErrDeadlineExceeded) && !errors.Is(early, errEnough) {
			gone = now()
		}
		_ = a.conn.SetReadDeadline(time.Now().Add(a.grace))
	}
	read := a.readFrames
	if a.kind.handshake {
		read = a.readStatus
	}
	what, err := read()
	if gone == 0 {
		gone = now()
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && a.answered:
		return outcome{what: keptAnswering, open: true}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return outcome{what: keptOpen, open: true}
	case err != nil:
		what = endCause(err)
	}
	return outcome{what: what, ended: true, took: gone - a.begun}
}

// endCause says what an error of reading means.
func endCause(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return hungUp
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return wasReset
	}
	return failureCause(err)
}

// readStatus returns the status of the response to an opening handshake.
func (a *attacker) readStatus() (string, error) {
	response, err := http.ReadResponse(a.reader, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("status %d", response.StatusCode), nil
}

// readFrames reads frames up to the close frame, and returns its code.
func (a *attacker) readFrames() (string, error) {
	for {
		first, length, err := a.readHeader()
		if err != nil {
			return "", err
		}
		if first != finClose {
			if _, err := io.CopyN(io.Discard, a.reader, int64(length)); err != nil {
				return "", err
			}
			const control = 0x08
			a.answered = a.answered || first&control == 0
			continue
		}
		var code [2]byte
		if length < uint64(len(code)) {
			return "closed without a code", nil
		}
		if _, err := io.ReadFull(a.reader, code[:]); err != nil {
			return "", err
		}
		return fmt.Sprintf("closed with %d", binary.BigEndian.Uint16(code[:])), nil
	}
}

// readHeader reads the header of a frame of the server, which is not masked.
func (a *attacker) readHeader() (first byte, payloadBytes uint64, err error) {
	var h [10]byte
	if _, err := io.ReadFull(a.reader, h[:2]); err != nil {
		return 0, 0, err
	}
	switch h[1] {
	case 126:
		_, err = io.ReadFull(a.reader, h[2:4])
		payloadBytes = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		_, err = io.ReadFull(a.reader, h[2:])
		payloadBytes = binary.BigEndian.Uint64(h[2:]) &^ (1 << 63)
	default:
		payloadBytes = uint64(h[1])
	}
	return h[0], payloadBytes, err
}
