package handler

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Policy is what applies to the routes that do not say otherwise.
type Policy struct {
	// Origins are the patterns, as in CheckOrigin, of the origins allowed besides
	// the same origin. Default: none.
	Origins []string
	// Subprotocols are those that handlers speak. Default: none.
	Subprotocols []string
}

// Check returns ErrBadOrigin and ErrBadSubprotocol, one for each value that is
// malformed, joined.
func (p Policy) Check() error {
	var errs []error
	for _, pattern := range p.Origins {
		if !isOriginPattern(pattern) {
			errs = append(errs, fmt.Errorf("%w %q", ErrBadOrigin, pattern))
		}
	}
	for _, name := range p.Subprotocols {
		if !isToken(name) {
			errs = append(errs, fmt.Errorf("%w %q", ErrBadSubprotocol, name))
		}
	}
	return errors.Join(errs...)
}

// Decide says whether r may become a connection. If so, it returns the route and
// sets r.Subprotocol; otherwise it returns the response to send, whose body names
// the reason. The first of these rules that applies decides (RFC 6455 section
// 4.2):
//
//	no route for the path                         404
//	method is not GET                             405, Allow
//	not an upgrade to WebSocket                   426, Upgrade
//	HTTP/1.0, which cannot upgrade                505
//	a body is announced                           400
//	Sec-WebSocket-Version missing or given twice  400, Sec-WebSocket-Version
//	another version than 13                       426, Upgrade, Sec-WebSocket-Version
//	Sec-WebSocket-Key missing, given twice, or
//	not the base64 of 16 bytes                    400
//	Origin given twice                            400
//	Origin not allowed, see CheckOrigin           403
func (m *Mux) Decide(r *Request, p Policy) (*Route, *Refusal) {
	route, ok := m.Match(r.Path)
	if !ok {
		return nil, Refuse(http.StatusNotFound, "no such path")
	}
	if refusal := checkHandshake(r); refusal != nil {
		return nil, refusal
	}
	if route.Origins != nil {
		p.Origins = route.Origins
	}
	if refusal := checkOriginField(r, p.Origins); refusal != nil {
		return nil, refusal
	}
	if route.Subprotocols != nil {
		p.Subprotocols = route.Subprotocols
	}
	r.Subprotocol = chooseSubprotocol(r.Subprotocols, p.Subprotocols)
	return route, nil
}

// checkHandshake applies the rules that are the same for all routes.
func checkHandshake(r *Request) *Refusal {
	switch {
	case r.Method != http.MethodGet:
		refusal := Refuse(http.StatusMethodNotAllowed, "method must be GET")
		refusal.Header.Set("Allow", http.MethodGet)
		return refusal
	case !r.IsUpgrade():
		return upgradeRequired("this path speaks WebSocket only")
	case r.ProtoMinor == 0:
		return Refuse(http.StatusHTTPVersionNotSupported, "WebSocket needs HTTP/1.1")
	case hasBody(r):
		return badRequest("opening handshake must not have a body")
	}
	if refusal := checkVersion(r); refusal != nil {
		return refusal
	}
	if key, count := r.Header.first("Sec-WebSocket-Key"); count != 1 || !isKey(key) {
		return badRequest("bad Sec-WebSocket-Key")
	}
	return nil
}

// checkVersion tells the peer the version it should have asked for (RFC 6455
// section 4.4).
func checkVersion(r *Request) *Refusal {
	const version = "13"
	var refusal *Refusal
	switch got, count := r.Header.first("Sec-WebSocket-Version"); {
	case count != 1 || got == "":
		refusal = badRequest("bad Sec-WebSocket-Version")
	case got != version:
		refusal = upgradeRequired("WebSocket version must be " + version)
	default:
		return nil
	}
	refusal.Header.Set("Sec-WebSocket-Version", version)
	return refusal
}

func checkOriginField(r *Request, patterns []string) *Refusal {
	origin, count := r.Header.first("Origin")
	if count > 1 {
		return badRequest("more than one Origin")
	}
	if !CheckOrigin(origin, r.Host, patterns) {
		return Refuse(http.StatusForbidden, "origin not allowed")
	}
	return nil
}

// hasBody reports whether a body is announced. Its bytes would be taken for
// frames, although a proxy on the way has let them pass as something else.
func hasBody(r *Request) bool {
	if _, count := r.Header.first("Transfer-Encoding"); count > 0 {
		return true
	}
	length, count := r.Header.first("Content-Length")
	return count > 1 || count == 1 && length != "0"
}

// isKey reports whether s is the base64 encoding of 16 bytes (RFC 6455 section
// 4.1).
func isKey(s string) bool {
	var key [18]byte // what 24 characters decode to without padding
	if len(s) != base64.StdEncoding.EncodedLen(16) {
		return false
	}
	n, err := base64.StdEncoding.Decode(key[:], []byte(s))
	return err == nil && n == 16
}

// chooseSubprotocol returns the first of offered that is among spoken, "" if none
// is. The client's order counts because it is its order of preference (RFC 6455
// section 4.1).
func chooseSubprotocol(offered, spoken []string) string {
	for _, name := range offered {
		if slices.Contains(spoken, name) {
			return name
		}
	}
	return ""
}

func upgradeRequired(reason string) *Refusal {
	refusal := Refuse(http.StatusUpgradeRequired, reason)
	refusal.Header.Set("Upgrade", "websocket")
	refusal.Header.Set("Connection", "Upgrade")
	return refusal
}
