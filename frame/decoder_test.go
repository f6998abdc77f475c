package frame

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestDecoderSize(t *testing.T) {
	if got := unsafe.Sizeof(Decoder{}); got > 24 {
		t.Errorf("unsafe.Sizeof(Decoder{}) = %d; want at most 24", got)
	}
}

var digits = strings.Repeat("0123456789", 30)

var messageTests = []struct {
	name   string
	frames [][]byte
	want   []received
}{
	{
		name:   "text",
		frames: [][]byte{masked(true, Text, "héllo")},
		want:   []received{{op: Text, payload: "héllo"}},
	},
	{
		name:   "empty messages",
		frames: [][]byte{masked(true, Text, ""), masked(true, Binary, ""), masked(true, Ping, ""), masked(true, Close, "")},
		want:   []received{{op: Text}, {op: Binary}, {op: Ping}, {op: Close}},
	},
	{
		name:   "several in one input",
		frames: [][]byte{masked(true, Binary, "\x00\xff"), masked(true, Pong, "p"), masked(true, Text, "t")},
		want:   []received{{op: Binary, payload: "\x00\xff"}, {op: Pong, payload: "p"}, {op: Text, payload: "t"}},
	},
	{
		name: "fragments",
		frames: [][]byte{masked(false, Text, "one "), masked(false, Continuation, ""), masked(false, Continuation, "two "),
			masked(true, Continuation, "three")},
		want: []received{{op: Text, payload: "one two three"}},
	},
	{
		name:   "empty fragments",
		frames: [][]byte{masked(false, Binary, ""), masked(false, Continuation, ""), masked(true, Continuation, "")},
		want:   []received{{op: Binary}},
	},
	{
		name:   "rune over three fragments",
		frames: [][]byte{masked(false, Text, "\xf0\x9f"), masked(false, Continuation, "\x98"), masked(true, Continuation, "\x80!")},
		want:   []received{{op: Text, payload: "😀!"}},
	},
	{
		name: "control frames between fragments",
		frames: [][]byte{masked(false, Binary, "a"), masked(true, Ping, "ping"), masked(true, Continuation, "b"),
			masked(true, Close, "\x03\xe8bye")},
		want: []received{{op: Ping, payload: "ping"}, {op: Binary, payload: "ab"}, {op: Close, payload: "\x03\xe8bye"}},
	},
	{
		name:   "control frame of 125 bytes",
		frames: [][]byte{masked(true, Ping, digits[:125])},
		want:   []received{{op: Ping, payload: digits[:125]}},
	},
	{
		name:   "16-bit length",
		frames: [][]byte{masked(true, Binary, digits[:126]), masked(true, Text, digits[:300])},
		want:   []received{{op: Binary, payload: digits[:126]}, {op: Text, payload: digits[:300]}},
	},
}

// Every way of cutting these streams in two, and into single bytes, must give the
// same messages.
func TestDecodeMessages(t *testing.T) {
	for _, tt := range messageTests {
		t.Run(tt.name, func(t *testing.T) {
			stream := bytes.Join(tt.frames, nil)
			cuts := [][][]byte{bytewise(stream)}
			for cut := range stream {
				cuts = append(cuts, [][]byte{stream[:cut], stream[cut:]})
			}
			for i, pieces := range cuts {
				d := NewDecoder(&DecoderOptions{}, false)
				got, _, err := decodeAll(t, &d, pieces...)
				if !slices.Equal(got, tt.want) || err != nil {
					t.Fatalf("cut %d: got %+v, %v; want %+v", i, got, err, tt.want)
				}
			}
		})
	}
}

func TestDecode64BitLength(t *testing.T) {
	want := strings.Repeat("0123456789abcdef", 1<<16)
	stream := masked(true, Binary, want)
	for _, size := range []int{1000, 4096, 65536, len(stream) - 1, len(stream)} {
		d := NewDecoder(&DecoderOptions{}, false)
		got, _, err := decodeAll(t, &d, slices.Collect(slices.Chunk(stream, size))...)
		if len(got) != 1 || got[0].payload != want || err != nil {
			t.Errorf("in pieces of %d: %d messages, %v; want the one sent", size, len(got), err)
		}
	}
}

func TestDecodeInPlace(t *testing.T) {
	in := masked(true, Text, "hello")
	want := string(in)
	d := NewDecoder(&DecoderOptions{}, false)
	m, n, err := d.Decode(in)
	if n != len(in) || err != nil || m.Buffer != nil || string(m.Payload) != "hello" {
		t.Fatalf("Decode = %+v, %d, %v; want hello without a buffer", m, n, err)
	}
	if &m.Payload[0] != &in[6] || cap(m.Payload) != 5 {
		t.Error("the payload is not the very bytes of the input")
	}
	if string(in[:6]) != want[:6] || !d.Idle() {
		t.Error("the header has changed, or something is held")
	}
	// A control frame between fragments that is whole is in place as well.
	d.Decode(masked(false, Text, "begun"))
	in = masked(true, Ping, "ping")
	if m, _, err = d.Decode(in); m.Op != Ping || err != nil || m.Buffer != nil || &m.Payload[0] != &in[6] {
		t.Errorf("Decode(ping) = %+v, %v; want it in place", m, err)
	}
	d.Release()
}

