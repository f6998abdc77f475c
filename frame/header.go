package frame

import (
	"encoding/binary"
	"math"
)

// header is the header of one frame, RFC 6455 section 5.2.
type header struct {
	fin    bool
	rsv1   bool
	op     Opcode
	masked bool
	key    [4]byte
	length int
}

// parseHeader parses the header at the beginning of b and returns its size, or 0
// if b ends before the header does. It checks each byte as soon as that is there,
// in the order of the wire, so that the result does not depend on where b ends.
func (d *Decoder) parseHeader(b []byte) (h header, size int, err error) {
	if len(b) == 0 {
		return h, 0, nil
	}
	if err := d.parseFirst(&h, b[0]); err != nil {
		return h, 0, err
	}
	if len(b) == 1 {
		return h, 0, nil
	}
	if err := d.parseSecond(&h, b[1]); err != nil {
		return h, 0, err
	}
	length, size, err := parseLength(b)
	if size == 0 || err != nil {
		return h, 0, err
	}
	if !h.op.IsControl() && length > d.room(h.rsv1) {
		return h, 0, errTooBig
	}
	h.length = int(length)
	if !h.masked {
		return h, size, nil
	}
	if len(b) < size+len(h.key) {
		return h, 0, nil
	}
	return h, size + copy(h.key[:], b[size:]), nil
}

// parseFirst takes FIN, the reserved bits and the opcode.
func (d *Decoder) parseFirst(h *header, b byte) error {
	h.fin, h.rsv1, h.op = b&bitFin != 0, b&bitRSV1 != 0, Opcode(b&0x0f)
	switch {
	case b&(bitRSV2|bitRSV3) != 0:
		return errReservedBits
	case h.op.isReserved():
		return errReservedOpcode
	case h.rsv1 && (!d.deflate || h.op != Text && h.op != Binary):
		// RFC 7692 section 6: RSV1 is set on the first frame of a message only.
		return errReservedBits
	case h.op.IsControl() && !h.fin:
		return errFragmentedControl
	case h.op.IsControl():
		return nil
	case h.op == Continuation && !d.fragmented():
		return errStrayContinuation
	case h.op != Continuation && d.fragmented():
		return errMissingContinuation
	}
	return nil
}

// parseSecond takes the mask bit and checks the 7-bit length of control frames.
func (d *Decoder) parseSecond(h *header, b byte) error {
	h.masked = b&bitMask != 0
	n := b &^ bitMask
	switch {
	case !h.masked && d.opts.Role == Server:
		return errUnmasked
	case h.masked && d.opts.Role == Client:
		return errMasked
	case h.op.IsControl() && n > maxControlPayload:
		return errLongControl
	case h.op == Close && n == 1:
		return errShortClose
	}
	return nil
}

// parseLength returns the payload length and the size of the header up to there;
// size 0 if b, which has two bytes at least, ends before.
func parseLength(b []byte) (length uint64, size int, err error) {
	switch n := b[1] &^ bitMask; n {
	case length16:
		if len(b) < 4 {
			return 0, 0, nil
		}
		length = uint64(binary.BigEndian.Uint16(b[2:]))
		if length < length16 {
			return 0, 0, errLengthNotMinimal
		}
		return length, 4, nil
	case length64:
		if len(b) > 2 && b[2]&0x80 != 0 {
			return 0, 0, errLengthTopBit
		}
		if len(b) < 10 {
			return 0, 0, nil
		}
		length = binary.BigEndian.Uint64(b[2:])
		if length <= math.MaxUint16 {
			return 0, 0, errLengthNotMinimal
		}
		return length, 10, nil
	default:
		return uint64(n), 2, nil
	}
}
