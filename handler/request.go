package handler

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Request is an opening handshake, or another HTTP request, as the client sent
// it. It refers to nothing of the engine, so the application may keep it.
type Request struct {
	// Method as received; GET for an opening handshake.
	Method string
	// URI is the request target as received.
	URI string
	// Path is the path of URI, percent-decoded. It is "*" for an OPTIONS request
	// to the server as a whole and begins with a slash otherwise.
	Path string
	// RawQuery is the query of URI as received, without the question mark.
	RawQuery string
	// ProtoMinor is the minor HTTP version: 0 for HTTP/1.0, 1 for HTTP/1.1.
	ProtoMinor int
	// Header is the header fields, Host among them.
	Header Header
	// Host is the host and port that the client asked for: from an absolute URI,
	// otherwise from the Host field. It is "" when that is empty, and for HTTP/1.0
	// without the field.
	Host string
	// RemoteAddr is the address of the peer: the zero AddrPort on a unix socket.
	// ParseRequest does not know it; the engine fills it in.
	RemoteAddr netip.AddrPort
	// TLS describes the TLS connection, and is nil in plain text. The engine fills it in.
	TLS *tls.ConnectionState
	// Subprotocols are those the client offers, in its order of preference.
	Subprotocols []string
	// Subprotocol is the one that Mux.Decide chose, "" if none.
	Subprotocol string

	response http.Header // nil until something is set
}

// ParseRequest parses a whole header block: request line, fields, and the empty
// line at the end, all ended by CRLF, and nothing behind it. It copies head.
//
// It is as strict as RFC 9112 demands of a server, and refuses what another
// server on the way may read differently: lines that end otherwise, folded lines,
// space before a colon, names that are no tokens, control characters, and a Host
// that is missing, given twice or malformed. The error is a *Refusal with the
// response to send: 505 for an HTTP version that is not 1.x, otherwise 400. Whether
// the request is a good opening handshake, Mux.Decide says.
func ParseRequest(head []byte) (*Request, error) {
	line, rest, _ := strings.Cut(string(head), "\r\n")
	fields, ended := strings.CutSuffix(rest, "\r\n")
	if !ended {
		return nil, badRequest("header not complete")
	}
	r := &Request{Header: Header{raw: fields}}
	if refusal := r.parseLine(line); refusal != nil {
		return nil, refusal
	}
	if reason := checkFields(fields); reason != "" {
		return nil, badRequest(reason)
	}
	if refusal := r.parseHost(); refusal != nil {
		return nil, refusal
	}
	if refusal := r.parseSubprotocols(); refusal != nil {
		return nil, refusal
	}
	return r, nil
}

// Query parses RawQuery. Malformed parts are left out.
func (r *Request) Query() url.Values {
	values, _ := url.ParseQuery(r.RawQuery)
	return values
}

// IsUpgrade reports whether the request asks for an upgrade to WebSocket: the
// Upgrade field lists websocket and the Connection field lists upgrade, both in
// any case (RFC 6455 section 4.2.1).
func (r *Request) IsUpgrade() bool {
	return r.Header.hasToken("Upgrade", "websocket") && r.Header.hasToken("Connection", "upgrade")
}

// SetHeader sets a field of the response that accepts the connection, and
// replaces those of the same name. It has an effect in OnOpen only. It returns
// ErrBadHeader, and does nothing, if name is not a token, value has control
// characters, or the field is the handshake's own: Connection, Upgrade,
// Sec-WebSocket-*, and those that announce a body.
func (r *Request) SetHeader(name, value string) error {
	return r.changeHeader(http.Header.Set, name, value)
}

// AddHeader is SetHeader without replacing fields of the same name, as is wanted
// for several cookies.
func (r *Request) AddHeader(name, value string) error {
	return r.changeHeader(http.Header.Add, name, value)
}

// ResponseHeader returns the fields that SetHeader and AddHeader gathered, nil if
// there are none. The engine sends them; it is not to be modified.
func (r *Request) ResponseHeader() http.Header { return r.response }

func (r *Request) changeHeader(change func(h http.Header, name, value string), name, value string) error {
	if !isToken(name) || !isFieldValue(value) || isHandshakeField(name) {
		return fmt.Errorf("%w %q", ErrBadHeader, name)
	}
	if r.response == nil {
		r.response = make(http.Header)
	}
	change(r.response, name, value)
	return nil
}

