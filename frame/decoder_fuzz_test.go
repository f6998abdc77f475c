package frame

import (
	"errors"
	"slices"
	"testing"
)

// FuzzDecoder: where a stream is cut does not matter, neither for the messages nor
// for the error; and the error comes with the first byte that shows it.
func FuzzDecoder(f *testing.F) {
	const client, deflate = 1, 2
	unmasked := AppendMessage(AppendMessage(nil, Text, []byte("hello")), Ping, []byte("ping"))
	f.Add(masked(true, Text, "héllo"), []byte{1}, byte(0))
	f.Add(append(masked(false, Text, "a\xf0\x9f"), masked(true, Continuation, "\x98\x80")...), []byte{5, 3}, byte(0))
	f.Add(append(masked(false, Binary, "ab"), append(masked(true, Ping, "p"), masked(true, Continuation, "c")...)...), []byte{9, 1, 4}, byte(0))
	f.Add(masked(true, Close, "\x03\xe8bye"), []byte{7}, byte(0))
	f.Add(masked(true, Binary, string(make([]byte, 300))), []byte{100}, byte(0))
	f.Add(unmasked, []byte{2, 2}, byte(client))
	f.Add(maskedRSV1(true, Text, "\xf2\x48\xcd\xc9\xc9\x07\x00"), []byte{8}, byte(deflate))
	f.Add(append(maskedRSV1(false, Text, "\xf2\x48\xcd"), masked(true, Continuation, "\xc9\xc9\x07\x00")...), []byte{11, 1}, byte(deflate))
	f.Add(AppendFrame(nil, true, true, Text, []byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00")), []byte{3}, byte(client|deflate))
	for _, bad := range badText {
		f.Add(masked(true, Text, "x"+bad+"x"), []byte{3, 4}, byte(0))
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte, mode byte) {
		o := &DecoderOptions{MaxMessageBytes: 1000}
		if mode&client != 0 {
			o.Role = Client
		}
		decode := func(pieces ...[]byte) ([]received, int, error) {
			d := NewDecoder(o, mode&deflate != 0)
			return decodeAll(t, &d, pieces...)
		}
		want, fed, wantErr := decode(bytewise(stream)...)
		for _, pieces := range [][][]byte{{stream}, cutBy(stream, cuts)} {
			if got, _, err := decode(pieces...); !slices.Equal(got, want) || !errors.Is(err, wantErr) {
				t.Errorf("% x in %d pieces: %+v, %v; byte by byte: %+v, %v", stream, len(pieces), got, err, want, wantErr)
			}
		}
		if wantErr == nil {
			return
		}
		if _, _, err := decode(stream[:fed]); !errors.Is(err, wantErr) {
			t.Errorf("% x: %v; byte by byte: %v", stream[:fed], err, wantErr)
		}
		if _, _, err := decode(stream[:fed-1]); err != nil {
			t.Errorf("% x: %v; byte by byte it took one more for %v", stream[:fed-1], err, wantErr)
		}
	})
}

// cutBy cuts b into pieces of the sizes given, and the rest.
func cutBy(b, sizes []byte) (pieces [][]byte) {
	for _, size := range sizes {
		n := min(int(size), len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return append(pieces, b)
}
