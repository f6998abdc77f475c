package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
)

// TestConformanceLimits runs group 9, limits and performance.
func TestConformanceLimits(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.OnLoop} {
		t.Run(mode.String(), func(t *testing.T) {
			if n := runCases(t, startConformance(t, mode), limitCases); n != 54 {
				t.Errorf("group 9 has %d cases; want 54", n)
			}
		})
	}
}

// limitCases are group 9. They are made one by one, since all of them together are
// 300 MiB.
func limitCases(yield func(conformanceCase) bool) {
	for kind, m := range []struct {
		op   frame.Opcode
		fill string
	}{{frame.Text, "BAsd7&jh23"}, {frame.Binary, "\x00\xfe\x23\xfa\xf0"}} {
		id := func(subgroup, i int) string { return fmt.Sprintf("9.%d.%d", subgroup+kind, i+1) }
		echoed := func(id, payload string, frames ...clientFrame) conformanceCase {
			return echoes(id, send(frames...).hear(serverFrame{m.op, payload}))
		}
		for i, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20} {
			payload := repeated(m.fill, size)
			if !yield(echoed(id(1, i), payload, whole(m.op, payload))) {
				return
			}
		}
		stars := repeated("*", 4<<20)
		for i := range 9 {
			if !yield(echoed(id(3, i), stars, fragments(m.op, stars, 64<<(2*i))...)) {
				return
			}
		}
		million := repeated(m.fill, 1<<20)
		for i := range 6 {
			if !yield(echoed(id(5, i), million, whole(m.op, million)).chopped(64 << i)) {
				return
			}
		}
		for i, size := range []int{0, 16, 64, 256, 1 << 10, 4 << 10} {
			payload := repeated([]string{"*", "\xfe"}[kind], size)
			round := send(whole(m.op, payload)).hear(serverFrame{m.op, payload})
			if !yield(echoes(id(7, i), slices.Repeat([]caseStep{round}, 1000)...)) {
				return
			}
		}
	}
}
