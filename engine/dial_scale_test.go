package engine_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// dialMany opens n connections at once to a server and returns when all are open.
func dialMany(t testing.TB, e *engine.Engine, url string, h handler.Handler, n int) {
	t.Helper()
	outcomes := make(chan error, n)
	for range n {
		e.DialAsync(url, h, engine.DialOptions{}, func(_ *engine.Conn, err error) { outcomes <- err })
	}
	for i := range n {
		if err := receive(t, "a connection", outcomes); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
}

// So many connections are dialled at once, echo all at the same time, and leave nothing
// behind.
func TestDial10000(t *testing.T) {
	const held = 10_000
	needDescriptors(t, held)
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		server := startProcess(t, "idle server")
		url := "ws://" + server.ask(t, "start %d", engine.OnLoop) + "/"
		callers := startCallers(t, engine.Options{Mode: mode})
		var echoes, ends atomic.Int64
		h := handler.Funcs{
			Message: func(c handler.Conn, _ frame.Opcode, p []byte) {
				if string(p) != fmt.Sprint(c.ID()) {
					t.Errorf("connection %d got %q", c.ID(), p)
				}
				echoes.Add(1)
			},
			Close: func(_ handler.Conn, s handler.CloseStatus) {
				if !s.Clean {
					t.Errorf("OnClose got %+v", s)
				}
				ends.Add(1)
			},
		}
		for round := range 2 { // the second time round the pools are warm
			empty := liveHeap()
			dialMany(t, callers, url, h, held)
			t.Logf("round %d: %d bytes of heap per connection", round, (liveHeap()-empty)/held)
			if got := callers.Counters().Connections; got != held {
				t.Errorf("%d connections open; want %d", got, held)
			}
			callers.Hub().Each("", func(c handler.Conn) bool { return c.Send(frame.Text, fmt.Append(nil, c.ID())) == nil })
			eventually(t, "all echoes", func() bool { return echoes.Load() == held })
			callers.Hub().Each("", func(c handler.Conn) bool { return c.Close(frame.CloseNormal, "") == nil })
			eventually(t, "all closes", func() bool { return ends.Load() == held && callers.Counters().Sockets == 0 })
			echoes.Store(0)
			ends.Store(0)
			if left := liveHeap() - empty; round > 0 && left > 64*held {
				t.Errorf("%d bytes of heap are left per connection that has ended", left/held)
			}
		}
	})
}

// BenchmarkDialMemory prints how much live heap an idle dialled connection takes.
func BenchmarkDialMemory(b *testing.B) {
	const held = 10_000
	needDescriptors(b, held)
	for _, mode := range []engine.Mode{engine.Workers, engine.OnLoop} {
		b.Run(mode.String(), func(b *testing.B) {
			for b.Loop() {
				server := startProcess(b, "idle server")
				url := "ws://" + server.ask(b, "start %d", engine.OnLoop) + "/"
				callers := startCallers(b, engine.Options{Mode: mode})
				before := liveHeap()
				dialMany(b, callers, url, handler.Echo{}, held)
				b.ReportMetric(float64(liveHeap()-before)/held, "heap-B/conn")
				if err := callers.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDial is how long it takes to open a connection and to close it again, one
// after the other.
func BenchmarkDial(b *testing.B) {
	server := startEngine(b, engine.Options{Mode: engine.OnLoop, Mux: routes(handler.Echo{})})
	callers := startCallers(b, engine.Options{Mode: engine.OnLoop})
	b.ReportAllocs()
	for b.Loop() {
		c, err := callers.Dial(b.Context(), urlOf(server, "/"), handler.Echo{}, engine.DialOptions{})
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close(frame.CloseNormal, "")
		<-c.Done()
	}
}
