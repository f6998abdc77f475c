package frame

import (
	"bytes"
	"testing"
)

func wantNoAllocs(t *testing.T, name string, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(100, f); got != 0 {
		t.Errorf("%s: %v allocations; want none", name, got)
	}
}

func TestNoAllocsWhole(t *testing.T) {
	for _, size := range []int{0, 10, 125, 1000, 100_000} {
		payload := bytes.Repeat([]byte("x"), size)
		frame := AppendMaskedFrame(nil, true, false, Text, testKey, payload)
		in := make([]byte, len(frame))
		d := NewDecoder(&DecoderOptions{}, true)
		wantNoAllocs(t, "Decode", func() {
			copy(in, frame)
			if m, n, err := d.Decode(in); len(m.Payload) != size || n != len(in) || err != nil {
				t.Fatal(m.Op, n, err)
			}
		})
		dst := make([]byte, 0, FrameSize(size, true))
		wantNoAllocs(t, "AppendFrame", func() { AppendFrame(dst, true, false, Binary, payload) })
		wantNoAllocs(t, "AppendMaskedFrame", func() { AppendMaskedFrame(dst, true, false, Binary, testKey, payload) })

		p := Prepare(Text, payload, &DeflateOptions{})
		on := Deflate{windowBits: 15}
		p.Bytes(on)
		wantNoAllocs(t, "Prepared.Bytes", func() { p.Bytes(Deflate{}) })
		wantNoAllocs(t, "Prepared.Bytes, compressed", func() { p.Bytes(on) })
	}
}

func TestNoAllocsClose(t *testing.T) {
	dst := make([]byte, 0, maxControlPayload)
	wantNoAllocs(t, "AppendClosePayload", func() { AppendClosePayload(dst, CloseNormal, "reason") })
}

func TestNoAllocsViolation(t *testing.T) {
	frame := AppendMessage(nil, Text, []byte("unmasked"))
	o := &DecoderOptions{}
	wantNoAllocs(t, "Decode", func() {
		d := NewDecoder(o, false)
		if _, _, err := d.Decode(frame); err == nil {
			t.Fatal("no error")
		}
	})
}
