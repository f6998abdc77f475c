package frame

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// FuzzAgainstGobwas: what gobwas/ws refuses in a header, Decoder refuses; what it
// takes, Decoder takes in the same way or refuses for a rule that is only ours.
func FuzzAgainstGobwas(f *testing.F) {
	f.Add(masked(true, Text, ""), false)
	f.Add(masked(true, Ping, "ping")[:6], false)
	f.Add(masked(true, Continuation, ""), true)
	f.Add(bits("1 000 0010 1 1111110 00000001 00000000"), false)
	f.Add(bits("1 000 0010 1 1111111 10000000"), false)
	f.Add(bits("1 000 1000 1 1111110 00000000 00000000", "00000001 00000001 00000001 00000001"), false)
	f.Add(AppendMessage(nil, Binary, make([]byte, 300)), false)
	f.Fuzz(func(t *testing.T, b []byte, fragmented bool) {
		theirs, err := ws.ReadHeader(bytes.NewReader(b))
		if err != nil && err != ws.ErrHeaderLengthMSB {
			return // cut
		}
		state := ws.StateServerSide
		d := NewDecoder(&DecoderOptions{}, false)
		defer d.Release()
		if fragmented {
			state = state.Set(ws.StateFragmented)
			d.Decode(masked(false, Text, ""))
		}
		if err == nil {
			err = ws.CheckHeader(theirs, state)
		}
		ours, size, ourErr := d.parseHeader(b)
		switch {
		case err != nil && ourErr == nil:
			t.Errorf("% x: gobwas/ws: %v; ours %+v", b, err, ours)
		case err != nil:
		case ourErr != nil:
			// A length that is not minimal makes a control frame too long at once.
			if !slices.Contains([]error{errShortClose, errLengthNotMinimal, errLongControl, errTooBig}, ourErr) {
				t.Errorf("% x: ours: %v; gobwas/ws: %+v", b, ourErr, theirs)
			}
		case ours != header{theirs.Fin, false, Opcode(theirs.OpCode), theirs.Masked, theirs.Mask, int(theirs.Length)},
			size != ws.HeaderSize(theirs):
			t.Errorf("% x: ours %+v, %d; gobwas/ws: %+v", b, ours, size, theirs)
		}
	})
}

// script is a random sequence of frames with their messages.
func script(seed uint64) (frames []ws.Frame, want []received) {
	r := rand.New(rand.NewPCG(seed, 0))
	payload := func(limit int) string {
		return fmt.Sprintf("%0*d", r.IntN(limit)+1, r.IntN(10))
	}
	for range 20 {
		op := []Opcode{Text, Binary}[r.IntN(2)]
		message := ""
		parts := r.IntN(3) + 1
		for i := range parts {
			p := payload([]int{20, 200, 70_000}[r.IntN(3)])
			message += p
			frameOp := ws.OpCode(op)
			if i > 0 {
				frameOp = ws.OpContinuation
			}
			frames = append(frames, ws.NewFrame(frameOp, i == parts-1, []byte(p)))
			if i < parts-1 && r.IntN(2) == 0 {
				p := payload(100)
				frames = append(frames, ws.NewPingFrame([]byte(p)))
				want = append(want, received{op: Ping, payload: p})
			}
		}
		want = append(want, received{op: op, payload: message})
	}
	return frames, want
}

func TestDecodeGobwasFrames(t *testing.T) {
	for seed := range uint64(10) {
		frames, want := script(seed)
		for _, role := range []Role{Server, Client} {
			var stream []byte
			for _, f := range frames {
				if role == Server {
					f = ws.MaskFrame(f)
				}
				stream = append(stream, ws.MustCompileFrame(f)...)
			}
			for _, size := range []int{7, 1000, 65536, len(stream)} {
				d := NewDecoder(&DecoderOptions{Role: role}, false)
				got, _, err := decodeAll(t, &d, slices.Collect(slices.Chunk(stream, size))...)
				if !slices.Equal(got, want) || err != nil {
					t.Errorf("seed %d, role %d, pieces of %d: %d messages, %v; want %d", seed, role, size, len(got), err, len(want))
				}
			}
		}
	}
}

func TestGobwasDecodesFrames(t *testing.T) {
	for seed := range uint64(10) {
		frames, want := script(seed)
		for _, state := range []ws.State{ws.StateServerSide, ws.StateClientSide} {
			var stream []byte
			for _, f := range frames {
				op := Opcode(f.Header.OpCode)
				if state == ws.StateServerSide {
					stream = AppendMaskedFrame(stream, f.Header.Fin, false, op, testKey, f.Payload)
				} else {
					stream = AppendFrame(stream, f.Header.Fin, false, op, f.Payload)
				}
			}
			var got []received
			for in := bytes.NewReader(stream); in.Len() > 0; {
				messages, err := wsutil.ReadMessage(in, state, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range messages {
					got = append(got, received{op: Opcode(m.OpCode), payload: string(m.Payload)})
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("seed %d, state %d: gobwas/ws read %d messages; want %d", seed, state, len(got), len(want))
			}
		}
	}
}
