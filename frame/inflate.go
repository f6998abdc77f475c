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

// inflater is a DEFLATE reader with its source and its sink.
type inflater struct {
	src    bytes.Reader
	r      io.ReadCloser // about 45 KiB
	out    *Buffer       // nil: empty
	limit  int           // bytes out may hold
	tooBig error         // what it means to have more
}

var inflaters = sync.Pool{New: func() any {
	f := new(inflater)
	f.r = flate.NewReader(&f.src)
	return f
}}

// inflate returns the message that was compressed into b, which stays the caller's
// although it changes; nil if the message is empty. The result belongs to the
// caller. A message without any byte of payload, which zlib takes, is empty.
func inflate(b *Buffer, o *DecoderOptions) (*Buffer, error) {
	n := b.len()
	if n == 0 {
		return nil, nil
	}
	b.Append([]byte(inflateTail))
	f := inflaters.Get().(*inflater)
	f.src.Reset(b.B)
	f.limit, f.tooBig = o.maxInflatedBytes(n)
	err := f.run()
	if err != nil {
		f.out.Release()
		f.out = nil
		if err != f.tooBig {
			err = errDeflateData
		}
	}
	out := f.out
	f.out = nil
	f.src.Reset(nil)
	inflaters.Put(f)
	return out, err
}

// run inflates src to its end. RFC 7692 section 7.2.1 lets a sender go on after a
// block with BFINAL set. To RFC 1951 that is another stream, so it may not refer
// back; and handing it a window would cost 32 KiB for every two bytes sent.
func (f *inflater) run() error {
	for {
		if err := f.r.(flate.Resetter).Reset(&f.src, nil); err != nil {
			return err
		}
		if _, err := io.Copy(f, f.r); err != nil {
			return err
		}
		if f.src.Len() <= len(inflateTail) {
			return nil
		}
	}
}

// Write takes what has been inflated.
func (f *inflater) Write(p []byte) (int, error) {
	if len(p) > f.limit-f.out.len() {
		return 0, f.tooBig
	}
	f.out = f.out.with(p)
	return len(p), nil
}
