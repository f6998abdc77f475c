package engine

import (
	"crypto/rand"
	"sync"

	"github.com/gobwas/ws"

	"github.com/weirws/weir/frame"
)

// A keySource holds random bytes for masking keys. RFC 6455 section 10.3 wants each key
// from a strong source of entropy, and asking the system for every one would cost more
// than the frame.
type keySource struct {
	bytes [1 << 10]byte
	used  int
}

var keySources = sync.Pool{New: func() any {
	s := new(keySource)
	s.used = len(s.bytes)
	return s
}}

// maskingKey returns a key for one frame.
func maskingKey() (key [4]byte) {
	s := keySources.Get().(*keySource)
	if s.used == len(s.bytes) {
		_, _ = rand.Read(s.bytes[:]) // never fails
		s.used = 0
	}
	s.used += copy(key[:], s.bytes[s.used:])
	keySources.Put(s)
	return key
}

// maskedCopy is an unmasked frame, masked.
func maskedCopy(f []byte) *frame.Buffer {
	const bitMask, length16, length64 = 0x80, 126, 127 // RFC 6455 section 5.2
	header := 2
	switch f[1] {
	case length16:
		header += 2
	case length64:
		header += 8
	}
	key := maskingKey()
	b := frame.NewBuffer(len(f) + len(key))
	b.Append(f[:header])
	b.B[1] |= bitMask
	b.Append(key[:])
	b.Append(f[header:])
	ws.Cipher(b.B[header+len(key):], key, 0)
	return b
}

// appendMessage appends a message, or a control frame, in one frame to dst: masked if
// the connection is a client's.
func (o *outbox) appendMessage(dst []byte, op frame.Opcode, payload []byte) []byte {
	if o.masks {
		return frame.AppendMaskedFrame(dst, true, false, op, maskingKey(), payload)
	}
	return frame.AppendMessage(dst, op, payload)
}

// appendDeflated is appendMessage, compressed if that pays.
func (o *outbox) appendDeflated(dst []byte, op frame.Opcode, payload []byte, d *frame.DeflateOptions) []byte {
	if o.masks {
		return o.deflate.AppendMasked(dst, op, maskingKey(), payload, d)
	}
	return o.deflate.AppendMessage(dst, op, payload, d)
}
