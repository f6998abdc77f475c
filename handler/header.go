package handler

import (
	"iter"
	"strings"
)

// Header is the header fields of a request as they were received. It is a view
// of one string, so it costs nothing per field, and looking one up is a scan. The
// zero value has no fields. It is immutable.
type Header struct {
	raw string // valid field lines, each ended by CRLF
}

// Get returns the first value of the field called name, in any case, and "" if
// there is none.
func (h Header) Get(name string) string {
	value, _ := h.first(name)
	return value
}

// Values returns the values of all fields called name, in any case, in the order
// received. The slice is the caller's.
func (h Header) Values(name string) []string {
	var values []string
	for n, v := range h.All() {
		if equalName(n, name) {
			values = append(values, v)
		}
	}
	return values
}

// All yields name and value of every field, in the order and case received.
func (h Header) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for raw := h.raw; raw != ""; {
			var name, value string
			name, value, raw = cutField(raw)
			if !yield(name, value) {
				return
			}
		}
	}
}

// Len is the number of fields.
func (h Header) Len() int { return strings.Count(h.raw, "\n") }

// String returns the field lines as received, each ended by CRLF.
func (h Header) String() string { return h.raw }

// first returns the first value of the field called name, and how many fields
// there are with that name.
func (h Header) first(name string) (value string, count int) {
	for n, v := range h.All() {
		if !equalName(n, name) {
			continue
		}
		if count == 0 {
			value = v
		}
		count++
	}
	return value, count
}

// hasToken reports whether the comma-separated list called name, which may be
// spread over several fields, has token, in any case.
func (h Header) hasToken(name, token string) bool {
	for n, v := range h.All() {
		if !equalName(n, name) {
			continue
		}
		for element := range strings.SplitSeq(v, ",") {
			if equalName(trimSpace(element), token) {
				return true
			}
		}
	}
	return false
}

// cutField splits the first field line off raw, which consists of valid ones.
func cutField(raw string) (name, value, rest string) {
	line, rest, _ := strings.Cut(raw, "\r\n")
	name, value, _ = strings.Cut(line, ":")
	return name, trimSpace(value), rest
}

// checkFields returns why raw is not a sequence of valid field lines, each ended
// by CRLF, and "" if it is. RFC 9112 section 5: no space before the colon, no
// folded line.
func checkFields(raw string) string {
	for raw != "" {
		line, rest, ended := strings.Cut(raw, "\r\n")
		name, value, colon := strings.Cut(line, ":")
		switch {
		case !ended:
			return "header not complete"
		case !colon || !isToken(name):
			return "bad header name"
		case !isFieldValue(value):
			return "control character in header"
		}
		raw = rest
	}
	return ""
}

// equalName compares field names regardless of case. The lengths are compared
// first because a folded rune outside ASCII has another length.
func equalName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// trimSpace removes optional whitespace (RFC 9110 section 5.6.3).
func trimSpace(s string) string { return strings.Trim(s, " \t") }

// isFieldValue reports whether s may stand in a field line: visible characters,
// spaces, tabs and bytes above ASCII (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(b byte) bool {
	return isAlphanumeric(b) || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}
