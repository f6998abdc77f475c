package frame

import "strings"

// extension is one element of a Sec-WebSocket-Extensions header.
type extension struct {
	name   string
	params []extensionParam
}

type extensionParam struct {
	name     string
	value    string
	hasValue bool
}

// parseExtensions parses one header value, RFC 6455 section 9.1, which may as well
// be empty:
//
//	extension-list = #extension
//	extension = token *( ";" token [ "=" ( token | quoted-string ) ] )
//
// It reports false if the value is not well-formed.
func parseExtensions(value string) ([]extension, bool) {
	var list []extension
	s := scanner{rest: value}
	for {
		for s.accept(',') { // empty elements count for nothing
		}
		if s.rest == "" {
			return list, true
		}
		e, ok := s.extension()
		if !ok || s.rest != "" && s.rest[0] != ',' {
			return nil, false
		}
		list = append(list, e)
	}
}

// scanner takes the parts of a header value off its beginning. Spaces and tabs may
// stand before and after each part.
type scanner struct {
	rest string
}

func (s *scanner) extension() (e extension, ok bool) {
	if e.name = s.token(); e.name == "" {
		return e, false
	}
	for s.accept(';') {
		p := extensionParam{name: s.token()}
		if p.hasValue = s.accept('='); p.hasValue {
			p.value = s.value()
		}
		if p.name == "" || p.hasValue && p.value == "" {
			return e, false
		}
		e.params = append(e.params, p)
	}
	return e, true
}

func (s *scanner) skipSpace() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *scanner) accept(c byte) bool {
	s.skipSpace()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	s.skipSpace()
	return true
}

// token returns "" if there is none.
func (s *scanner) token() string {
	s.skipSpace()
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	s.skipSpace()
	return token
}

// value returns a token, or the token within a quoted string; "" if there is none.
func (s *scanner) value() string {
	if s.rest == "" || s.rest[0] != '"' {
		return s.token()
	}
	var value []byte
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '"' {
			s.rest = s.rest[i+1:]
			s.skipSpace()
			return string(value)
		}
		if c == '\\' && i+1 < len(s.rest) {
			i++
			c = s.rest[i]
		}
		if !isTokenByte(c) {
			return ""
		}
		value = append(value, c)
	}
	return ""
}

// isTokenByte is the tchar of RFC 9110 section 5.6.2.
func isTokenByte(c byte) bool {
	switch {
	case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
