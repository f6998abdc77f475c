package nanonext

import (
	"strconv"
	"strings"
	"time"
)

// Event is one server-sent event, as the HTML standard describes them in section 9.2.
type Event struct {
	// Data may have any number of lines.
	Data string
	// Event is the type, "message" for the browser if empty. One line: what follows a
	// line break is left out.
	Event string
	// ID is the one a browser sends as Last-Event-ID when it comes back. One line.
	ID string
	// Retry is how long a browser waits before it does, in whole milliseconds. 0: it is
	// not told.
	Retry time.Duration
}

// FormatSSE writes an event down for the stream: the fields event, id and retry as far
// as they are set, one data for each line of Data, and an empty line. Lines may end
// with CR, LF or both.
func FormatSSE(e Event) []byte {
	var b []byte
	field := func(name, value string) {
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, value...)
		b = append(b, '\n')
	}
	if line, _, _ := nextLine(e.Event); line != "" {
		field("event", line)
	}
	if line, _, _ := nextLine(e.ID); line != "" {
		field("id", line)
	}
	if e.Retry > 0 {
		field("retry", strconv.FormatInt(e.Retry.Milliseconds(), 10))
	}
	for rest, more := e.Data, true; more; {
		var line string
		line, rest, more = nextLine(rest)
		field("data", line)
	}
	return append(b, '\n')
}

// nextLine splits s after its first line. more reports whether there was a line break.
func nextLine(s string) (line, rest string, more bool) {
	i := strings.IndexAny(s, "\r\n")
	if i < 0 {
		return s, "", false
	}
	line, rest = s[:i], s[i+1:]
	if s[i] == '\r' {
		rest = strings.TrimPrefix(rest, "\n")
	}
	return line, rest, true
}
