package frame

import (
	"slices"
	"strings"
	"testing"
)

// bits turns pictures of bits into bytes; spaces are for the reader.
func bits(pictures ...string) []byte {
	s := strings.ReplaceAll(strings.Join(pictures, ""), " ", "")
	if len(s)%8 != 0 {
		panic("bits: not whole bytes: " + s)
	}
	b := make([]byte, len(s)/8)
	for i, c := range s {
		b[i/8] = b[i/8]<<1 | byte(c-'0')
	}
	return b
}

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// masked is a frame as a client sends it.
func masked(fin bool, op Opcode, payload string) []byte {
	return AppendMaskedFrame(nil, fin, false, op, testKey, []byte(payload))
}

// maskedRSV1 is the first frame of a compressed message as a client sends it.
func maskedRSV1(fin bool, op Opcode, payload string) []byte {
	return AppendMaskedFrame(nil, fin, true, op, testKey, []byte(payload))
}

// received is a message after its memory has been given back.
type received struct {
	op         Opcode
	payload    string
	compressed bool
}

// decodeAll feeds the pieces to d and returns the messages, the error, and after how
// many bytes that was found: those of the piece with it included. It leaves the
// pieces as they are.
func decodeAll(t *testing.T, d *Decoder, pieces ...[]byte) (messages []received, fed int, err error) {
	t.Helper()
	defer d.Release()
	for _, piece := range pieces {
		fed += len(piece)
		for in := slices.Clone(piece); len(in) > 0; {
			m, n, err := d.Decode(in)
			if err != nil {
				if m.Op != Continuation || m.Buffer != nil || m.Payload != nil {
					t.Fatalf("Decode returned %+v beside %v", m, err)
				}
				return messages, fed, err
			}
			if n < 0 || n > len(in) || m.Op == Continuation && n != len(in) {
				t.Fatalf("Decode of %d bytes took %d and returned %v", len(in), n, m.Op)
			}
			in = in[n:]
			if m.Op != Continuation {
				messages = append(messages, received{m.Op, string(m.Payload), m.Compressed})
				m.Buffer.Release()
			}
		}
	}
	return messages, fed, nil
}

// bytewise cuts b into single bytes.
func bytewise(b []byte) [][]byte {
	pieces := make([][]byte, len(b))
	for i := range b {
		pieces[i] = b[i : i+1]
	}
	return pieces
}
