package frame

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"testing"
)

// A small DEFLATE reader (RFC 1951) for tests, which knows the farthest it has been
// referred back: the window that a real one would have needed.
type windowReader struct {
	in       []byte
	bit      int // of in, next to be read
	out      []byte
	farthest int
}

var errCorrupt = errors.New("corrupt DEFLATE data")

// inflateWindow inflates a message payload and returns it with the largest distance.
func inflateWindow(payload []byte) (out []byte, farthest int, err error) {
	defer func() {
		if recover() != nil { // read past the end, or referred back too far
			err = errCorrupt
		}
	}()
	r := windowReader{in: append(bytes.Clone(payload), 0, 0, 0xff, 0xff)}
	for r.bit < 8*len(r.in) {
		final := r.bits(1)
		switch r.bits(2) {
		case 0:
			r.stored()
		case 1:
			r.compressed(fixedCodes())
		case 2:
			r.compressed(r.dynamicCodes())
		default:
			return nil, 0, errCorrupt
		}
		if final == 1 {
			r.bit = (r.bit + 7) &^ 7
		}
	}
	return r.out, r.farthest, nil
}

func (r *windowReader) bits(n int) (v int) {
	for i := range n {
		v |= int(r.in[r.bit/8]>>(r.bit%8)&1) << i
		r.bit++
	}
	return v
}

func (r *windowReader) stored() {
	r.bit = (r.bit + 7) &^ 7
	n := r.bits(16)
	if r.bits(16) != n^0xffff {
		panic(errCorrupt)
	}
	r.out = append(r.out, r.in[r.bit/8:][:n]...)
	r.bit += 8 * n
}

// prefixCode finds a symbol by the length and the value of its code.
type prefixCode map[[2]int]int

func newPrefixCode(lengths []int) prefixCode {
	c := make(prefixCode)
	code := 0
	for length := 1; length <= 15; length++ {
		for symbol, l := range lengths {
			if l == length {
				c[[2]int{length, code}] = symbol
				code++
			}
		}
		code <<= 1
	}
	return c
}

func (r *windowReader) symbol(c prefixCode) int {
	code := 0
	for length := 1; length <= 15; length++ {
		code = code<<1 | r.bits(1)
		if s, ok := c[[2]int{length, code}]; ok {
			return s
		}
	}
	panic(errCorrupt)
}

func fixedCodes() (literals, distances prefixCode) {
	lengths := make([]int, 288)
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	return newPrefixCode(lengths), newPrefixCode(bytesOf(5, 30))
}

func bytesOf(v, n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func (r *windowReader) dynamicCodes() (literals, distances prefixCode) {
	nl, nd, nc := r.bits(5)+257, r.bits(5)+1, r.bits(4)+4
	meta := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:nc] {
		meta[i] = r.bits(3)
	}
	code := newPrefixCode(meta)
	var lengths []int
	for len(lengths) < nl+nd {
		switch s := r.symbol(code); s {
		case 16:
			lengths = append(lengths, bytesOf(lengths[len(lengths)-1], 3+r.bits(2))...)
		case 17:
			lengths = append(lengths, make([]int, 3+r.bits(3))...)
		case 18:
			lengths = append(lengths, make([]int, 11+r.bits(7))...)
		default:
			lengths = append(lengths, s)
		}
	}
	return newPrefixCode(lengths[:nl]), newPrefixCode(lengths[nl:])
}

func (r *windowReader) compressed(literals, distances prefixCode) {
	for {
		s := r.symbol(literals)
		switch {
		case s < 256:
			r.out = append(r.out, byte(s))
			continue
		case s == 256:
			return
		}
		length := r.length(s - 257)
		distance := r.distance(r.symbol(distances))
		r.farthest = max(r.farthest, distance)
		for range length {
			r.out = append(r.out, r.out[len(r.out)-distance])
		}
	}
}

func (r *windowReader) length(i int) int {
	switch {
	case i < 8:
		return 3 + i
	case i == 28:
		return 258
	}
	extra := i/4 - 1
	return 3 + (4+i%4)<<extra + r.bits(extra)
}

func (r *windowReader) distance(i int) int {
	if i < 4 {
		return 1 + i
	}
	extra := i/2 - 1
	return 1 + (2+i%2)<<extra + r.bits(extra)
}

func newFlateWriter(t *testing.T, w io.Writer) *flate.Writer {
	t.Helper()
	fw, err := flate.NewWriter(w, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	return fw
}

// The reader above is only a witness if it is right.
func TestInflateWindow(t *testing.T) {
	message := bytes.Repeat([]byte("0123456789"), 10_000)
	message = append(append(message, make([]byte, 30_000)...), message[:100]...)
	for _, level := range []int{flate.NoCompression, flate.BestSpeed, flate.BestCompression, flate.HuffmanOnly} {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(message)
		w.Flush()
		got, farthest, err := inflateWindow(b.Bytes()[:b.Len()-flushTailBytes])
		if !bytes.Equal(got, message) || err != nil {
			t.Errorf("level %d: %d bytes, %v; want the %d written", level, len(got), err, len(message))
		}
		if level == flate.BestCompression && farthest < 30_000 {
			t.Errorf("level %d: farthest %d; want the beginning to be found again", level, farthest)
		}
	}
}
