package engine

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const reportedBodyBytes = 1 << 10 // of a response that refuses the handshake

// readResponse gathers the response to a request of ours, the proxy's or the server's,
// and acts on it once it is whole.
func (c *Conn) readResponse(in []byte) {
	hs := c.hs
	if hs.bytes == nil {
		hs.bytes = frame.NewBuffer(len(in))
	}
	hs.bytes.Append(in)
	for c.state == stateDialing && hs.size == 0 && c.findHeader() {
		c.takeResponse()
	}
	if c.state == stateDialing && hs.size > 0 && c.refusalArrived() {
		c.drop(c.refusal())
	}
}

// findHeader looks for the end of the response's header and sets hs.size if it is
// there. A response that cannot become one fails the connection.
func (c *Conn) findHeader() bool {
	const begin = "HTTP/1."
	hs := c.hs
	have := hs.bytes.B
	if first := have[:min(len(have), len(begin))]; !strings.HasPrefix(begin, string(first)) {
		c.drop(&HandshakeError{Reason: "the response is not HTTP/1"})
		return false
	}
	i := bytes.Index(have[hs.scanned:], headerEnd)
	size := hs.scanned + i + len(headerEnd)
	if most := c.loop.engine.options.MaxHeaderBytes; i < 0 && len(have) > most || size > most {
		c.drop(&HandshakeError{Reason: "response header too large"})
		return false
	}
	if i < 0 {
		hs.scanned = max(0, len(have)-len(headerEnd)+1)
		return false
	}
	hs.size = size
	return true
}

// takeResponse acts on a response whose header is whole. hs.size stays set only if
// the response is a refusal, whose body is to be waited for.
func (c *Conn) takeResponse() {
	hs, d := c.hs, c.client.dialing
	line, fields, _ := strings.Cut(string(hs.bytes.B[:hs.size]), "\r\n")
	status := parseStatusLine(line)
	switch {
	case status == 0:
		c.drop(&HandshakeError{Reason: "malformed status line"})
	case status == http.StatusSwitchingProtocols && d.tunnel == nil:
		c.takeAcceptance(fields)
	case status >= 200 && status < 300 && d.tunnel != nil:
		d.tunnel = nil
		c.cutResponse()
		c.tunnelled()
	case status < 200 && status != http.StatusSwitchingProtocols:
		c.cutResponse() // RFC 9110 section 15.2: the final response follows
	default:
		d.expectRefusal(hs.bytes.B[:hs.size])
	}
}

// tunnelled goes on with a server that the proxy leads to.
func (c *Conn) tunnelled() {
	d := c.client.dialing
	if d.tls == nil {
		c.request(d.opening.bytes)
		return
	}
	early := c.hs.bytes.B
	c.hs.bytes.B = early[:0]
	c.tls = new(tlsLayer)
	c.secure(early)
}

// cutResponse throws a response away that another one follows.
func (c *Conn) cutResponse() {
	hs := c.hs
	hs.bytes.B = hs.bytes.B[:copy(hs.bytes.B, hs.bytes.B[hs.size:])]
	hs.size, hs.scanned = 0, 0
}

// parseStatusLine returns the status (RFC 9112 section 4), 0 if the line is malformed.
func parseStatusLine(line string) int {
	version, rest, _ := strings.Cut(line, " ")
	number, _, _ := strings.Cut(rest, " ")
	status, err := strconv.ParseUint(number, 10, 16)
	if len(version) != len("HTTP/1.1") || version[7] < '0' || version[7] > '9' || len(number) != 3 || err != nil || status < 100 {
		return 0
	}
	if version[7] == '0' && status == http.StatusSwitchingProtocols {
		return 0 // RFC 6455 section 4.2.2: HTTP/1.1 at least, before which there is no upgrade
	}
	return int(status)
}

