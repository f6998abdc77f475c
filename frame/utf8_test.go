package frame

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Each payload ends with the byte that makes it impossible to complete.
var badText = []string{
	"\x80",         // continuation byte first
	"\xc0", "\xc1", // overlong forms of two bytes
	"\xe0\x80",     // overlong form of three bytes
	"\xe0\x9f",     // the largest of them
	"\xf0\x80",     // overlong form of four bytes
	"\xf0\x8f",     // the largest of them
	"\xed\xa0",     // surrogate
	"\xed\xbf",     // the last of them
	"\xf4\x90",     // above U+10FFFF
	"\xf5", "\xff", // never in UTF-8
	"\xc3x",            // cut short
	"\xe2\x82x",        // cut short
	"\xf0\x9f\x98x",    // cut short
	"\xf0\x9f\x98\xf0", // cut short by another
	"κόσμε\xf4\x90",    // the case of Autobahn 6.4
}

func TestBadTextFailsAtOnce(t *testing.T) {
	for _, bad := range badText {
		for _, before := range []string{"", "x", "é", "€", "😀", strings.Repeat("long enough ", 30)} {
			payload := before + bad
			// The frame announces more to come, whatever that would be.
			stream := masked(true, Text, payload+"more")
			stream = stream[:len(stream)-len("more")]
			first := masked(false, Text, payload[:1])
			inTwo := append(first, masked(true, Continuation, payload[1:]+"more")...)
			inTwo = inTwo[:len(inTwo)-len("more")]
			if len(payload) == 1 {
				inTwo = first
			}
			for _, s := range [][]byte{stream, inTwo} {
				for _, pieces := range [][][]byte{{s}, bytewise(s)} {
					d := NewDecoder(&DecoderOptions{}, false)
					if _, fed, err := decodeAll(t, &d, pieces...); !errors.Is(err, errText) || fed != len(s) {
						t.Errorf("Decode of text %q = %v after %d bytes; want %v after %d", payload, err, fed, errText, len(s))
					}
				}
				d := NewDecoder(&DecoderOptions{}, false)
				if _, _, err := decodeAll(t, &d, s[:len(s)-1]); err != nil {
					t.Errorf("Decode of text %q = %v one byte early", payload, err)
				}
			}
		}
	}
}

func TestIncompleteRuneAtTheEnd(t *testing.T) {
	for _, payload := range []string{"\xc3", "x\xe2\x82", "\xf0\x9f\x98", "😀\xf0"} {
		streams := [][]byte{
			masked(true, Text, payload),
			append(masked(false, Text, payload), masked(true, Continuation, "")...),
		}
		for _, s := range streams {
			for _, pieces := range [][][]byte{{s}, bytewise(s)} {
				d := NewDecoder(&DecoderOptions{}, false)
				if _, fed, err := decodeAll(t, &d, pieces...); !errors.Is(err, errText) || fed != len(s) {
					t.Errorf("Decode of text %q = %v after %d bytes; want %v after %d", payload, err, fed, errText, len(s))
				}
			}
		}
	}
}

// Taking text in pieces must agree with utf8.Valid of the whole.
func FuzzUTF8InPieces(f *testing.F) {
	f.Add("héllo €uro 😀", uint8(3))
	for _, bad := range badText {
		f.Add("x"+bad, uint8(1))
	}
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		got, checked, end, p := true, 0, 0, []byte(text)
		for piece := range slices.Chunk(p, int(size)+1) {
			end += len(piece)
			n, ok := validUTF8Prefix(p[checked:end])
			if checked += n; !ok {
				got = false
				break
			}
			if end-checked >= utf8.UTFMax {
				t.Fatalf("%d bytes of %q left over", end-checked, text)
			}
		}
		got = got && checked == len(p)
		if want := utf8.ValidString(text); got != want {
			t.Errorf("%q in pieces of %d: valid %v; want %v", text, int(size)+1, got, want)
		}
	})
}
