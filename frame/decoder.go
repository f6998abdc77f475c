package frame

import (
	"encoding/binary"
	"math"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Role is the side that decodes. It decides whether frames must be masked, RFC
// 6455 section 5.1.
type Role uint8

const (
	Server Role = iota // takes masked frames only
	Client             // takes unmasked frames only
)

const (
	defaultMaxMessageBytes = 1 << 20
	inflateRatioFloorBytes = 64 << 10
)

// DecoderOptions is shared by many decoders and must not change while one uses it.
type DecoderOptions struct {
	// Role is the side that decodes. Default: Server.
	Role Role
	// MaxMessageBytes bounds one whole message, over all its fragments and after
	// inflation; a larger one is a ProtocolError with CloseMessageTooBig, as early
	// as the headers show it. Zero or less: 1 MiB.
	MaxMessageBytes int
	// MaxInflateRatio bounds the size of a message in relation to its compressed
	// size; beyond it lies a ProtocolError with CloseMessageTooBig. Messages of up
	// to 64 KiB are exempt. Zero or less: no bound but MaxMessageBytes, since DEFLATE
	// makes what repeats itself up to 1032 times smaller, and honest senders do.
	MaxInflateRatio int
}

func (o *DecoderOptions) maxMessageBytes() int {
	if o.MaxMessageBytes <= 0 {
		return defaultMaxMessageBytes
	}
	return o.MaxMessageBytes
}

// maxCompressedBytes bounds what a message may take before it is inflated. A
// message within the limit fits even in the worst of codes that an encoder would
// use, the fixed one with nine bits for a byte (RFC 1951 section 3.2.6).
func (o *DecoderOptions) maxCompressedBytes() uint64 {
	n := uint64(o.maxMessageBytes())
	return min(n+n/8+64, math.MaxInt)
}

// maxInflatedBytes is what a message of n compressed bytes may grow to, and the
// error if it grows further.
func (o *DecoderOptions) maxInflatedBytes(n int) (int, error) {
	limit, ratio := o.maxMessageBytes(), o.MaxInflateRatio
	if ratio <= 0 || n > limit/ratio || inflateRatioFloorBytes >= limit {
		return limit, errTooBig
	}
	return max(n*ratio, inflateRatioFloorBytes), errInflateRatio
}

// Message is a message, or a control frame, that has arrived whole.
//
// If Buffer is nil, Payload lies in the input of the Decode that returned it. If
// it is not, Payload lies in Buffer, the receiver owns Buffer, and it calls
// Buffer.Release once when it has done with Payload.
type Message struct {
	Op         Opcode // Text, Binary, Close, Ping or Pong; Continuation: no message
	Payload    []byte
	Buffer     *Buffer
	Compressed bool // arrived compressed; Payload is not
}

// Decoder turns the bytes of one connection into messages. It holds memory only
// while a header, frame or message is incomplete. One goroutine at a time may use
// it, and it must not be copied once used.
type Decoder struct {
	opts    *DecoderOptions
	partial *assembly // nil: idle
	deflate bool
}

// NewDecoder returns a decoder for one connection. deflate says that
// permessage-deflate was negotiated. The decoder keeps o.
func NewDecoder(o *DecoderOptions, deflate bool) Decoder {
	return Decoder{opts: o, deflate: deflate}
}

// Decode takes bytes from in, up to the end of one message or control frame, and
// returns it and how many bytes it took. If m.Op is Continuation there is none
// yet, and all of in has been taken.
//
// The payload is unmasked where it lies, so in changes. A message that lies in in
// whole and in one frame, not compressed, is returned in place: its payload is
// valid as long as in is. Of anything else nothing in in is kept. See Message for
// who owns a payload.
//
// The error is a *ProtocolError, found at the first byte that shows it; after it
// only Release may be called, and n says nothing. Text is UTF-8, a close payload
// is well-formed. DEFLATE data that is corrupt counts as invalid payload (1007).
func (d *Decoder) Decode(in []byte) (m Message, n int, err error) {
	if op, payload, n, err := d.DecodeWhole(in); n > 0 {
		return Message{Op: op, Payload: payload}, n, err
	}
	for n < len(in) {
		switch a := d.partial; {
		case a == nil || !a.inFrame && a.headerLen == 0:
			h, size, err := d.parseHeader(in[n:])
			if err != nil {
				return Message{}, n, err
			}
			if size == 0 {
				a := d.assembly()
				a.headerLen = copy(a.headerBytes[:], in[n:])
				return Message{}, len(in), nil
			}
			n += size
			if h.isMessage() && h.length <= len(in)-n {
				payload := in[n : n+h.length : n+h.length]
				if err := h.open(payload); err != nil {
					return Message{}, n, err
				}
				return Message{Op: h.op, Payload: payload}, n + h.length, nil
			}
			d.begin(h)
		case !a.inFrame:
			size, err := d.resumeHeader(in[n:])
			n += size
			if err != nil || !a.inFrame {
				return Message{}, n, err
			}
		}
		m, took, err := d.decodePayload(in[n:])
		n += took
		if err != nil || m.Op != Continuation {
			return m, n, err
		}
	}
	return Message{}, n, nil
}

// DecodeWhole is the short way of Decode for the commonest of inputs: it takes a masked
// message of up to 64 KiB that lies whole, and in one frame, in in. It returns its
// size, or 0 and has done nothing if the input is of any other kind, which is for Decode.
func (d *Decoder) DecodeWhole(in []byte) (op Opcode, payload []byte, n int, err error) {
	const shortest = 2 + len(header{}.key)
	if len(in) < shortest || d.partial != nil || d.opts.Role != Server || in[1]&bitMask == 0 {
		return 0, nil, 0, nil
	}
	if in[0] != bitFin|byte(Text) && in[0] != bitFin|byte(Binary) {
		return 0, nil, 0, nil
	}
	length, at := int(in[1]&^bitMask), 2
	if length >= length16 {
		length, at = int(binary.BigEndian.Uint16(in[2:])), 4
		if in[1]&^bitMask != length16 || length < length16 {
			return 0, nil, 0, nil
		}
	}
	start := at + len(header{}.key)
	n = start + length
	if n > len(in) || length > d.opts.maxMessageBytes() {
		return 0, nil, 0, nil
	}
	payload = in[start:n:n]
	ws.Cipher(payload, [4]byte(in[at:]), 0)
	op = Opcode(in[0] & 0x0f)
	if op == Text && !utf8.Valid(payload) {
		return 0, nil, n, errText
	}
	return op, payload, n, nil
}

// Release gives back the memory of an incomplete message, for a connection that
// ends in the middle of one. It may be called again.
func (d *Decoder) Release() {
	if a := d.partial; a != nil {
		a.message.Release()
		a.control.Release()
		d.partial = nil
		*a = assembly{}
		assemblies.Put(a)
	}
}

// Idle reports whether no part of a header, frame or message is held.
func (d *Decoder) Idle() bool { return d.partial == nil }

// assembly is what a decoder holds between two inputs.
type assembly struct {
	headerBytes [maxHeaderBytes]byte
	headerLen   int // bytes of a cut header

	frame     header
	inFrame   bool // within the payload of frame
	remaining int  // payload bytes of frame to come

	// The data message of which a frame has begun; op is Continuation if none.
	op         Opcode
	compressed bool
	checked    int // bytes of message known to be UTF-8
	message    *Buffer

	control *Buffer // payload of a cut control frame
}

var assemblies = sync.Pool{New: func() any { return new(assembly) }}

func (d *Decoder) assembly() *assembly {
	if d.partial == nil {
		d.partial = assemblies.Get().(*assembly)
	}
	return d.partial
}

// fragmented reports whether a message has begun whose last frame has not.
func (d *Decoder) fragmented() bool {
	return d.partial != nil && d.partial.op != Continuation
}

// room returns how long the payload of the next data frame may be.
func (d *Decoder) room(compressed bool) uint64 {
	var held uint64
	if d.fragmented() {
		compressed = d.partial.compressed
		held = uint64(d.partial.message.len())
	}
	if compressed {
		return d.opts.maxCompressedBytes() - held
	}
	return uint64(d.opts.maxMessageBytes()) - held
}

// isMessage reports whether the frame is a message by itself, as it is.
func (h *header) isMessage() bool {
	return h.fin && !h.rsv1 && h.op != Continuation
}

// open unmasks and checks a payload that is a message by itself.
func (h *header) open(payload []byte) error {
	if h.masked {
		ws.Cipher(payload, h.key, 0)
	}
	switch h.op {
	case Text:
		if !utf8.Valid(payload) {
			return errText
		}
	case Close:
		return checkClosePayload(payload, true)
	}
	return nil
}

// resumeHeader goes on with a header that an earlier input has cut. If in does not
// complete it, all of in has been taken; otherwise its frame has begun.
func (d *Decoder) resumeHeader(in []byte) (n int, err error) {
	a := d.partial
	held := a.headerLen
	taken := copy(a.headerBytes[held:], in)
	h, size, err := d.parseHeader(a.headerBytes[:held+taken])
	if err != nil {
		return 0, err
	}
	if size == 0 {
		a.headerLen += taken
		return taken, nil
	}
	a.headerLen = 0
	d.begin(h)
	return size - held, nil
}

// begin makes h the current frame, of which the payload is to come.
func (d *Decoder) begin(h header) {
	a := d.assembly()
	a.frame, a.inFrame, a.remaining = h, true, h.length
	if h.op == Text || h.op == Binary {
		a.op, a.compressed = h.op, h.rsv1
	}
}

// decodePayload takes what in has of the current frame's payload.
func (d *Decoder) decodePayload(in []byte) (m Message, n int, err error) {
	a := d.partial
	p := in[:min(a.remaining, len(in))]
	if a.frame.masked {
		ws.Cipher(p, a.frame.key, a.frame.length-a.remaining)
	}
	a.remaining -= len(p)
	a.inFrame = a.remaining > 0
	if a.frame.op.IsControl() {
		m, err = d.takeControl(p)
	} else {
		m, err = d.takeData(p)
	}
	return m, len(p), err
}

// takeControl takes a piece of a cut control frame.
func (d *Decoder) takeControl(p []byte) (Message, error) {
	a := d.partial
	a.control = a.control.with(p)
	if a.frame.op == Close {
		if err := checkClosePayload(a.control.bytes(), !a.inFrame); err != nil {
			return Message{}, err
		}
	}
	if a.inFrame {
		return Message{}, nil
	}
	m := Message{Op: a.frame.op, Payload: a.control.bytes(), Buffer: a.control}
	a.control = nil
	if !d.fragmented() {
		d.Release()
	}
	return m, nil
}

// takeData takes a piece of a data frame.
func (d *Decoder) takeData(p []byte) (Message, error) {
	a := d.partial
	a.message = a.message.with(p)
	whole := a.frame.fin && !a.inFrame
	if a.op == Text && !a.compressed {
		n, ok := validUTF8Prefix(a.message.bytes()[a.checked:])
		a.checked += n
		if !ok || whole && a.checked < a.message.len() {
			return Message{}, errText
		}
	}
	if !whole {
		return Message{}, nil
	}
	m := Message{Op: a.op, Payload: a.message.bytes(), Buffer: a.message, Compressed: a.compressed}
	if a.compressed {
		return d.inflate(m)
	}
	a.message = nil
	d.Release()
	return m, nil
}

// inflate ends a compressed message, RFC 7692 section 7.2.2.
func (d *Decoder) inflate(m Message) (Message, error) {
	out, err := inflate(m.Buffer, d.opts)
	if err != nil {
		return Message{}, err
	}
	if m.Op == Text && !utf8.Valid(out.bytes()) {
		out.Release()
		return Message{}, errText
	}
	d.Release()
	m.Payload, m.Buffer = out.bytes(), out
	return m, nil
}
