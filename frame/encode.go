package frame

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/gobwas/ws"
)

// Bits of the first two bytes of a frame, RFC 6455 section 5.2.
const (
	bitFin  = 0x80
	bitRSV1 = 0x40
	bitRSV2 = 0x20
	bitRSV3 = 0x10
	bitMask = 0x80

	length16 = 126 // the length follows in 16 bits
	length64 = 127 // the length follows in 64 bits

	maxHeaderBytes = 14
)

// FrameSize returns how many bytes a frame with a payload of payloadLen takes.
func FrameSize(payloadLen int, masked bool) int {
	return headerSize(payloadLen, masked) + payloadLen
}

func headerSize(payloadLen int, masked bool) int {
	n := 2
	switch {
	case payloadLen > math.MaxUint16:
		n += 8
	case payloadLen >= length16:
		n += 2
	}
	if masked {
		n += 4
	}
	return n
}

// AppendFrame appends one unmasked frame, as a server sends it, to dst and returns
// it. payload is copied.
func AppendFrame(dst []byte, fin, rsv1 bool, op Opcode, payload []byte) []byte {
	dst = slices.Grow(dst, FrameSize(len(payload), false))
	dst = appendHeader(dst, fin, rsv1, op, 0, len(payload))
	return append(dst, payload...)
}

// AppendMaskedFrame appends one masked frame, as a client sends it, to dst and
// returns it. payload is copied and stays as it is. RFC 6455 section 5.3 wants a
// key that nobody can predict for each frame.
func AppendMaskedFrame(dst []byte, fin, rsv1 bool, op Opcode, key [4]byte, payload []byte) []byte {
	dst = slices.Grow(dst, FrameSize(len(payload), true))
	dst = appendHeader(dst, fin, rsv1, op, bitMask, len(payload))
	dst = append(dst, key[:]...)
	dst = append(dst, payload...)
	ws.Cipher(dst[len(dst)-len(payload):], key, 0)
	return dst
}

// AppendMessage appends a whole message, or a control frame, in one unmasked frame
// to dst and returns it. payload is copied.
func AppendMessage(dst []byte, op Opcode, payload []byte) []byte {
	n, length := len(dst), len(payload)
	// The rest is AppendFrame for what is short and has room, in half the time.
	if length > math.MaxUint16 || cap(dst)-n < 4+length {
		return AppendFrame(dst, true, false, op, payload)
	}
	dst = dst[:n+4+length]
	p := dst[n:]
	p[0] = bitFin | byte(op)
	if length < length16 {
		p[1] = byte(length)
		copy(p[2:], payload)
		return dst[:n+2+length]
	}
	p[1] = length16
	binary.BigEndian.PutUint16(p[2:], uint16(length))
	copy(p[4:], payload)
	return dst
}

// appendHeader appends a header without its masking key; mask is bitMask or 0.
func appendHeader(dst []byte, fin, rsv1 bool, op Opcode, mask byte, payloadLen int) []byte {
	first := byte(op)
	if fin {
		first |= bitFin
	}
	if rsv1 {
		first |= bitRSV1
	}
	switch {
	case payloadLen > math.MaxUint16:
		dst = append(dst, first, mask|length64)
		return binary.BigEndian.AppendUint64(dst, uint64(payloadLen))
	case payloadLen >= length16:
		dst = append(dst, first, mask|length16)
		return binary.BigEndian.AppendUint16(dst, uint16(payloadLen))
	}
	return append(dst, first, mask|byte(payloadLen))
}