func TestDecodeKeepsNothingOfInput(t *testing.T) {
	d := NewDecoder(&DecoderOptions{}, false)
	stream := append(masked(false, Binary, "one"), masked(true, Continuation, "two")...)
	in := make([]byte, 1)
	for i, c := range stream {
		in[0] = c
		m, _, err := d.Decode(in)
		if err != nil {
			t.Fatal(err)
		}
		in[0] = 0xff
		if i == len(stream)-1 {
			if string(m.Payload) != "onetwo" || m.Buffer == nil {
				t.Errorf("got %q; want onetwo in a buffer", m.Payload)
			}
			m.Buffer.Release()
		}
	}
}

func TestDecoderIdle(t *testing.T) {
	tests := []struct {
		name  string
		input []byte
		want  bool
	}{
		{name: "nothing", want: true},
		{name: "one byte of a header", input: masked(true, Text, "hello")[:1]},
		{name: "header without its key", input: masked(true, Text, "hello")[:3]},
		{name: "header", input: masked(true, Text, "hello")[:6]},
		{name: "part of a payload", input: masked(true, Text, "hello")[:7]},
		{name: "message", input: masked(true, Text, "hello"), want: true},
		{name: "part of a ping", input: masked(true, Ping, "hello")[:7]},
		{name: "ping", input: masked(true, Ping, "hello"), want: true},
		{name: "fragment", input: masked(false, Text, "hello")},
		{name: "empty fragment", input: masked(false, Text, "")},
		{name: "fragment and ping", input: append(masked(false, Text, ""), masked(true, Ping, "x")...)},
		{name: "fragments", input: append(masked(false, Text, ""), masked(true, Continuation, "x")...), want: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, pieces := range [][][]byte{{tt.input}, bytewise(tt.input)} {
				d := NewDecoder(&DecoderOptions{}, false)
				for _, in := range pieces {
					for in = slices.Clone(in); len(in) > 0; {
						m, n, err := d.Decode(in)
						if err != nil {
							t.Fatal(err)
						}
						m.Buffer.Release()
						in = in[n:]
					}
				}
				if got := d.Idle(); got != tt.want {
					t.Errorf("Idle after % x = %v; want %v", tt.input, got, tt.want)
				}
				d.Release()
				d.Release()
				if !d.Idle() {
					t.Error("not idle after Release")
				}
			}
		})
	}
}

// Memory follows what has arrived, not what was announced.
func TestDecodeMemoryFollowsInput(t *testing.T) {
	stream := masked(true, Binary, strings.Repeat("x", 1<<20))
	d := NewDecoder(&DecoderOptions{}, false)
	const piece = 1000
	slack := 256 // the smallest class
	if sanitized {
		slack = 8 << 10 // whole pages
	}
	for fed := 0; len(stream) > piece; {
		if _, _, err := d.Decode(stream[:piece]); err != nil {
			t.Fatal(err)
		}
		fed += piece
		stream = stream[piece:]
		if held := cap(d.partial.message.B); held > 2*fed+slack {
			t.Fatalf("%d bytes held after %d arrived", held, fed)
		}
	}
	d.Release()
}

func TestDecodeLimit(t *testing.T) {
	frames := func(sizes ...int) (stream []byte) {
		for i, n := range sizes {
			op := Continuation
			if i == 0 {
				op = Binary
			}
			stream = append(stream, masked(i == len(sizes)-1, op, strings.Repeat("x", n))...)
		}
		return stream
	}
	tests := []struct {
		name   string
		stream []byte
		want   error
	}{
		{name: "at the limit", stream: frames(1000)},
		{name: "over it", stream: frames(1001), want: errTooBig},
		{name: "fragments at the limit", stream: frames(500, 0, 500, 0)},
		{name: "fragments over it", stream: frames(500, 0, 500, 1), want: errTooBig},
		{name: "each message for itself", stream: append(frames(600, 400), frames(1000)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, pieces := range [][][]byte{{tt.stream}, bytewise(tt.stream)} {
				d := NewDecoder(&DecoderOptions{MaxMessageBytes: 1000}, false)
				if _, _, err := decodeAll(t, &d, pieces...); !errors.Is(err, tt.want) {
					t.Errorf("Decode = %v; want %v", err, tt.want)
				}
			}
		})
	}
}

func TestProtocolErrorCodes(t *testing.T) {
	tests := []struct {
		stream []byte
		want   CloseCode
	}{
		{stream: bits("1 000 0011"), want: CloseProtocolError},
		{stream: masked(true, Text, "\xff"), want: CloseInvalidPayload},
		{stream: masked(true, Close, "\x03\xe8\xff"), want: CloseInvalidPayload},
		{stream: masked(true, Close, "\x03\xed"), want: CloseProtocolError},
		{stream: masked(true, Binary, strings.Repeat("x", 1<<20+1)), want: CloseMessageTooBig},
	}
	for _, tt := range tests {
		d := NewDecoder(&DecoderOptions{}, false)
		_, _, err := decodeAll(t, &d, tt.stream)
		var violation *ProtocolError
		if !errors.As(err, &violation) || violation.Code != tt.want {
			t.Errorf("Decode(% .8x) = %v; want a ProtocolError with %v", tt.stream, err, tt.want)
		}
	}
}
