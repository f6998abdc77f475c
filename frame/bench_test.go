package frame

import (
	"fmt"
	"testing"
)

var benchSizes = []int{16, 128, 1 << 10, 16 << 10, 64 << 10, 1 << 20}

func bySize(b *testing.B, sizes []int, f func(b *testing.B, size int)) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			f(b, size)
		})
	}
}

// decodeLoop decodes the frames that next puts into in, which holds them whole.
func decodeLoop(b *testing.B, o *DecoderOptions, frame []byte, piece int) {
	in := make([]byte, len(frame))
	d := NewDecoder(o, true)
	for b.Loop() {
		copy(in, frame)
		for rest := in; len(rest) > 0; {
			m, n, err := d.Decode(rest[:min(piece, len(rest))])
			if err != nil {
				b.Fatal(err)
			}
			m.Buffer.Release()
			rest = rest[n:]
		}
	}
}

func BenchmarkDecodeText(b *testing.B) {
	bySize(b, benchSizes, func(b *testing.B, size int) {
		frame := masked(true, Text, string(records(size)))
		decodeLoop(b, &DecoderOptions{}, frame, len(frame))
	})
}

func BenchmarkDecodeBinary(b *testing.B) {
	bySize(b, benchSizes, func(b *testing.B, size int) {
		frame := masked(true, Binary, string(records(size)))
		decodeLoop(b, &DecoderOptions{}, frame, len(frame))
	})
}

func BenchmarkDecodeCut(b *testing.B) {
	bySize(b, benchSizes, func(b *testing.B, size int) {
		frame := masked(true, Text, string(records(size)))
		decodeLoop(b, &DecoderOptions{}, frame, max(len(frame)/5, 4096))
	})
}

func BenchmarkDecodeCompressed(b *testing.B) {
	bySize(b, benchSizes[2:], func(b *testing.B, size int) {
		frame := Deflate{windowBits: 15}.AppendMasked(nil, Text, testKey, records(size), &DeflateOptions{})
		decodeLoop(b, &DecoderOptions{}, frame, len(frame))
	})
}

func BenchmarkAppendFrame(b *testing.B) {
	bySize(b, benchSizes, func(b *testing.B, size int) {
		payload, dst := records(size), make([]byte, 0, FrameSize(size, false))
		for b.Loop() {
			AppendFrame(dst, true, false, Text, payload)
		}
	})
}

func BenchmarkAppendMaskedFrame(b *testing.B) {
	bySize(b, benchSizes, func(b *testing.B, size int) {
		payload, dst := records(size), make([]byte, 0, FrameSize(size, true))
		for b.Loop() {
			AppendMaskedFrame(dst, true, false, Text, testKey, payload)
		}
	})
}

func BenchmarkDeflate(b *testing.B) {
	for _, level := range []int{1, 5, 9} {
		for _, bits := range []uint8{9, 15} {
			b.Run(fmt.Sprintf("level=%d,bits=%d", level, bits), func(b *testing.B) {
				bySize(b, []int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10}, func(b *testing.B, size int) {
					payload, dst := records(size), make([]byte, 0, 2*size)
					d, opts := Deflate{windowBits: bits}, &DeflateOptions{Level: level, MinBytes: -1}
					for b.Loop() {
						dst = d.AppendMessage(dst[:0], Text, payload, opts)
					}
					b.ReportMetric(float64(len(dst))/float64(size), "ratio")
				})
			})
		}
	}
}

func BenchmarkPreparedBytes(b *testing.B) {
	p := Prepare(Text, records(1<<10), &DeflateOptions{})
	for _, d := range []Deflate{{}, {windowBits: 15}} {
		b.Run(fmt.Sprintf("deflate=%v", d.Enabled()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Bytes(d)
			}
		})
	}
}