// isHandshakeField reports whether a 101 response has the field called name from
// the engine, or must not have it (RFC 9110 sections 6.4.1 and 8.6).
func isHandshakeField(name string) bool {
	switch name := strings.ToLower(name); name {
	case "connection", "upgrade", "content-length", "transfer-encoding", "trailer":
		return true
	default:
		return strings.HasPrefix(name, "sec-websocket-")
	}
}

// parseLine takes apart the request line (RFC 9112 section 3).
func (r *Request) parseLine(line string) *Refusal {
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	if !isToken(method) || !isTarget(target) {
		return badRequest("bad request line")
	}
	number, ok := strings.CutPrefix(version, "HTTP/")
	if !ok || len(number) != 3 || !isDigit(number[0]) || number[1] != '.' || !isDigit(number[2]) {
		return badRequest("bad HTTP version")
	}
	if number[0] != '1' {
		return Refuse(http.StatusHTTPVersionNotSupported, "HTTP/1.1 needed")
	}
	r.Method, r.URI, r.ProtoMinor = method, target, int(number[2]-'0')
	return r.parseTarget()
}

// parseTarget takes Path, RawQuery and, from an absolute URI, Host out of URI
// (RFC 9112 section 3.2). The forms are /path?query, scheme://host/path?query
// and, for OPTIONS, an asterisk.
func (r *Request) parseTarget() *Refusal {
	if r.URI == "*" && r.Method == http.MethodOptions {
		r.Path = "*"
		return nil
	}
	target := r.URI
	if target[0] != '/' {
		scheme, rest, _ := strings.Cut(target, "://")
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if !isWebScheme(scheme) || end == 0 || !isHost(rest[:end]) {
			return badRequest("bad request target")
		}
		r.Host, target = rest[:end], rest[end:]
	}
	path, query, _ := strings.Cut(target, "?")
	if path == "" {
		path = "/"
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return badRequest("bad percent-encoding in path")
	}
	r.Path, r.RawQuery = decoded, query
	return nil
}

// parseHost checks the Host field and takes Host from it, unless the URI had one,
// which goes first (RFC 9112 sections 3.2 and 3.2.2).
func (r *Request) parseHost() *Refusal {
	host, count := r.Header.first("Host")
	switch {
	case count > 1:
		return badRequest("more than one Host")
	case count == 0 && r.ProtoMinor > 0:
		return badRequest("no Host")
	case !isHost(host):
		return badRequest("bad Host")
	}
	if r.Host == "" {
		r.Host = host
	}
	return nil
}

// parseSubprotocols collects what the client offers. RFC 6455 section 4.1: every
// element is a token. Empty elements of a list do not count (RFC 9110 section
// 5.6.1.2).
func (r *Request) parseSubprotocols() *Refusal {
	for name, value := range r.Header.All() {
		if !equalName(name, "Sec-WebSocket-Protocol") {
			continue
		}
		for element := range strings.SplitSeq(value, ",") {
			element = trimSpace(element)
			if element == "" {
				continue
			}
			if !isToken(element) {
				return badRequest("bad Sec-WebSocket-Protocol")
			}
			r.Subprotocols = append(r.Subprotocols, element)
		}
	}
	return nil
}

func badRequest(reason string) *Refusal { return Refuse(http.StatusBadRequest, reason) }

// isTarget reports whether s may be a request target: no space or control
// character, and no fragment (RFC 6455 section 3).
func isTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '#' {
			return false
		}
	}
	return s != ""
}

func isWebScheme(s string) bool {
	switch strings.ToLower(s) {
	case "http", "https", "ws", "wss":
		return true
	}
	return false
}

// isHost reports whether s is a host with an optional port, or empty: a name or
// an IPv4 address of the characters that RFC 3986 section 3.2.2 has for it,
// percent-encoding excepted, or an IPv6 address in brackets.
func isHost(s string) bool {
	host, port := splitPort(s)
	for i := range len(port) {
		if !isDigit(port[i]) {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6() && addr.Zone() == ""
	}
	for i := range len(host) {
		if !isAlphanumeric(host[i]) && strings.IndexByte("-._~!$&'()*+,;=", host[i]) < 0 {
			return false
		}
	}
	return true
}

// splitPort splits host:port. The port is empty if there is none.
func splitPort(s string) (host, port string) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.HasSuffix(s, "]") {
		return s, ""
	}
	return s[:colon], s[colon+1:]
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
