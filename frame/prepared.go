package frame

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// Prepared is one message encoded once, to be sent by a server to any number of
// connections. It is immutable; any goroutine may use it.
type Prepared struct {
	op       Opcode
	header   uint8  // bytes before the payload in plain
	plain    []byte // the frame
	opts     *DeflateOptions
	deflated atomic.Pointer[twins] // nil until needed
}

// twins has a compressed frame for each window that connections have negotiated.
type twins [maxWindowBits - minWindowBits + 1]struct {
	once  sync.Once
	frame []byte
}

// Prepare encodes a message, or a control frame. It copies payload and keeps o. If
// o is nil the message is never compressed.
func Prepare(op Opcode, payload []byte, o *DeflateOptions) *Prepared {
	return &Prepared{
		op:     op,
		header: uint8(headerSize(len(payload), false)),
		plain:  AppendMessage(nil, op, payload),
		opts:   o,
	}
}

// Op returns the opcode of the message.
func (p *Prepared) Op() Opcode { return p.op }

// Payload returns the message. It must not be modified.
func (p *Prepared) Payload() []byte { return p.plain[p.header:] }

// Bytes returns the frame to send to a connection that has negotiated d. It must
// not be modified. The first call for a window size compresses; concurrent ones
// wait for it.
func (p *Prepared) Bytes(d Deflate) []byte {
	if !d.wants(p.op, len(p.plain)-int(p.header), p.opts) {
		return p.plain
	}
	t := p.deflated.Load()
	if t == nil {
		p.deflated.CompareAndSwap(nil, new(twins))
		t = p.deflated.Load()
	}
	twin := &t[d.windowBits-minWindowBits]
	twin.once.Do(func() { twin.frame = p.compress(d) })
	return twin.frame
}

func (p *Prepared) compress(d Deflate) []byte {
	// Compressed into scratch memory first, so that what is kept has no slack.
	scratch := NewBuffer(len(p.plain) + flushTailBytes)
	defer scratch.Release()
	frame, ok := d.appendCompressed(scratch.B, p.op, nil, p.Payload(), p.opts.level())
	if !ok {
		return p.plain
	}
	return bytes.Clone(frame)
}
