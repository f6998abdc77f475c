//go:build pool_sanitize

package frame

import "github.com/gobwas/pool/pbytes"

// With this tag every buffer is a mapping of its own, which the sanitizer of
// gobwas/pool makes inaccessible on Put: use after Release faults, a second
// Release panics.
var sanitizedPool = pbytes.New(1<<minClassBits, 1<<maxClassBits)

func getBuffer(capacity int) *Buffer {
	return &Buffer{B: sanitizedPool.GetCap(max(capacity, 1<<minClassBits))}
}

func putBuffer(b *Buffer) {
	sanitizedPool.Put(b.B)
}
