package frame

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// deflatedHello is the example of RFC 7692 section 7.2.3.1.
const deflatedHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"

var inflateTests = []struct {
	name   string
	frames [][]byte
	want   []received
}{
	{
		name:   "7.2.3.1: one block",
		frames: [][]byte{maskedRSV1(true, Text, deflatedHello)},
		want:   []received{{Text, "Hello", true}},
	},
	{
		name:   "7.2.3.1: fragmented",
		frames: [][]byte{maskedRSV1(false, Text, deflatedHello[:3]), masked(true, Continuation, deflatedHello[3:])},
		want:   []received{{Text, "Hello", true}},
	},
	{
		name:   "7.2.3.3: no compression",
		frames: [][]byte{maskedRSV1(true, Text, "\x00\x05\x00\xfa\xffHello\x00")},
		want:   []received{{Text, "Hello", true}},
	},
	{
		name:   "7.2.3.4: BFINAL",
		frames: [][]byte{maskedRSV1(true, Text, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")},
		want:   []received{{Text, "Hello", true}},
	},
	{
		name:   "BFINAL and no empty block after it",
		frames: [][]byte{maskedRSV1(true, Text, "\xf3\x48\xcd\xc9\xc9\x07\x00")},
		want:   []received{{Text, "Hello", true}},
	},
	{
		name:   "BFINAL twice",
		frames: [][]byte{maskedRSV1(true, Text, "\xf3\x48\xcd\xc9\xc9\x07\x00"+"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")},
		want:   []received{{Text, "HelloHello", true}},
	},
	{
		name:   "BFINAL, then a block without",
		frames: [][]byte{maskedRSV1(true, Text, "\xf3\x48\xcd\xc9\xc9\x07\x00"+deflatedHello)},
		want:   []received{{Text, "HelloHello", true}},
	},
	{
		name:   "7.2.3.5: two blocks",
		frames: [][]byte{maskedRSV1(true, Text, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")},
		want:   []received{{Text, "Hello", true}},
	},
	{
		name:   "7.2.3.6: empty block",
		frames: [][]byte{maskedRSV1(true, Text, "\x00")},
		want:   []received{{Text, "", true}},
	},
	{
		name:   "empty block of the fixed code",
		frames: [][]byte{maskedRSV1(true, Binary, "\x02\x00")},
		want:   []received{{Binary, "", true}},
	},
	{
		name:   "no block at all",
		frames: [][]byte{maskedRSV1(true, Text, ""), maskedRSV1(false, Text, ""), masked(true, Continuation, "")},
		want:   []received{{Text, "", true}, {Text, "", true}},
	},
	{
		name: "plain, compressed, and control frames between",
		frames: [][]byte{masked(true, Text, "plain"), maskedRSV1(false, Text, deflatedHello[:1]), masked(true, Ping, "p"),
			masked(false, Continuation, deflatedHello[1:6]), masked(true, Continuation, deflatedHello[6:]), masked(false, Text, "pl"), masked(true, Continuation, "ain")},
		want: []received{{op: Text, payload: "plain"}, {op: Ping, payload: "p"}, {Text, "Hello", true}, {op: Text, payload: "plain"}},
	},
}

// The examples of RFC 7692 section 7.2.3, and their kin.
func TestInflate(t *testing.T) {
	for _, tt := range inflateTests {
		t.Run(tt.name, func(t *testing.T) {
			stream := bytes.Join(tt.frames, nil)
			for _, pieces := range [][][]byte{{stream}, bytewise(stream)} {
				d := NewDecoder(&DecoderOptions{}, true)
				got, _, err := decodeAll(t, &d, pieces...)
				if !slices.Equal(got, tt.want) || err != nil {
					t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
				}
			}
		})
	}
}

func TestInflateViolations(t *testing.T) {
	tests := []struct {
		name    string
		payload string
		want    error
	}{
		{name: "reserved block type", payload: "\x06\x00", want: errDeflateData},
		{name: "stored block with a wrong length", payload: "\x00\x05\x00\x00\x00Hello\x00", want: errDeflateData},
		{name: "stored block cut", payload: "\x00\x05\x01\xfa\xfeHello", want: errDeflateData},
		{name: "distance too far", payload: "\x02\x03\x00", want: errDeflateData},
		{name: "reference over BFINAL", payload: "\xf3\x48\xcd\xc9\xc9\x07\x00" + "\x02\x43\x00\x00", want: errDeflateData},
		{name: "text that is not UTF-8", payload: "\x00\x01\x00\xfe\xff\xff\x00", want: errText},
		{name: "text cut in a rune", payload: "\x00\x01\x00\xfe\xff\xc3\x00", want: errText},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stream := maskedRSV1(true, Text, tt.payload)
			for _, pieces := range [][][]byte{{stream}, bytewise(stream)} {
				d := NewDecoder(&DecoderOptions{}, true)
				if got, fed, err := decodeAll(t, &d, pieces...); !errors.Is(err, tt.want) || fed != len(stream) {
					t.Errorf("Decode(% x) = %+v, %v after %d bytes; want %v", tt.payload, got, err, fed, tt.want)
				}
			}
		})
	}
}

func TestInflateLimits(t *testing.T) {
	random := make([]byte, 1<<20+1)
	rand.NewChaCha8([32]byte{}).Read(random)
	tests := []struct {
		name    string
		message []byte
		opts    DecoderOptions
		want    error
	}{
		{name: "zeros at the size", message: make([]byte, 1<<20)},
		{name: "zeros over the size", message: make([]byte, 1<<20+1), want: errTooBig},
		{name: "a bomb", message: make([]byte, 16<<20), want: errTooBig},
		{name: "zeros within the exempt size", message: make([]byte, 64<<10), opts: DecoderOptions{MaxInflateRatio: 200}},
		{name: "zeros beyond it", message: make([]byte, 64<<10+1), opts: DecoderOptions{MaxInflateRatio: 200}, want: errInflateRatio},
		{name: "zeros within a high ratio", message: make([]byte, 1<<20), opts: DecoderOptions{MaxInflateRatio: 1100}},
		{name: "a size under the exempt one", message: make([]byte, 1001), opts: DecoderOptions{MaxMessageBytes: 1000}, want: errTooBig},
		{name: "at that size", message: make([]byte, 1000), opts: DecoderOptions{MaxMessageBytes: 1000}},
		{name: "incompressible at the size", message: random[:1<<20]},
		{name: "incompressible over the size", message: random, want: errTooBig},
		{name: "low ratio kept", message: []byte(strings.Repeat(string(random[:1000]), 300)), opts: DecoderOptions{MaxInflateRatio: 301}},
		{name: "low ratio exceeded", message: []byte(strings.Repeat(string(random[:1000]), 300)), opts: DecoderOptions{MaxInflateRatio: 10}, want: errInflateRatio},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Role = Client
			frame := AppendFrame(nil, true, true, Binary, deflateStored(t, tt.message))
			d := NewDecoder(&tt.opts, true)
			got, _, err := decodeAll(t, &d, frame)
			if !errors.Is(err, tt.want) {
				t.Errorf("Decode = %v; want %v", err, tt.want)
			}
			if err == nil && (len(got) != 1 || got[0].payload != string(tt.message)) {
				t.Errorf("got %d messages, or another one", len(got))
			}
		})
	}
}

