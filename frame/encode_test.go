package frame

import (
	"bytes"
	"strings"
	"testing"
)

// The examples of RFC 6455 section 5.7, encoded and decoded.
func TestRFC6455Examples(t *testing.T) {
	kib64 := strings.Repeat("\x00", 65536)
	tests := []struct {
		name    string
		role    Role // of the decoder
		op      Opcode
		payload string
		want    []byte // without the payload, if that is long
	}{
		{name: "unmasked text", role: Client, op: Text, payload: "Hello",
			want: []byte{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}},
		{name: "masked text", op: Text, payload: "Hello",
			want: []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}},
		{name: "unmasked ping", role: Client, op: Ping, payload: "Hello",
			want: []byte{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}},
		{name: "masked pong", op: Pong, payload: "Hello",
			want: []byte{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}},
		{name: "256 bytes", role: Client, op: Binary, payload: kib64[:256],
			want: append([]byte{0x82, 0x7e, 0x01, 0x00}, kib64[:256]...)},
		{name: "64 KiB", role: Client, op: Binary, payload: kib64,
			want: append([]byte{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}, kib64...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			if tt.role == Client {
				got = AppendMessage(nil, tt.op, []byte(tt.payload))
			} else {
				got = AppendMaskedFrame(nil, true, false, tt.op, testKey, []byte(tt.payload))
			}
			if !bytes.Equal(got, tt.want) {
				t.Errorf("encoded % .20x; want % .20x", got, tt.want)
			}
			d := NewDecoder(&DecoderOptions{Role: tt.role}, false)
			m, n, err := d.Decode(got)
			if m.Op != tt.op || string(m.Payload) != tt.payload || n != len(tt.want) || err != nil {
				t.Errorf("Decode = %v %.20q, %d, %v; want what was encoded", m.Op, m.Payload, n, err)
			}
		})
	}
}

func TestRFC6455ExampleFragments(t *testing.T) {
	got := AppendFrame(nil, false, false, Text, []byte("Hel"))
	got = AppendFrame(got, true, false, Continuation, []byte("lo"))
	want := []byte{0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}
	if !bytes.Equal(got, want) {
		t.Errorf("encoded % x; want % x", got, want)
	}
}

func TestAppendFrame(t *testing.T) {
	tests := []struct {
		name      string
		fin, rsv1 bool
		op        Opcode
		size      int
		want      []byte // the header
	}{
		{name: "empty", fin: true, op: Text, want: bits("1 000 0001 0 0000000")},
		{name: "fragment", op: Binary, size: 1, want: bits("0 000 0010 0 0000001")},
		{name: "compressed", fin: true, rsv1: true, op: Text, size: 1, want: bits("1 100 0001 0 0000001")},
		{name: "compressed fragment", rsv1: true, op: Text, size: 1, want: bits("0 100 0001 0 0000001")},
		{name: "125", fin: true, op: Close, size: 125, want: bits("1 000 1000 0 1111101")},
		{name: "126", fin: true, op: Binary, size: 126, want: bits("1 000 0010 0 1111110 00000000 01111110")},
		{name: "65535", fin: true, op: Binary, size: 65535, want: bits("1 000 0010 0 1111110 11111111 11111111")},
		{name: "65536", fin: true, op: Binary, size: 65536,
			want: bits("1 000 0010 0 1111111", strings.Repeat("00000000", 5), "00000001 00000000 00000000")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload := bytes.Repeat([]byte{'x'}, tt.size)
			dst := []byte("before")
			got := AppendFrame(dst, tt.fin, tt.rsv1, tt.op, payload)
			want := append(append([]byte("before"), tt.want...), payload...)
			if !bytes.Equal(got, want) {
				t.Errorf("AppendFrame = % .20x; want % .20x", got, want)
			}
			if n := FrameSize(tt.size, false); n != len(want)-len(dst) {
				t.Errorf("FrameSize(%d, false) = %d; want %d", tt.size, n, len(want)-len(dst))
			}

			got = AppendMaskedFrame(dst, tt.fin, tt.rsv1, tt.op, testKey, payload)
			want = append([]byte("before"), tt.want...)
			want[len(dst)+1] |= bitMask
			want = append(want, testKey[:]...)
			for i, b := range payload {
				want = append(want, b^testKey[i%4])
			}
			if !bytes.Equal(got, want) {
				t.Errorf("AppendMaskedFrame = % .20x; want % .20x", got, want)
			}
			if n := FrameSize(tt.size, true); n != len(want)-len(dst) {
				t.Errorf("FrameSize(%d, true) = %d; want %d", tt.size, n, len(want)-len(dst))
			}
			if !bytes.Equal(payload, bytes.Repeat([]byte{'x'}, tt.size)) {
				t.Error("the payload has changed")
			}
		})
	}
}

func TestOpcode(t *testing.T) {
	tests := []struct {
		op      Opcode
		name    string
		control bool
	}{
		{Continuation, "continuation", false},
		{Text, "text", false},
		{Binary, "binary", false},
		{Close, "close", true},
		{Ping, "ping", true},
		{Pong, "pong", true},
		{3, "opcode 3", false},
		{15, "opcode 15", true},
	}
	for _, tt := range tests {
		if got := tt.op.String(); got != tt.name || tt.op.IsControl() != tt.control {
			t.Errorf("opcode %d: %q, control %v; want %q, %v", uint8(tt.op), got, tt.op.IsControl(), tt.name, tt.control)
		}
	}
}
