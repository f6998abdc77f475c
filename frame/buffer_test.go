package frame

import (
	"bytes"
	"testing"
)

func TestBufferCapacity(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 255, 256, 257, 4096, 4097, 1 << 20, 1<<20 + 1, 3 << 20} {
		b := NewBuffer(n)
		if len(b.B) != 0 || cap(b.B) < n {
			t.Errorf("NewBuffer(%d): len %d, cap %d", n, len(b.B), cap(b.B))
		}
		if !sanitized && n <= 1<<20 && cap(b.B) > max(256, 2*n) {
			t.Errorf("NewBuffer(%d): cap %d; want at most double", n, cap(b.B))
		}
		b.Release()
	}
	var none *Buffer
	none.Release()
}

func TestBufferGrows(t *testing.T) {
	var want []byte
	b := NewBuffer(0)
	moves := 0
	for i := range 4000 {
		p := bytes.Repeat([]byte{byte(i)}, i)
		want = append(want, p...)
		before := cap(b.B)
		b.Append(p)
		if cap(b.B) != before {
			moves++
		}
	}
	// From 256 B to 8 MB by doubling, above the largest class as well.
	if moves > 16 {
		t.Errorf("%d bytes were moved %d times", len(b.B), moves)
	}
	if !bytes.Equal(b.B, want) {
		t.Errorf("%d bytes; want %d, or they differ", len(b.B), len(want))
	}
	b.Grow(0)
	b.Grow(5000)
	if cap(b.B)-len(b.B) < 5000 || !bytes.Equal(b.B, want) {
		t.Errorf("room for %d after Grow(5000), or the bytes differ", cap(b.B)-len(b.B))
	}
	b.Release()
}

// Memory that append has grown, and not Grow, must not enter a pool: its capacity
// need not be that of a class.
func TestBufferOfForeignCapacity(t *testing.T) {
	if sanitized {
		return // releasing it would fault
	}
	for _, c := range []int{0, 100, 300, 1<<20 + 1} {
		(&Buffer{B: make([]byte, 0, c)}).Release()
	}
	for _, n := range []int{0, 100, 256, 257, 300, 512, 1 << 20} {
		b := NewBuffer(n)
		if cap(b.B) < n {
			t.Errorf("NewBuffer(%d): cap %d", n, cap(b.B))
		}
		b.Release()
	}
}
