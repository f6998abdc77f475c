package frame

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func TestPrepared(t *testing.T) {
	long := strings.Repeat("all work and no play ", 100)
	random := make([]byte, 2000)
	rand.NewChaCha8([32]byte{}).Read(random)
	on, off := Deflate{windowBits: 15}, Deflate{}
	tests := []struct {
		name       string
		op         Opcode
		payload    string
		opts       *DeflateOptions
		d          Deflate
		compressed bool
	}{
		{name: "compressed", op: Text, payload: long, opts: &DeflateOptions{}, d: on, compressed: true},
		{name: "window of 256", op: Text, payload: long, opts: &DeflateOptions{}, d: Deflate{windowBits: 8}, compressed: true},
		{name: "not negotiated", op: Text, payload: long, opts: &DeflateOptions{}, d: off},
		{name: "no options", op: Text, payload: long, d: on},
		{name: "at the threshold", op: Text, payload: long[:512], opts: &DeflateOptions{}, d: on, compressed: true},
		{name: "below the threshold", op: Text, payload: long[:511], opts: &DeflateOptions{}, d: on},
		{name: "own threshold", op: Text, payload: long[:200], opts: &DeflateOptions{MinBytes: 200}, d: on, compressed: true},
		{name: "no threshold", op: Text, payload: long[:128], opts: &DeflateOptions{MinBytes: -1}, d: on, compressed: true},
		{name: "would grow", op: Binary, payload: string(random), opts: &DeflateOptions{}, d: on},
		{name: "would not shrink", op: Text, payload: "ab", opts: &DeflateOptions{MinBytes: -1}, d: on},
		{name: "empty", op: Text, payload: "", opts: &DeflateOptions{MinBytes: -1}, d: on},
		{name: "control", op: Ping, payload: long[:125], opts: &DeflateOptions{MinBytes: -1}, d: on},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload := []byte(tt.payload)
			p := Prepare(tt.op, payload, tt.opts)
			clear(payload) // Prepare has copied it
			if p.Op() != tt.op || string(p.Payload()) != tt.payload {
				t.Errorf("Op, Payload = %v, %q; want %v, %q", p.Op(), p.Payload(), tt.op, tt.payload)
			}
			frame := p.Bytes(tt.d)
			if again := p.Bytes(tt.d); &again[0] != &frame[0] {
				t.Error("the second call made another frame")
			}
			plain := AppendMessage(nil, tt.op, []byte(tt.payload))
			if got := bytes.Equal(frame, plain); got == tt.compressed {
				t.Errorf("plain frame: %v; want %v", got, !tt.compressed)
			}
			if direct := tt.d.AppendMessage(nil, tt.op, []byte(tt.payload), tt.opts); !bytes.Equal(direct, frame) {
				t.Error("AppendMessage makes another frame")
			}
			d := NewDecoder(&DecoderOptions{Role: Client}, true)
			got, _, err := decodeAll(t, &d, frame)
			want := received{tt.op, tt.payload, tt.compressed}
			if len(got) != 1 || got[0] != want || err != nil {
				t.Errorf("decoded %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func TestPreparedConcurrently(t *testing.T) {
	p := Prepare(Text, []byte(strings.Repeat("hello ", 1000)), &DeflateOptions{})
	var frames [64][]byte
	var wg sync.WaitGroup
	for i := range frames {
		wg.Go(func() { frames[i] = p.Bytes(Deflate{windowBits: uint8(8 + i%8)}) })
	}
	wg.Wait()
	for i, frame := range frames {
		if &frame[0] != &frames[i%8][0] {
			t.Errorf("frame %d is not that of its window", i)
		}
		d := NewDecoder(&DecoderOptions{Role: Client}, true)
		if got, _, err := decodeAll(t, &d, frame); len(got) != 1 || got[0].payload != string(p.Payload()) || err != nil {
			t.Errorf("frame %d: decoded %d messages, %v", i, len(got), err)
		}
	}
}
