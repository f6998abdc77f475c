package main

import (
	"bytes"
	"encoding/binary"
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
}

func newStream(payloadBytes, inFlight int) stream {
	var s stream
	for v := range variants {
		s.requests = appendFrame(s.requests, content(payloadBytes, v), []byte{0x37, 0xfa, byte(v), 0x3d})
		s.replies = appendFrame(s.replies, content(payloadBytes, v), nil)
	}
	s.requestBytes = len(s.requests) / variants
	s.replyBytes = len(s.replies) / variants
	s.burst = max(1, min(inFlight, burstBytes/s.requestBytes))
	for i := range s.burst - 1 { // the period goes on
		s.requests = append(s.requests, s.requests[i*s.requestBytes:][:s.requestBytes]...)
	}
	return s
}

// content is the payload of one variant. Its bytes are ASCII, so it also does
// as text.
func content(n, variant int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte('0' + (i*5+i/61+variant*9)%75)
	}
	return p
}

// appendFrame appends a binary frame, masked if there is a key.
func appendFrame(p, payload, key []byte) []byte {
	masked := byte(0)
	if key != nil {
		masked = 0x80
	}
	p = append(p, 0x82)
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
