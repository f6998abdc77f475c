//go:build pool_sanitize

package frame

import (
	"runtime/debug"
	"testing"
)

const sanitized = true

func TestUseAfterRelease(t *testing.T) {
	tests := []struct {
		name string
		use  func(b *Buffer)
	}{
		{name: "write", use: func(b *Buffer) { b.B[0] = 'x' }},
		{name: "release", use: (*Buffer).Release},
		{name: "read", use: func(b *Buffer) {
			if b.B[0] == poison {
				panic("read poison")
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBuffer(10)
			b.Append([]byte("hello"))
			b.Release()
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			defer func() {
				if recover() == nil {
					t.Error("it went unnoticed")
				}
			}()
			tt.use(b)
		})
	}
}
