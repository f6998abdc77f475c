package main

import (
	"slices"
	"strings"
	"testing"
)

func TestLinesOfFramesCutAnywhere(t *testing.T) {
	long := strings.Repeat("x", 200)
	messages := []string{"a", "", "b\nc", long, strings.Repeat(long, 400)}
	want := strings.Join(messages, "\n") + "\n"
	var frames []byte
	for _, m := range messages {
		frames = appendFrame(frames, 0x1, []byte(m), nil)
	}
	for _, size := range []int{1, 2, 3, 7, 199, 4096, len(frames)} {
		var reader lineReader
		var got []byte
		for part := range slices.Chunk(frames, size) {
			got = reader.appendLines(got, part)
		}
		if string(got) != want {
			t.Errorf("in parts of %d bytes: %d bytes of lines, want %d", size, len(got), len(want))
		}
	}
}
