package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/weirws/weir/frame"
)

const (
	// mostRecordingBytes bounds a file with a recording, which every worker has in memory.
	mostRecordingBytes = 256 << 20
	longestRecording   = 240 * time.Hour
)

// A Message is one of a recording: what came, of which kind, and when.
type Message struct {
	// At is when it came, counted from the first one.
	At      time.Duration
	Op      frame.Opcode // frame.Text or frame.Binary
	Payload []byte
}

// A line is a message in a file: a JSON object with the time in nanoseconds and either
// the text or the bytes in base64.
type line struct {
	At     *int64  `json:"at_ns"`
	Text   *string `json:"text,omitempty"`
	Base64 *[]byte `json:"base64,omitempty"`
}

// appendLine appends the message as a line.
func (m *Message) appendLine(dst []byte) []byte {
	at := int64(m.At)
	l := line{At: &at, Base64: &m.Payload}
	if m.Op == frame.Text {
		text := string(m.Payload)
		l.Text, l.Base64 = &text, nil
	}
	b := bytes.NewBuffer(dst)
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(l) // fails for no such line
	return b.Bytes()
}

// ReadRecording reads what Record has written: a message on each line, such as
//
//	{"at_ns":0,"text":"hello"}
//	{"at_ns":1500000,"base64":"AAEC"}
//
// in the order of their times. An error tells the line, and what is wrong with it.
func ReadRecording(r io.Reader) ([]Message, error) {
	limited := &io.LimitedReader{R: r, N: mostRecordingBytes + 1}
	lines := bufio.NewReader(limited)
	var all []Message
	for number := 1; ; number++ {
		text, err := lines.ReadBytes('\n')
		if limited.N <= 0 {
			return nil, fmt.Errorf("bench: a recording of more than %d bytes is too large", mostRecordingBytes)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("bench: reading a recording: %w", err)
		}
		if len(text) == 0 {
			break
		}
		m, err := parseLine(text)
		if err == nil && len(all) > 0 && m.At < all[len(all)-1].At {
			err = fmt.Errorf("at_ns is %d, less than on the line before", m.At)
		}
		if err != nil {
			return nil, fmt.Errorf("bench: line %d of the recording: %w", number, err)
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, errors.New("bench: there is no message in the recording")
	}
	return all, nil
}

func parseLine(text []byte) (Message, error) {
	if !utf8.Valid(text) {
		return Message{}, errors.New("it is not UTF-8")
	}
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Message{}, errors.New("it ends before the JSON object does")
	} else if err != nil {
		return Message{}, fmt.Errorf("it is no message: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Message{}, errors.New("there is something behind the JSON object")
	}
	switch {
	case l.At == nil:
		return Message{}, errors.New("it has no at_ns, the time in nanoseconds")
	case *l.At < 0 || *l.At > int64(longestRecording):
		return Message{}, fmt.Errorf("at_ns is %d, not from 0 to %d", *l.At, int64(longestRecording))
	case (l.Text == nil) == (l.Base64 == nil):
		return Message{}, errors.New("it has not one of text and base64")
	}
	m := Message{At: time.Duration(*l.At), Op: frame.Text}
	if l.Text != nil {
		m.Payload = []byte(*l.Text)
	} else {
		m.Op, m.Payload = frame.Binary, *l.Base64
	}
	if len(m.Payload) > mostPayloadBytes {
		return Message{}, fmt.Errorf("its message has %d bytes, more than %d", len(m.Payload), mostPayloadBytes)
	}
	return m, nil
}

// readRecording reads the file at path.
func readRecording(path string) ([]Message, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	all, err := ReadRecording(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}
