package frame

import (
	"testing"
	"unsafe"
)

func TestDecoderSize(t *testing.T) {
	if got := unsafe.Sizeof(Decoder{}); got > 24 {
		t.Errorf("unsafe.Sizeof(Decoder{}) = %d; want at most 24", got)
	}
}

func TestDecodeByteByByte(t *testing.T) {
	d := NewDecoder(&DecoderOptions{}, false)
	stream := AppendMaskedFrame(nil, true, false, Text, [4]byte{1, 2, 3, 4}, []byte("hello"))
	var got Message
	for i := range stream {
		m, _, err := d.Decode(stream[i : i+1])
		if err != nil {
			t.Fatal(err)
		}
		if m.Op != Continuation {
			got = m
		}
	}
	if string(got.Payload) != "hello" || got.Op != Text || !d.Idle() {
		t.Errorf("got %v %q, idle %v; want text \"hello\", idle", got.Op, got.Payload, d.Idle())
	}
	got.Buffer.Release()
}

func TestDeflateRoundTrip(t *testing.T) {
	o := &DeflateOptions{Enabled: true, MinBytes: -1}
	for _, offer := range []string{"permessage-deflate", "permessage-deflate; server_max_window_bits=8"} {
		d, response := NegotiateDeflate(*o, []string{offer})
		if !d.Enabled() {
			t.Fatalf("NegotiateDeflate(%q) = %v, %q", offer, d, response)
		}
		want := ""
		for range 100 {
			want += "hello "
		}
		dec := NewDecoder(&DecoderOptions{Role: Client}, true)
		in := Prepare(Text, []byte(want), o).Bytes(d)
		m, n, err := dec.Decode(in)
		if string(m.Payload) != want || n != len(in) || err != nil || !m.Compressed || !dec.Idle() {
			t.Errorf("Decode = %q, %d, %v", m.Payload, n, err)
		}
		m.Buffer.Release()
	}
}
