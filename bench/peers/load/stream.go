package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	// variants is how many different messages there are: a reply that is lost,
	// doubled or swapped with a neighbour does not go unnoticed.
	variants = 8
	// burstBytes bounds one write of several frames.
	burstBytes = 64 << 10
)

// stream is an endless sequence of messages, in which message i is variant i
// modulo variants: the bytes that go out, masked, and the bytes that must come
// back. Only the repeating part is stored. It is immutable.
type stream struct {
	requests []byte // one period, and as much again as makes any burst contiguous
	replies  []byte // one period

	requestBytes, replyBytes int // of one message
	burst                    int // most messages in one write

	lines bool // replies are lines, in frames that are cut as the server likes
}

// An envelope is what a protocol on top of WebSocket puts around a payload.
type envelope struct {
	request, reply string // with a %s
	// lines tells that replies are lines, as many of them in a message as the server likes.
	lines bool
}

// centrifuge is the name of the protocol of that server, in its JSON form. Payloads
// are JSON strings.
const centrifuge = "centrifuge"

// envelope is that of the protocol, or the zero value.
func (o options) envelope() envelope {
	switch {
	case o.protocol != centrifuge:
		return envelope{}
	case o.mode == "broadcast":
		return envelope{`{"send":{"data":"%s"}}`, `{"push":{"channel":"all","pub":{"data":"%s"}}}` + "\n", true}
	}
	return envelope{`{"send":{"data":"%s"}}`, `{"push":{"message":{"data":"%s"}}}` + "\n", true}
}

func newStream(o options) stream {
	env := o.envelope()
	s := stream{lines: env.lines}
	for v := range variants {
		payload, key := content(o.payloadBytes, v), maskingKey(byte(v))
		if env.lines {
			s.requests = appendFrame(s.requests, 0x1, fmt.Appendf(nil, env.request, payload), key)
			s.replies = fmt.Appendf(s.replies, env.reply, payload)
		} else {
			s.requests = appendFrame(s.requests, 0x2, payload, key)
			s.replies = appendFrame(s.replies, 0x2, payload, nil)
		}
	}
	s.requestBytes = len(s.requests) / variants
	s.replyBytes = len(s.replies) / variants
	s.burst = max(1, min(o.inFlight, burstBytes/s.requestBytes))
	for i := range s.burst - 1 { // the period goes on
		s.requests = append(s.requests, s.requests[i*s.requestBytes:][:s.requestBytes]...)
	}
	return s
}

// content is the payload of one variant. It is letters and digits, which text and
// a JSON string may hold.
func content(n, variant int) []byte {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-"
	p := make([]byte, n)
	for i := range p {
		p[i] = alphabet[(i*5+i/61+variant*9)%len(alphabet)]
	}
	return p
}

func maskingKey(last byte) []byte { return []byte{0x37, 0xfa, last, 0x3d} }

// appendFrame appends a frame, masked if there is a key.
func appendFrame(p []byte, opcode byte, payload, key []byte) []byte {
	masked := byte(0)
	if key != nil {
		masked = 0x80
	}
	p = append(p, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		p = append(p, masked|byte(n))
	case n <= 0xffff:
		p = binary.BigEndian.AppendUint16(append(p, masked|126), uint16(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, masked|127), uint64(n))
	}
	if key == nil {
		return append(p, payload...)
	}
	p = append(p, key...)
	for i, b := range payload {
		p = append(p, b^key[i%4])
	}
	return p
}

// from returns the requests for n messages from message i on, in one piece; n
// is at most s.burst.
func (s *stream) from(i uint64, n int) []byte {
	at := int(i%variants) * s.requestBytes
	return s.requests[at : at+n*s.requestBytes]
}

// matches reports whether p is what must come back at position at of the
// period of replies.
func (s *stream) matches(at int, p []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(s.replies)-at)
		if !bytes.Equal(p[:n], s.replies[at:at+n]) {
			return false
		}
		p, at = p[n:], 0
	}
	return true
}
