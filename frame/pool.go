//go:build !pool_sanitize

package frame

import (
	mathbits "math/bits"
	"sync"
)

// bufferPools has a pool of *Buffer for each size class. Pointers are pooled, not
// slices, because a slice put into a sync.Pool is boxed: 24 B for every Put.
var bufferPools [maxClassBits - minClassBits + 1]sync.Pool

func getBuffer(capacity int) *Buffer {
	class := classOf(capacity)
	if class >= len(bufferPools) {
		return &Buffer{B: make([]byte, 0, capacity)}
	}
	if b, ok := bufferPools[class].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, 0, 1<<(class+minClassBits))}
}

func putBuffer(b *Buffer) {
	class := classOf(cap(b.B))
	// A capacity that is not a class's own was not allocated here.
	if class >= len(bufferPools) || cap(b.B) != 1<<(class+minClassBits) {
		b.B = nil
		return
	}
	b.B = b.B[:0]
	bufferPools[class].Put(b)
}

// classOf returns the smallest class with room for n bytes.
func classOf(n int) int {
	return mathbits.Len(uint(max(n, 1<<minClassBits)-1)) - minClassBits
}
