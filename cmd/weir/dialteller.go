package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A teller prints what happens on a connection, one line for each event: messages on
// out, the rest on notes, or everything on out as JSON.
type teller struct {
	out, notes io.Writer
	json       bool
	err        error // of the first write to out that failed
}

// A stamp begins an event in JSON.
type stamp struct {
	Time  string `json:"time"` // RFC 3339, in UTC
	Event string `json:"event"`
}

func newStamp(event string) stamp {
	return stamp{time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), event}
}

func (t *teller) opened(r *handler.Request) {
	event := struct {
		stamp
		Address     string `json:"address"`
		Subprotocol string `json:"subprotocol"`
		Extensions  string `json:"extensions"`
	}{newStamp("open"), r.RemoteAddr.String(), r.Subprotocol, r.Header.Get("Sec-WebSocket-Extensions")}
	if t.json {
		t.tell(event)
		return
	}
	line := event.Address
	if event.Subprotocol != "" {
		line += ", sub-protocol " + event.Subprotocol
	}
	if event.Extensions != "" {
		line += ", " + event.Extensions
	}
	t.note("open", line)
}

func (t *teller) message(op frame.Opcode, payload []byte) {
	if !t.json {
		content := fmt.Sprintf("%x", payload)
		if op == frame.Text {
			content = printable(string(payload))
		}
		t.write(line(op.String(), content))
		return
	}
	t.tell(struct {
		stamp
		Kind string `json:"kind"`
		content
	}{newStamp("message"), op.String(), newContent(payload, op == frame.Text)})
}

// control tells a ping or pong.
func (t *teller) control(op frame.Opcode, payload []byte) {
	isText := utf8.Valid(payload)
	switch {
	case t.json:
		t.tell(struct {
			stamp
			content
		}{newStamp(op.String()), newContent(payload, isText)})
	case isText:
		t.note(op.String(), printable(string(payload)))
	default:
		t.note(op.String(), fmt.Sprintf("%x", payload))
	}
}

// A content is a payload in JSON.
type content struct {
	Text   *string `json:"text,omitempty"`
	Base64 *[]byte `json:"base64,omitempty"`
}

func newContent(payload []byte, isText bool) content {
	if !isText {
		return content{Base64: &payload}
	}
	text := string(payload)
	return content{Text: &text}
}

func (t *teller) closed(s handler.CloseStatus) {
	if t.json {
		t.tell(struct {
			stamp
			Code   frame.CloseCode `json:"code"`
			Reason string          `json:"reason"`
			Clean  bool            `json:"clean"`
		}{newStamp("close"), s.Code, s.Reason, s.Clean})
		return
	}
	text := s.Code.String()
	if s.Reason != "" {
		text += ": " + printable(s.Reason)
	}
	t.note("close", text)
}

// tell prints an event in JSON.
func (t *teller) tell(event any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(event); err != nil {
		panic(err) // events are made of strings and numbers
	}
	t.write(b.Bytes())
}

func (t *teller) note(kind, text string) {
	_, _ = t.notes.Write(line(kind, text)) // there is nobody to tell
}

func (t *teller) write(p []byte) {
	if t.err == nil {
		_, t.err = t.out.Write(p)
	}
}

// line is an event to read: the time, its kind, and the rest.
func line(kind, text string) []byte {
	return fmt.Appendf(nil, "%s %-6s %s\n", time.Now().Format("15:04:05.000"), kind, text)
}

// printable escapes what would not show in one line, or would be a command to the
// terminal, as in Go.
func printable(s string) string {
	isOdd := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.IndexFunc(s, isOdd) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isOdd(r) {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
