//go:build pool_sanitize

package frame

import (
	"runtime"
	"sync/atomic"

	"github.com/gobwas/pool/pbytes"
)

// With this tag every buffer is a mapping of its own, which the sanitizer of
// gobwas/pool makes inaccessible on Put: to write to it after Release, or to release
// it again, faults. It leaves the right to execute, which on many processors is also
// one to read; hence the poison. What append has grown by itself, or was resliced at
// its beginning, is no such mapping, and to release it panics or faults.
var sanitizedPool = pbytes.New(1<<minClassBits, 1<<maxClassBits)

func getBuffer(capacity int) *Buffer {
	return &Buffer{B: sanitizedPool.GetCap(max(capacity, 1<<minClassBits))}
}

const poison = 0xdb

// The sanitizer unmaps in a finalizer. Buffers are nothing to the garbage collector,
// so without help the process runs into its limit of mappings before one runs.
const collectEveryBytes = 32 << 20

var unreclaimed atomic.Int64

func putBuffer(b *Buffer) {
	const page = 4 << 10
	size := int64(cap(b.B)+page-1) &^ (page - 1)
	all := b.B[:cap(b.B)]
	for i := range all {
		all[i] = poison
	}
	sanitizedPool.Put(b.B)
	if unreclaimed.Add(size) >= collectEveryBytes {
		unreclaimed.Store(0)
		runtime.GC()
	}
}
