package frame

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// inflateTail follows a compressed payload: the end of the empty stored block that
// the sender has cut off (RFC 7692 section 7.2.2), and a last block, with which the
// reader ends cleanly.
const inflateTail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

// inflater is a DEFLATE reader and its source, about 45 KiB.
type inflater struct {
	src bytes.Reader
	r   io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	f := new(inflater)
	f.r = flate.NewReader(&f.src)
	return f
}}

func (f *inflater) reset() error {
	return f.r.(flate.Resetter).Reset(&f.src, nil)
}

// inflate returns the message that was compressed into b, which stays the caller's
// although it changes; nil if the message is empty. The result belongs to the
// caller. A message without any byte of payload is taken as empty.
func inflate(b *Buffer, o *DecoderOptions) (*Buffer, error) {
	n := b.len()
	if n == 0 {
		return nil, nil
	}
	b.Append([]byte(inflateTail))
	f := inflaters.Get().(*inflater)
	f.src.Reset(b.B)
	limit := o.maxInflatedBytes(n)
	out, err := f.inflate(NewBuffer(min(2*n, limit)), limit)
	f.src.Reset(nil)
	inflaters.Put(f)
	if err == nil {
		return out, nil
	}
	out.Release()
	if err == errTooBig && limit < o.maxMessageBytes() {
		err = errInflateRatio
	}
	return nil, err
}

// inflate reads f.src to its end into out, up to limit bytes.
func (f *inflater) inflate(out *Buffer, limit int) (*Buffer, error) {
	if err := f.reset(); err != nil {
		return out, errDeflateData
	}
	for {
		out.Grow(1)
		n, err := f.r.Read(out.B[len(out.B):cap(out.B)])
		if n > limit-len(out.B) {
			return out, errTooBig
		}
		out.B = out.B[:len(out.B)+n]
		switch {
		case err == io.EOF && f.src.Len() <= len(inflateTail):
			return out, nil
		case err == io.EOF:
			// RFC 7692 section 7.2.1: blocks with BFINAL set may be followed by others.
			err = f.reset()
		}
		if err != nil {
			return out, errDeflateData
		}
	}
}