// takeAcceptance checks the server's response of status 101 and hands it to OnOpen.
func (c *Conn) takeAcceptance(fields string) {
	e, hs, d := c.loop.engine, c.hs, c.client.dialing
	// The fields of a response are parsed like those of a request of HTTP/1.0, which
	// needs none.
	response, err := handler.ParseRequest([]byte("GET / HTTP/1.0\r\n" + fields))
	if err != nil {
		c.drop(&HandshakeError{Status: http.StatusSwitchingProtocols, Reason: refusalReason(err)})
		return
	}
	subprotocol, deflate, reason := d.checkAcceptance(response.Header)
	if reason != "" {
		c.drop(&HandshakeError{Status: http.StatusSwitchingProtocols, Header: fieldsOf(response.Header), Reason: reason})
		return
	}
	r := *d.opening.request
	r.Header, r.Subprotocol, r.RemoteAddr, r.TLS = response.Header, subprotocol, c.remote.addrPort(), c.tls.state()
	hs.request = &r
	c.id = e.ids.Add(1)
	c.path = e.dialled.enter(r.Path)
	c.setSubprotocol(subprotocol)
	c.outbox.deflate = deflate
	c.startOpening()
}

// checkAcceptance applies RFC 6455 section 4.1 to the fields of a response of status
// 101. It returns what the server chose, or the reason why the handshake has failed.
func (d *dialing) checkAcceptance(h handler.Header) (subprotocol string, deflate frame.Deflate, reason string) {
	const protocol = "websocket"
	// The lengths are compared because a folded rune outside ASCII has another one.
	upgrade := h.Values("Upgrade")
	if len(upgrade) != 1 || len(upgrade[0]) != len(protocol) || !strings.EqualFold(upgrade[0], protocol) {
		return "", deflate, "Upgrade is not websocket"
	}
	if !slices.ContainsFunc(elements(h.Values("Connection")), func(s string) bool { return strings.EqualFold(s, "upgrade") }) {
		return "", deflate, "Connection does not list Upgrade"
	}
	if accept := h.Values("Sec-WebSocket-Accept"); len(accept) != 1 || accept[0] != acceptKey(d.opening.key) {
		return "", deflate, "wrong Sec-WebSocket-Accept"
	}
	if chosen := h.Values("Sec-WebSocket-Protocol"); len(chosen) > 1 || len(chosen) == 1 && !slices.Contains(d.opening.request.Subprotocols, chosen[0]) {
		return "", deflate, "sub-protocol that was not offered"
	} else if len(chosen) == 1 {
		subprotocol = chosen[0]
	}
	extensions := strings.Join(h.Values("Sec-WebSocket-Extensions"), ", ")
	deflate, err := frame.AcceptDeflate(d.engine.options.Deflate, extensions)
	if err != nil {
		return "", deflate, "extension that was not offered, or not so"
	}
	return subprotocol, deflate, ""
}

// elements is the elements of a comma-separated list over several fields.
func elements(values []string) []string {
	all := strings.Split(strings.Join(values, ","), ",")
	for i := range all {
		all[i] = strings.Trim(all[i], " \t")
	}
	return all
}

// fieldsOf is h as net/http has it.
func fieldsOf(h handler.Header) http.Header {
	fields := make(http.Header, h.Len())
	for name, value := range h.All() {
		fields.Add(name, value)
	}
	return fields
}

// expectRefusal decides how much of the body of a response is worth waiting for.
func (d *dialing) expectRefusal(head []byte) {
	d.bodyBytes = 0
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return
	}
	d.chunked = len(response.TransferEncoding) > 0
	d.bodyBytes = reportedBodyBytes
	if response.ContentLength >= 0 {
		d.bodyBytes = int(min(response.ContentLength, reportedBodyBytes))
	}
}

// refusalArrived reports whether so much of the body is there. Without a length the
// body ends with the connection.
func (c *Conn) refusalArrived() bool {
	all, d := c.hs.bytes.B, c.client.dialing
	return len(all)-c.hs.size >= d.bodyBytes || d.chunked && bytes.HasSuffix(all, []byte("\r\n0\r\n\r\n"))
}

// refusal makes an error of a response that refuses the handshake, with what has arrived
// of its body.
func (c *Conn) refusal() *HandshakeError {
	reason := "the server refused"
	if c.client.dialing.tunnel != nil {
		reason = "the proxy refused"
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(c.hs.bytes.B)), nil)
	if err != nil {
		return &HandshakeError{Reason: "malformed response"}
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, reportedBodyBytes))
	return &HandshakeError{Status: response.StatusCode, Header: response.Header, Body: body, Reason: reason}
}
