package engine_test

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// BenchmarkStalledReaders prints how long the messages of a steady feed take to readers that
// keep up, alone and with one reader in ten that never reads: the medians over the rounds, which
// take turns, of each round's percentiles, without-p50-µs, without-p99-µs, with-p50-µs and
// with-p99-µs, and of the quotients of the latter two in rounds that follow each other,
// p99-ratio. Readers are in processes of their own. A round in which the policy has not acted on
// the stalled ones is an error.
//
//	go test ./engine -run xxx -bench StalledReaders -benchtime 9x
func BenchmarkStalledReaders(b *testing.B) {
	for _, policy := range []handler.SlowPolicy{handler.Disconnect, handler.DropNewest, handler.DropOldest, handler.Conflate} {
		b.Run(policy.String(), func(b *testing.B) {
			f := startSteadyFeed(b, policy)
			var p50, p99 [2][]float64 // without and with, by round
			var ratios []float64
			for b.Loop() {
				for i, stalled := range []int{0, steadyReaders / 9} {
					half, most := f.round(b, stalled)
					p50[i], p99[i] = append(p50[i], half), append(p99[i], most)
				}
				last := len(ratios)
				ratios = append(ratios, p99[1][last]/p99[0][last])
			}
			for i, name := range []string{"without", "with"} {
				b.ReportMetric(middle(p50[i]), name+"-p50-µs")
				b.ReportMetric(middle(p99[i]), name+"-p99-µs")
			}
			b.ReportMetric(middle(ratios), "p99-ratio")
		})
	}
}

// middle is the median. It sorts figures.
func middle(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
}

const (
	steadyReaders  = 360 // that keep up
	steadySize     = 4 << 10
	steadyMessages = 300 // in a round
	steadyWarmUp   = 50  // of those
	steadyInterval = 10 * time.Millisecond
)

// A steadyFeed is an engine, readers that keep up, and readers that stall.
type steadyFeed struct {
	engine           *engine.Engine
	reading, stalled *process
}

func startSteadyFeed(b *testing.B, policy handler.SlowPolicy) *steadyFeed {
	b.Helper()
	return &steadyFeed{
		engine: startEngine(b, engine.Options{
			Loops: 1, SlowPolicy: policy, OutboxSoftBytes: 32 * steadySize, OutboxHardBytes: 64 * steadySize,
			Logger: slog.New(slog.NewTextHandler(b.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
			Mux:    routes(handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error { return c.Subscribe("feed") }}),
		}),
		reading: startProcess(b, "readers"),
		stalled: startProcess(b, "stalled clients"),
	}
}

// round publishes to readers that keep up and so many that stall. It returns how long a
// message took to the former, in microseconds.
func (f *steadyFeed) round(b *testing.B, stalled int) (p50, p99 float64) {
	b.Helper()
	f.reading.ask(b, "connect %d %s", steadyReaders, f.engine.Addr())
	f.stalled.ask(b, "connect %d %s", stalled, f.engine.Addr())
	before := f.suffered(steadyReaders + stalled)
	var publishing sync.WaitGroup
	publishing.Go(func() { f.publish(b) })
	answer := f.reading.ask(b, "read %d %d %d", steadyMessages, steadySize, steadyWarmUp)
	publishing.Wait()
	if n := f.suffered(steadyReaders+stalled) - before; n < stalled || stalled == 0 && n > 0 {
		b.Errorf("%d readers stalled, and %d closed or messages dropped", stalled, n)
	}
	if _, err := fmt.Sscan(answer, &p50, &p99); err != nil {
		b.Fatalf("%q: %v", answer, err)
	}
	f.reading.ask(b, "close")
	f.stalled.ask(b, "close")
	eventually(b, "all connections end", func() bool { return f.engine.Counters().Sockets == 0 })
	return p50 / 1e3, p99 / 1e3
}

// publish publishes the messages of a round.
func (f *steadyFeed) publish(b *testing.B) {
	const keys = 16
	pace := time.NewTicker(steadyInterval)
	defer pace.Stop()
	for i := range steadyMessages {
		<-pace.C
		o := handler.PublishOptions{Key: fmt.Sprint(i % keys)}
		if _, err := f.engine.Hub().Publish("feed", frame.Binary, stamped(steadySize), o); err != nil {
			b.Error(err)
		}
	}
}

// suffered is how many of so many connections have been closed, and how many messages were
// dropped for slow ones, ever.
func (f *steadyFeed) suffered(opened int) int {
	c := f.engine.Counters()
	n := opened - int(c.Connections)
	for _, missed := range c.Missed {
		n += int(missed)
	}
	return n
}
