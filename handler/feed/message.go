package feed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/weirws/weir/frame"
)

// Message is what is published: a JSON value, text, or bytes. It is immutable. The zero
// value is the JSON value null.
type Message struct {
	field string // of the JSON object that subscribers get; "": data
	value []byte // JSON
}

// JSON is a message that subscribers find in the field "data". It returns ErrNotJSON if
// data is not one JSON value in UTF-8. It copies data.
func JSON(data []byte) (Message, error) {
	data = bytes.TrimSpace(data)
	if !utf8.Valid(data) || !json.Valid(data) {
		return Message{}, ErrNotJSON
	}
	return Message{field: "data", value: bytes.Clone(data)}, nil
}

// Bytes is a message that subscribers find in the field "text" if it is UTF-8, and
// otherwise in the field "base64". It copies data.
func Bytes(data []byte) Message {
	if !utf8.Valid(data) {
		value := make([]byte, 0, base64.StdEncoding.EncodedLen(len(data))+2)
		value = append(value, '"')
		value = base64.StdEncoding.AppendEncode(value, data)
		return Message{field: "base64", value: append(value, '"')}
	}
	return Message{field: "text", value: encode(string(data))}
}

// maxSize is an upper bound of what appendMessage appends.
func (m Message) maxSize(topic string) int {
	const rest = 80 // field names, punctuation and the digits of the offset
	return rest + len(topic) + len(m.value)
}

// appendMessage appends the JSON object that subscribers get.
func appendMessage(dst []byte, topic string, offset uint64, m Message) []byte {
	if m.field == "" {
		m = Message{field: "data", value: []byte("null")}
	}
	dst = append(dst, `{"type":"message","topic":"`...)
	dst = append(dst, topic...) // a topic has no character to escape
	dst = append(dst, `","offset":`...)
	dst = strconv.AppendUint(dst, offset, 10)
	dst = append(dst, `,"`...)
	dst = append(dst, m.field...)
	dst = append(dst, `":`...)
	dst = append(dst, m.value...)
	return append(dst, '}')
}

// What the server says besides messages. The fields of the protocol are in doc.go.
type (
	subscribedReply struct {
		Type   string `json:"type"`
		Topic  string `json:"topic"`
		Epoch  string `json:"epoch"`
		Offset uint64 `json:"offset"`
	}
	gapReply struct {
		Type   string `json:"type"`
		Topic  string `json:"topic"`
		Epoch  string `json:"epoch"`
		Reason string `json:"reason"`
		From   uint64 `json:"from,omitempty"`
		To     uint64 `json:"to,omitempty"`
	}
	topicReply struct {
		Type  string `json:"type"`
		Topic string `json:"topic"`
	}
	missedReply struct {
		Type  string `json:"type"`
		Topic string `json:"topic,omitempty"`
		Count int    `json:"count"`
	}
	presenceReply struct {
		Type        string `json:"type"`
		Topic       string `json:"topic"`
		Subscribers int    `json:"subscribers"`
	}
	publishedReply struct {
		Type string `json:"type"`
		Published
	}
	infoReply struct {
		Type          string   `json:"type"`
		Subscriptions []string `json:"subscriptions"`
		Subscribe     []string `json:"subscribe"`
		Publish       []string `json:"publish"`
	}
	pongReply struct {
		Type string `json:"type"`
	}
	errorReply struct {
		Type  string `json:"type"`
		Op    string `json:"op,omitempty"`
		Topic string `json:"topic,omitempty"`
		Code  string `json:"code"`
		Text  string `json:"text"`
	}
)

// prepare encodes a reply.
func prepare(reply any) *frame.Prepared { return frame.Prepare(frame.Text, encode(reply), nil) }

// encode is json.Marshal without the escapes that are for HTML.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // strings, numbers and structs of them always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
