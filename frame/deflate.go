package frame

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

const (
	minWindowBits = 8
	maxWindowBits = 15

	minLevel     = 1
	maxLevel     = 9
	defaultLevel = 1

	defaultMinBytes = 512
)

// DeflateOptions says whether and how messages are compressed, RFC 7692. It is
// shared and must not change while in use.
type DeflateOptions struct {
	// Enabled lets the extension be negotiated. Default: false.
	Enabled bool
	// Level is the effort, 1 (fastest) to 9 (smallest); others are moved into that
	// range. It has no effect with a window smaller than 15 bits. Default: 1.
	Level int
	// MinBytes is the size below which a message is sent as it is. Default: 512.
	// Negative: every message is tried, though below 128 bytes levels 1 to 6 find no
	// repetitions.
	MinBytes int
	// WindowBits bounds the window of our compressor, as its base-2 logarithm, 8 to
	// 15; others are moved into that range. Default: 15.
	WindowBits int
}

func (o *DeflateOptions) level() int {
	return min(max(cmp.Or(o.Level, defaultLevel), minLevel), maxLevel)
}

func (o *DeflateOptions) windowBits() int {
	return min(max(cmp.Or(o.WindowBits, maxWindowBits), minWindowBits), maxWindowBits)
}

// Deflate is what was negotiated for one connection. The zero value is a
// connection without compression.
type Deflate struct {
	windowBits uint8 // of our compressor; 0: no compression
}

// Enabled reports whether permessage-deflate was negotiated.
func (d Deflate) Enabled() bool { return d.windowBits != 0 }

// AppendMessage appends a message in one unmasked frame to dst and returns it:
// compressed, if that was negotiated, o allows it and it is smaller; plain
// otherwise, as are control frames. payload is copied, and must not overlap with
// what dst has room for.
func (d Deflate) AppendMessage(dst []byte, op Opcode, payload []byte, o *DeflateOptions) []byte {
	if d.wants(op, len(payload), o) {
		var ok bool
		if dst, ok = d.appendCompressed(dst, op, nil, payload, o.level()); ok {
			return dst
		}
	}
	return AppendMessage(dst, op, payload)
}

// AppendMasked is AppendMessage with a masked frame, as a client sends it.
func (d Deflate) AppendMasked(dst []byte, op Opcode, key [4]byte, payload []byte, o *DeflateOptions) []byte {
	if d.wants(op, len(payload), o) {
		var ok bool
		if dst, ok = d.appendCompressed(dst, op, key[:], payload, o.level()); ok {
			return dst
		}
	}
	return AppendMaskedFrame(dst, true, false, op, key, payload)
}

// wants reports whether compressing such a message is worth a try. o may be nil.
func (d Deflate) wants(op Opcode, n int, o *DeflateOptions) bool {
	return d.Enabled() && o != nil && !op.IsControl() && n > 0 && n >= cmp.Or(o.MinBytes, defaultMinBytes)
}

// appendCompressed appends a compressed frame, masked if key is not nil. If it is
// not smaller than payload it appends nothing and reports false.
func (d Deflate) appendCompressed(dst []byte, op Opcode, key, payload []byte, level int) ([]byte, bool) {
	start := len(dst)
	// The final header is not longer than one for the whole payload.
	body := start + headerSize(len(payload), key != nil)
	dst = slices.Grow(dst, body-start)[:body]
	dst, ok := d.compress(dst, payload, level)
	if !ok {
		return dst[:start], false
	}
	compressed := dst[body:]
	var mask byte
	if key != nil {
		mask = bitMask
		ws.Cipher(compressed, [4]byte(key), 0)
	}
	dst = appendHeader(dst[:start], true, true, op, mask, len(compressed))
	dst = append(dst, key...)
	return append(dst, compressed...), true
}

// compressor is a DEFLATE writer that appends to a slice.
type compressor struct {
	w    *flate.Writer
	dst  []byte
	room int // bytes that may still be appended
}

var errNotSmaller = errors.New("frame: compressed message is not smaller")

func (c *compressor) Write(p []byte) (int, error) {
	if c.room -= len(p); c.room < 0 {
		return 0, errNotSmaller
	}
	c.dst = append(c.dst, p...)
	return len(p), nil
}

// Compressors by level for the full window, by window size for smaller ones.
var (
	levelCompressors  [maxLevel + 1]sync.Pool
	windowCompressors [maxWindowBits]sync.Pool
)

func (d Deflate) compressor(level int) (*compressor, *sync.Pool) {
	pool := &levelCompressors[level]
	if d.windowBits < maxWindowBits {
		pool = &windowCompressors[d.windowBits]
	}
	if c, ok := pool.Get().(*compressor); ok {
		return c, pool
	}
	c := new(compressor)
	var err error
	if d.windowBits < maxWindowBits {
		c.w, err = flate.NewWriterWindow(io.Discard, 1<<d.windowBits)
	} else {
		c.w, err = flate.NewWriter(io.Discard, level)
	}
	if err != nil {
		panic(err) // level and window are in range
	}
	return c, pool
}

// flushTailBytes is 00 00 ff ff, which ends each flush and is not sent.
const flushTailBytes = 4

// compress appends payload, compressed as RFC 7692 section 7.2.1 says, to dst, and
// reports whether it got smaller. If not, what it has appended is void.
func (d Deflate) compress(dst, payload []byte, level int) ([]byte, bool) {
	c, pool := d.compressor(level)
	c.dst, c.room = dst, len(payload)-1+flushTailBytes
	c.w.Reset(c)
	_, err := c.w.Write(payload)
	if err == nil {
		err = c.w.Flush()
	}
	dst, c.dst = c.dst, nil
	pool.Put(c)
	if err != nil {
		return dst, false
	}
	return dst[:len(dst)-flushTailBytes], true
}
