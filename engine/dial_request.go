package engine

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// defaultPort is the port of a scheme (RFC 6455 section 3).
func defaultPort(scheme string) string {
	if scheme == "wss" {
		return "443"
	}
	return "80"
}

// An endpoint is a host and a port.
type endpoint struct {
	host string // a name, or an address without brackets, possibly with a zone
	port string
}

// String is the form for a CONNECT request: RFC 9110 section 9.3.6 wants the port.
func (p endpoint) String() string {
	host, _, _ := strings.Cut(p.host, "%") // a zone means nothing to another machine
	return net.JoinHostPort(host, p.port)
}

// field is the form for a Host field, which leaves the default port of the scheme out
// (RFC 6455 section 4.1).
func (p endpoint) field(scheme string) string {
	return strings.TrimSuffix(p.String(), ":"+defaultPort(scheme))
}

// endpointOf is where u leads to.
func endpointOf(u *url.URL) (endpoint, error) {
	p := endpoint{u.Hostname(), cmp.Or(u.Port(), defaultPort(u.Scheme))}
	if n, err := strconv.ParseUint(p.port, 10, 16); err != nil || n == 0 || p.host == "" {
		return p, errors.New("no host, or no such port")
	}
	return p, nil
}

// parseURL parses the URL of a WebSocket server (RFC 6455 section 3).
func parseURL(rawURL string) (*url.URL, endpoint, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, endpoint{}, fmt.Errorf("%w: %w", ErrBadURL, errors.Unwrap(err))
	}
	switch {
	case u.Scheme != "ws" && u.Scheme != "wss":
		return nil, endpoint{}, fmt.Errorf("%w: scheme must be ws or wss", ErrBadURL)
	case u.User != nil:
		return nil, endpoint{}, fmt.Errorf("%w: no place for a user in it", ErrBadURL)
	case strings.Contains(rawURL, "#"):
		return nil, endpoint{}, fmt.Errorf("%w: no fragment allowed", ErrBadURL)
	}
	to, err := endpointOf(u)
	if err != nil {
		return nil, endpoint{}, fmt.Errorf("%w: %w", ErrBadURL, err)
	}
	return u, to, nil
}

// CheckURL returns the error, which is an ErrBadURL, that Dial would return for a URL without asking
// anybody; nil if there is none. It may be called from any goroutine.
func CheckURL(rawURL string) error {
	u, to, err := parseURL(rawURL)
	if err != nil {
		return err
	}
	_, err = newOpening(u, to, &DialOptions{}, frame.DeflateOptions{})
	return err
}

// An opening is the request of an opening handshake that we send.
type opening struct {
	bytes   []byte
	request *handler.Request // the same, parsed
	key     string           // its Sec-WebSocket-Key
}

// newOpening writes the request down (RFC 6455 section 4.1). What a strict server
// would not understand is not sent: the error is ErrBadURL or ErrBadDialOptions.
func newOpening(u *url.URL, to endpoint, o *DialOptions, deflate frame.DeflateOptions) (opening, error) {
	own := opening{key: newKey()}
	host, rest, err := checkDialOptions(o)
	if err != nil {
		return own, err
	}
	var b bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	b.WriteString("GET " + escapeTarget(u.RequestURI()) + " HTTP/1.1\r\n")
	field("Host", cmp.Or(host, to.field(u.Scheme)))
	field("Upgrade", "websocket")
	field("Connection", "Upgrade")
	field("Sec-WebSocket-Key", own.key)
	field("Sec-WebSocket-Version", "13")
	field("Origin", o.Origin)
	field("Sec-WebSocket-Protocol", strings.Join(o.Subprotocols, ", "))
	field("Sec-WebSocket-Extensions", frame.OfferDeflate(deflate))
	_ = rest.Write(&b)
	b.WriteString("\r\n")
	own.bytes = b.Bytes()
	if own.request, err = handler.ParseRequest(own.bytes); err != nil {
		return own, fmt.Errorf("%w: %s", ErrBadURL, refusalReason(err))
	}
	return own, nil
}

// checkDialOptions takes the Host out of the header fields and checks the others, and
// all else that goes into the request.
func checkDialOptions(o *DialOptions) (host string, rest http.Header, err error) {
	var allowed handler.Request // knows which fields are the handshake's own
	rest = make(http.Header, len(o.Header))
	for name, values := range o.Header {
		if strings.EqualFold(name, "Host") && len(values) == 1 && host == "" {
			host = values[0]
			continue
		}
		for _, value := range values {
			if strings.EqualFold(name, "Host") || strings.EqualFold(name, "Origin") || allowed.AddHeader(name, value) != nil {
				return "", nil, fmt.Errorf("%w: header field %q", ErrBadDialOptions, name)
			}
		}
		rest[name] = values
	}
	for i, name := range o.Subprotocols {
		bad := slices.Contains(o.Subprotocols[:i], name) // RFC 6455 section 4.1: all are unique
		if bad || (handler.Policy{Subprotocols: o.Subprotocols[i : i+1]}).Check() != nil {
			return "", nil, fmt.Errorf("%w: sub-protocol %q", ErrBadDialOptions, name)
		}
	}
	for name, value := range map[string]string{"Host": host, "Origin": o.Origin} {
		if allowed.AddHeader(name, value) != nil {
			return "", nil, fmt.Errorf("%w: %s %q", ErrBadDialOptions, name, value)
		}
	}
	return host, rest, nil
}

// refusalReason is why handler.ParseRequest has refused something.
func refusalReason(err error) string {
	if refusal, ok := errors.AsType[*handler.Refusal](err); ok {
		return string(refusal.Body)
	}
	return err.Error()
}

// escapeTarget percent-encodes what may not stand in a request target: url.Parse
// leaves a query as it is.
func escapeTarget(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// newKey is a Sec-WebSocket-Key: 16 bytes at random.
func newKey() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// acceptKey is the Sec-WebSocket-Accept that answers a key (RFC 6455 section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