// deflateStored compresses message even if it gets larger.
func deflateStored(t *testing.T, message []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := newFlateWriter(t, &b)
	if _, err := w.Write(message); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[:b.Len()-flushTailBytes]
}

// Fragments may be incompressible and many, but what is held stays bounded.
func TestInflateBoundsFragments(t *testing.T) {
	o := &DecoderOptions{MaxMessageBytes: 10_000}
	d := NewDecoder(o, true)
	stream := maskedRSV1(false, Binary, strings.Repeat("x", 1000))
	for range 20 {
		stream = append(stream, masked(false, Continuation, strings.Repeat("x", 1000))...)
	}
	_, fed, err := decodeAll(t, &d, slices.Collect(slices.Chunk(stream, 100))...)
	if !errors.Is(err, errTooBig) || fed > 12_000 {
		t.Errorf("Decode = %v after %d bytes; want %v within 12000", err, fed, errTooBig)
	}
}

// After a failed message the pooled reader must be as new.
func TestInflateAfterFailure(t *testing.T) {
	for range 10 {
		d := NewDecoder(&DecoderOptions{}, true)
		decodeAll(t, &d, maskedRSV1(true, Text, "\xf2\x48\xcd\xc9\xff\xff\xff\xff\xff"))
		d = NewDecoder(&DecoderOptions{}, true)
		got, _, err := decodeAll(t, &d, maskedRSV1(true, Text, "\xf2\x48\xcd\xc9\xc9\x07\x00"))
		if len(got) != 1 || got[0].payload != "Hello" || err != nil {
			t.Fatalf("got %+v, %v; want Hello", got, err)
		}
	}
}
