package frame

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// records is text like that of a feed, n bytes.
func records(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"symbol":"%c%c","price":%.2f,"size":%d},`, 'A'+r.IntN(26), 'A'+r.IntN(26), r.Float64()*1000, r.IntN(100))
	}
	return b.Bytes()[:n]
}

// A block that comes again at every distance tempts a compressor to go too far.
func repeating(distance int) []byte {
	random := make([]byte, distance)
	rand.NewChaCha8([32]byte{}).Read(random)
	return bytes.Repeat(random, 4)
}

func TestDeflateStaysInWindow(t *testing.T) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		d := Deflate{windowBits: uint8(bits)}
		window := 1 << bits
		messages := [][]byte{records(200_000), bytes.Repeat([]byte("x"), 100_000)}
		for _, distance := range []int{window - 1, window, window + 1, window + 4, 2 * window, 3 * window} {
			messages = append(messages, repeating(distance))
		}
		levels := []int{1}
		if bits == maxWindowBits { // the level counts for the full window only
			levels = []int{1, 3, 6, 7, 9}
		}
		for _, level := range levels {
			for i, message := range messages {
				checkDeflate(t, d, level, message, fmt.Sprintf("window %d, level %d, message %d", window, level, i))
			}
		}
	}
}

// checkDeflate compresses, also if that makes message larger, and inflates again.
func checkDeflate(t *testing.T, d Deflate, level int, message []byte, name string) {
	t.Helper()
	payload, ok := d.compress(nil, message, level)
	if !ok {
		return
	}
	got, farthest, err := inflateWindow(payload)
	if !bytes.Equal(got, message) || err != nil {
		t.Errorf("%s: inflated to %d bytes, %v; want %d", name, len(got), err, len(message))
	}
	if farthest > 1<<d.windowBits {
		t.Errorf("%s: refers back %d bytes", name, farthest)
	}
}

// A window is worth having: what repeats within it is found.
func TestDeflateUsesWindow(t *testing.T) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		d := Deflate{windowBits: uint8(bits)}
		message := records(1<<bits - 32)
		once, ok1 := d.compress(nil, message, 9)
		thrice, ok3 := d.compress(nil, bytes.Repeat(message, 3), 9)
		if !ok1 || !ok3 || len(thrice) > 2*len(once) {
			t.Errorf("window of %d bits: %d bytes once, %d thrice; want less than double", bits, len(once), len(thrice))
		}
	}
}

func TestDeflateLevels(t *testing.T) {
	message := records(20_000)
	d := Deflate{windowBits: 15}
	sizes := map[int]int{}
	for _, level := range []int{-5, 0, 1, 9, 20} {
		sizes[level] = len(d.AppendMessage(nil, Text, message, &DeflateOptions{Level: level}))
	}
	if sizes[-5] != sizes[1] || sizes[0] != sizes[1] || sizes[20] != sizes[9] || sizes[9] >= sizes[1] {
		t.Errorf("sizes by level: %v", sizes)
	}
}

func TestDeflateMasked(t *testing.T) {
	d := Deflate{windowBits: 15}
	opts := &DeflateOptions{}
	for _, payload := range []string{"", "short", strings.Repeat("long and dull ", 1000)} {
		before := []byte("before")
		frame := d.AppendMasked(before, Text, testKey, []byte(payload), opts)
		if !bytes.HasPrefix(frame, before) {
			t.Fatalf("AppendMasked changed what was there: %.20q", frame)
		}
		dec := NewDecoder(&DecoderOptions{}, true)
		got, _, err := decodeAll(t, &dec, frame[len(before):])
		want := received{Text, payload, len(payload) >= defaultMinBytes}
		if len(got) != 1 || got[0] != want || err != nil {
			t.Errorf("decoded %.60q, %v; want %.60q", fmt.Sprint(got), err, fmt.Sprint(want))
		}
		if plain := (Deflate{}).AppendMasked(nil, Text, testKey, []byte(payload), opts); !bytes.Equal(plain, masked(true, Text, payload)) {
			t.Errorf("AppendMasked without deflate = % .20x", plain)
		}
	}
}

// A failed attempt must leave the compressor as new, and dst as it was.
func TestDeflateGivesUp(t *testing.T) {
	random := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{}).Read(random)
	d, opts := Deflate{windowBits: 15}, &DeflateOptions{}
	for range 3 {
		got := d.AppendMessage([]byte("before"), Binary, random, opts)
		if !bytes.Equal(got, AppendMessage([]byte("before"), Binary, random)) {
			t.Fatal("random bytes were not sent as they are")
		}
		checkDeflate(t, d, 1, records(10_000), "after giving up")
	}
}

func FuzzDeflate(f *testing.F) {
	f.Add([]byte("hello hello hello hello"), uint8(15), uint8(1), uint16(1))
	f.Add([]byte{0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff}, uint8(8), uint8(7), uint16(100))
	f.Add(repeating(300), uint8(8), uint8(9), uint16(3))
	f.Fuzz(func(t *testing.T, seed []byte, bits, level uint8, times uint16) {
		message := bytes.Repeat(seed, int(times)%512+1)
		message = message[:min(len(message), 200_000)]
		d := Deflate{windowBits: minWindowBits + bits%8}
		opts := &DeflateOptions{Level: int(level % 10), MinBytes: -1}
		checkDeflate(t, d, opts.level(), message, "fuzz")
		frame := d.AppendMessage(nil, Binary, message, opts)
		if len(frame) > FrameSize(len(message), false) {
			t.Errorf("%d bytes became a frame of %d", len(message), len(frame))
		}
		dec := NewDecoder(&DecoderOptions{Role: Client}, true)
		got, _, err := decodeAll(t, &dec, frame)
		if len(got) != 1 || got[0].payload != string(message) || err != nil {
			t.Errorf("decoded %d messages, %v; want the one encoded", len(got), err)
		}
	})
}
