package ambiorix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// An envelope is a message on the wire, its fields in the order they are written.
type envelope struct {
	Name       string `json:"name"`
	Message    any    `json:"message"`
	IsAmbiorix bool   `json:"isAmbiorix"`
}

// encode makes the text of a message. It returns the error of encoding/json if value
// has no JSON form.
func encode(name string, value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // pages and R do not, and the bytes are to be the same
	if err := e.Encode(envelope{name, value, true}); err != nil {
		return nil, fmt.Errorf("ambiorix: encoding message %q: %w", name, err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if !utf8.Valid(text) { // encoding/json mends strings, but not what is JSON already
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return text, nil
}

// parse takes a message apart. ok is false if it is to be ignored, and the error is
// not nil if it is not JSON. message is a copy.
func parse(payload []byte) (name string, message json.RawMessage, ok bool, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil {
		if _, isJSON := errors.AsType[*json.UnmarshalTypeError](err); isJSON {
			return "", nil, false, nil
		}
		return "", nil, false, err
	}
	quoted := fields["name"]
	if string(fields["isAmbiorix"]) != "true" || len(quoted) == 0 || quoted[0] != '"' {
		return "", nil, false, nil
	}
	if err := json.Unmarshal(quoted, &name); err != nil {
		return "", nil, false, err
	}
	if message = fields["message"]; message == nil {
		message = json.RawMessage("null")
	}
	return name, message, true, nil
}

// Decode decodes a message into a T, as json.Unmarshal does. Returned by a receiver
// its error closes the connection with 1011.
func Decode[T any](message json.RawMessage) (T, error) {
	var v T
	if err := json.Unmarshal(message, &v); err != nil {
		return v, fmt.Errorf("ambiorix: decoding a message: %w", err)
	}
	return v, nil
}
