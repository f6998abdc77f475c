//go:build !race && !pool_sanitize

package engine_test

import (
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// The race detector makes sync.Pool forget at random, and the sanitizer never reuses.

// A message that is received, handled and answered costs no memory in the long run.
// A few objects are left to the garbage collector, which empties pools.
func TestNoAllocsPerEcho(t *testing.T) {
	const most = 0.05
	loads := []struct{ messages, size, atOnce int }{
		{10_000, 0, 1}, {10_000, 128, 1}, {10_000, 128, 16}, {10_000, 4 << 10, 16}, {2_000, 64 << 10, 1},
	}
	for _, mode := range []engine.Mode{engine.Workers, engine.OnLoop} {
		e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		for _, l := range loads {
			got := allocsPerEcho(t, e, l.messages, l.size, l.atOnce)
			if got > most {
				t.Errorf("%v, %d bytes, %d at once: %.3f allocations for each message; want at most %.2f", mode, l.size, l.atOnce, got, most)
			}
		}
	}
}

// allocsPerEcho is the number of objects that the process allocates for each message
// that a client, which allocates nothing itself, sends and gets back.
func allocsPerEcho(t *testing.T, e *engine.Engine, messages, size, atOnce int) float64 {
	payload := make([]byte, size)
	var sent, want []byte
	for range atOnce {
		sent = append(sent, masked(frame.Binary, payload)...)
		want = frame.AppendMessage(want, frame.Binary, payload)
	}
	var s swarm
	defer s.close()
	if err := s.connect(1, netip.MustParseAddrPort(e.Addr().String())); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	rounds := func(n int) {
		for range n {
			if err := exchange(s.fds[0], sent, got); err != nil {
				t.Fatal(err)
			}
		}
	}
	rounds(100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := messages / atOnce
	rounds(n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n*atOnce)
}

// exchange writes all of out and then fills in, on a socket that blocks.
func exchange(fd int, out, in []byte) error {
	for len(out) > 0 {
		n, err := unix.Write(fd, out)
		if err != nil {
			return err
		}
		out = out[n:]
	}
	for len(in) > 0 {
		n, err := readBlocking(fd, in)
		if err != nil {
			return err
		}
		if n == 0 {
			return unix.ECONNRESET
		}
		in = in[n:]
	}
	return nil
}
