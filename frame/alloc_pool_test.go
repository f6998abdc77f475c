//go:build !race && !pool_sanitize

package frame

import (
	"bytes"
	"testing"
)

// The race detector makes sync.Pool forget at random, and the sanitizer never reuses.

func TestNoAllocsCut(t *testing.T) {
	for _, size := range []int{1, 10, 1000, 100_000} {
		message := records(size)
		streams := map[string][]byte{
			"one frame":  AppendMaskedFrame(nil, true, false, Text, testKey, message),
			"fragments":  append(masked(false, Text, string(message)), masked(true, Continuation, string(message))...),
			"compressed": Deflate{windowBits: 15}.AppendMasked(nil, Text, testKey, message, &DeflateOptions{MinBytes: -1}),
		}
		for name, stream := range streams {
			in := make([]byte, 0, 100)
			d := NewDecoder(&DecoderOptions{}, true)
			wantNoAllocs(t, "Decode in pieces of 100, "+name, func() {
				for rest := stream; len(rest) > 0; rest = rest[len(in):] {
					in = append(in[:0], rest[:min(len(rest), cap(in))]...)
					m, n, err := d.Decode(in)
					if n != len(in) || err != nil {
						t.Fatal(n, err)
					}
					m.Buffer.Release()
				}
				if !d.Idle() {
					t.Fatal("not idle")
				}
			})
		}
	}
}

func TestNoAllocsCutControl(t *testing.T) {
	ping := masked(true, Ping, "hello")
	in := make([]byte, 1)
	d := NewDecoder(&DecoderOptions{}, false)
	wantNoAllocs(t, "Decode byte by byte", func() {
		for _, in[0] = range ping {
			m, _, err := d.Decode(in)
			if err != nil {
				t.Fatal(err)
			}
			m.Buffer.Release()
		}
	})
}

func TestNoAllocsBuffer(t *testing.T) {
	p := bytes.Repeat([]byte("x"), 1000)
	wantNoAllocs(t, "Buffer", func() {
		b := NewBuffer(100)
		for range 100 {
			b.Append(p)
		}
		b.Release()
	})
}

func TestNoAllocsDeflate(t *testing.T) {
	message := records(10_000)
	dst := make([]byte, 0, 2*len(message))
	opts := &DeflateOptions{}
	for _, d := range []Deflate{{windowBits: 15}, {windowBits: 10}} {
		wantNoAllocs(t, "AppendMessage", func() { d.AppendMessage(dst, Text, message, opts) })
		wantNoAllocs(t, "AppendMasked", func() { d.AppendMasked(dst, Text, testKey, message, opts) })
	}
}
