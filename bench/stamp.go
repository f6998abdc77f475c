package bench

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

const (
	stampMark     = "weir"
	stampRawBytes = 4 + 4 + 8 + 5 // sender, number, due, check sum
	stampBytes    = len(stampMark) + stampRawBytes*4/3

	// fillerShifts is how many different fillings messages have: the bytes
	// behind the stamp differ from one message to the next.
	fillerShifts = 61
)

// A stamp begins every message. It is text without characters that JSON escapes,
// so that it also survives as part of a document.
type stamp struct {
	sender uint32 // the connection or the publisher
	number uint32 // of the sender's messages, from 0
	due    int64  // when it was to be sent, as now tells
}

// A stamper makes the messages of one run and recognises them. It is immutable.
type stamper struct {
	seed   uint64
	filler []byte // of the longest shift
}

// newStamper makes messages of payloadBytes, stampBytes or more. Workers of one run
// share a seed.
func newStamper(seed uint64, payloadBytes int) stamper {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	filler := make([]byte, payloadBytes-stampBytes+fillerShifts)
	for i := range filler {
		filler[i] = alphabet[(i*5+i/61)%len(alphabet)]
	}
	return stamper{seed: seed, filler: filler}
}

// append appends the message with a stamp.
func (m *stamper) append(dst []byte, s stamp) []byte {
	var raw [stampRawBytes]byte
	binary.BigEndian.PutUint32(raw[0:], s.sender)
	binary.BigEndian.PutUint32(raw[4:], s.number)
	binary.BigEndian.PutUint64(raw[8:], uint64(s.due))
	sum := m.sum(s)
	copy(raw[16:], sum[:])
	dst = slices.Grow(dst, stampBytes+len(m.filler))
	dst = append(dst, stampMark...)
	dst = base64.RawURLEncoding.AppendEncode(dst, raw[:])
	return append(dst, m.filling(s.number)...)
}

// find looks for a message of this run in payload, which may have more around it.
// known reports that there is a stamp, and whole that all behind it is as it was sent.
// at is where the message begins.
func (m *stamper) find(payload []byte) (s stamp, at int, known, whole bool) {
	for {
		next := bytes.Index(payload[at:], []byte(stampMark))
		if next < 0 || len(payload)-at-next < stampBytes {
			return stamp{}, 0, false, false
		}
		at += next
		if s, known = m.parse(payload[at : at+stampBytes]); known {
			return s, at, true, bytes.HasPrefix(payload[at+stampBytes:], m.filling(s.number))
		}
		at += len(stampMark)
	}
}

// parse reads a stamp, if it is one of this run.
func (m *stamper) parse(text []byte) (s stamp, known bool) {
	var raw [stampRawBytes]byte
	if _, err := base64.RawURLEncoding.Decode(raw[:], text[len(stampMark):]); err != nil {
		return stamp{}, false
	}
	s.sender = binary.BigEndian.Uint32(raw[0:])
	s.number = binary.BigEndian.Uint32(raw[4:])
	s.due = int64(binary.BigEndian.Uint64(raw[8:]))
	sum := m.sum(s)
	return s, bytes.Equal(sum[:], raw[16:])
}

// filling is what stands behind the stamp of message number.
func (m *stamper) filling(number uint32) []byte {
	shift := int(number % fillerShifts)
	return m.filler[shift : shift+len(m.filler)-fillerShifts]
}

// sum is a check sum that messages of other runs do not have.
func (m *stamper) sum(s stamp) [5]byte {
	h := mix(m.seed ^ mix(uint64(s.sender)<<32|uint64(s.number)) ^ uint64(s.due))
	return [5]byte{byte(h), byte(h >> 8), byte(h >> 16), byte(h >> 24), byte(h >> 32)}
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
