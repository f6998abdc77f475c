package handler

import "strings"

// CheckOrigin reports whether a page of this origin may connect. origin is the
// Origin field of the opening handshake, host what Request.Host has. Allowed are
// an empty origin, since every browser sends one; the same origin, that is http or
// https at the same host and port; and what matches one of the patterns:
//
//   - "*" is every origin.
//   - "null" is the origin of documents that have none, such as local files.
//   - "example.com" is this host over http or https, at the default port.
//   - "*.example.com" is every host below it, at any depth, but not itself.
//   - "example.com:8443" is another port.
//   - "https://example.com" is one scheme. It combines with the forms before; a
//     scheme other than http and https has to be given.
//
// Case does not matter. A malformed origin matches "*" alone, a malformed pattern
// matches nothing.
func CheckOrigin(origin, host string, patterns []string) bool {
	if origin == "" {
		return true
	}
	o, ok := parseOrigin(origin)
	if ok && o.isWeb() && o.isAt(splitPort(host)) {
		return true
	}
	for _, pattern := range patterns {
		switch {
		case pattern == "*":
			return true
		case strings.EqualFold(pattern, "null"):
			if strings.EqualFold(origin, "null") {
				return true
			}
		case ok && o.matches(pattern):
			return true
		}
	}
	return false
}

// origin is scheme://host:port (RFC 6454 section 6.1).
type origin struct {
	scheme string // empty in a pattern: http and https
	host   string // never empty; with brackets if it is an IPv6 address
	port   string // empty: the default of the scheme
}

// parseOrigin parses the value of an Origin field. "null" is not one.
func parseOrigin(s string) (origin, bool) {
	scheme, authority, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) || !isHost(authority) {
		return origin{}, false
	}
	host, port := splitPort(authority)
	return origin{scheme: scheme, host: host, port: port}, host != ""
}

// parsePattern parses a pattern that names a host. below reports whether it began
// with "*.", which is not part of the host returned.
func parsePattern(s string) (p origin, below, ok bool) {
	scheme, authority, found := strings.Cut(s, "://")
	if !found {
		scheme, authority = "", s
	}
	authority, below = strings.CutPrefix(authority, "*.")
	if found && !isScheme(scheme) || !isHost(authority) || strings.Contains(authority, "*") {
		return origin{}, false, false
	}
	host, port := splitPort(authority)
	return origin{scheme: scheme, host: host, port: port}, below, host != ""
}

// isOriginPattern reports whether s has one of the forms of CheckOrigin.
func isOriginPattern(s string) bool {
	_, _, ok := parsePattern(s)
	return ok || s == "*" || strings.EqualFold(s, "null")
}

// matches reports whether o is one of the origins of a pattern that names a host.
func (o origin) matches(pattern string) bool {
	p, below, ok := parsePattern(pattern)
	if !ok || p.scheme == "" && !o.isWeb() || p.scheme != "" && !strings.EqualFold(p.scheme, o.scheme) {
		return false
	}
	if below {
		// The dot has to be there, badexample.com is not below example.com, and
		// something has to be in front of it.
		dot := len(o.host) - len(p.host) - 1
		if dot < 1 || o.host[dot] != '.' {
			return false
		}
		o.host = o.host[dot+1:]
	}
	return o.isAt(p.host, p.port)
}

// isAt reports whether o has this host and port; no port is the default one of
// the scheme of o.
func (o origin) isAt(host, port string) bool {
	return strings.EqualFold(o.host, host) && o.normalPort(o.port) == o.normalPort(port)
}

// normalPort is port, or empty if that is the default of the scheme of o.
func (o origin) normalPort(port string) string {
	if port == "80" && strings.EqualFold(o.scheme, "http") || port == "443" && strings.EqualFold(o.scheme, "https") {
		return ""
	}
	return port
}

// isWeb reports whether the scheme is http or https.
func (o origin) isWeb() bool {
	return strings.EqualFold(o.scheme, "http") || strings.EqualFold(o.scheme, "https")
}

// isScheme reports whether s is a URI scheme (RFC 3986 section 3.1).
func isScheme(s string) bool {
	for i := range len(s) {
		letter := isAlphanumeric(s[i]) && !isDigit(s[i])
		if !letter && (i == 0 || !isDigit(s[i]) && s[i] != '+' && s[i] != '-' && s[i] != '.') {
			return false
		}
	}
	return s != ""
}
