package frame

// The size classes of pooled memory are the powers of two in between. What is
// larger comes from the heap and is left to the garbage collector.
const (
	minClassBits = 8  // 256 B
	maxClassBits = 20 // 1 MiB
)

// Buffer is pooled memory with one owner at a time. Only the owner may touch it,
// and it calls Release once. B may be resliced at its end and written to, but it
// grows through Append and Grow alone, and keeps its beginning.
type Buffer struct {
	B []byte
}

// NewBuffer returns an empty buffer with room for capacity bytes.
func NewBuffer(capacity int) *Buffer {
	return getBuffer(capacity)
}

// Append appends a copy of p.
func (b *Buffer) Append(p []byte) {
	b.Grow(len(p))
	b.B = append(b.B, p...)
}

// Grow makes room for n more bytes. If that takes other memory, it is at least
// double the size, and the old goes back to the pool: slices of it are void.
func (b *Buffer) Grow(n int) {
	if n <= cap(b.B)-len(b.B) {
		return
	}
	larger := getBuffer(max(len(b.B)+n, 2*cap(b.B)))
	larger.B = append(larger.B, b.B...)
	b.B, larger.B = larger.B, b.B
	larger.Release()
}

// Release gives the memory back; b and slices of b.B must not be used any more.
// It does nothing if b is nil.
func (b *Buffer) Release() {
	if b != nil {
		putBuffer(b)
	}
}

// with appends p to b, which may be nil as long as there is nothing in it.
func (b *Buffer) with(p []byte) *Buffer {
	if b == nil {
		if len(p) == 0 {
			return nil
		}
		b = getBuffer(len(p))
	}
	b.Append(p)
	return b
}

func (b *Buffer) bytes() []byte {
	if b == nil {
		return nil
	}
	return b.B
}

func (b *Buffer) len() int { return len(b.bytes()) }
