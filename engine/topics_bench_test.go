package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A crowd is a Handler that knows its connections.
type crowd struct {
	handler.Funcs
	mu    sync.Mutex
	conns []handler.Conn
}

func (c *crowd) OnOpen(conn handler.Conn, _ *handler.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return nil
}

// startCrowd starts an engine with one loop, so that one publication tells that it is done
// with all before, and n connections, which another process holds. The client watches the
// topic "done".
func startCrowd(b *testing.B, n int, o engine.Options) (*engine.Engine, []handler.Conn, *rawClient) {
	b.Helper()
	needDescriptors(b, n)
	c := new(crowd)
	o.Loops, o.Mux = 1, routes(c)
	o.Mux.Handle("/watch", subscriber())
	e := startEngine(b, o)
	watch := dialRaw(b, e, "/watch?topic=done")
	if _, _, err := watch.readMessage(); err != nil {
		b.Fatal(err)
	}
	clients := startProcess(b, "clients")
	for left := n; left > 0; left -= 1000 {
		clients.ask(b, "connect %d %s", min(left, 1000), e.Addr())
	}
	return e, c.conns, watch
}

// awaitLoop returns when the loop is done with everything that was posted to it.
func awaitLoop(b *testing.B, e *engine.Engine, watch *rawClient) {
	b.Helper()
	if _, err := e.Hub().Publish("done", frame.Text, []byte("done"), handler.PublishOptions{}); err != nil {
		b.Fatal(err)
	}
	watch.expectText(b, "done")
}

// BenchmarkMillionTopics prints what a million topics with one subscriber each cost, 1,000
// of them for each connection: heap-B/topic, the name included, and the time of a Subscribe
// and an Unsubscribe until the loop is done with it. left-B/topic is what of the heap is
// left once all have been unsubscribed.
func BenchmarkMillionTopics(b *testing.B) {
	const conns, topics = 1000, 1_000_000
	e, all, watch := startCrowd(b, conns, engine.Options{})
	each := func(change func(handler.Conn, string) error) time.Duration {
		started := time.Now()
		for i := range topics {
			if err := change(all[i%conns], fmt.Sprint("topic.", i)); err != nil {
				b.Fatal(err)
			}
		}
		awaitLoop(b, e, watch)
		return time.Since(started)
	}
	before := liveHeap()
	var subscribing, unsubscribing time.Duration
	var held, left int64
	for b.Loop() {
		subscribing += each(handler.Conn.Subscribe)
		held += liveHeap() - before
		unsubscribing += each(handler.Conn.Unsubscribe)
		left += liveHeap() - before
		for topic := range e.Hub().Topics() {
			if topic != "done" {
				b.Fatalf("%s is left", topic)
			}
		}
	}
	total := float64(b.N) * topics
	b.ReportMetric(float64(held)/total, "heap-B/topic")
	b.ReportMetric(float64(left)/total, "left-B/topic")
	b.ReportMetric(float64(subscribing.Nanoseconds())/total, "ns/subscribe")
	b.ReportMetric(float64(unsubscribing.Nanoseconds())/total, "ns/unsubscribe")
}

// BenchmarkFanOutLag prints how late a loop was for its timer while it handed publications
// to 15,000 subscribers, as Counters.LoopLag has it: the median over the publications,
// lag-µs, and the most, max-lag-µs. What is in the way of
// the timer, and of everything else, is one chunk of 256 writes: 2 ms of 95 where a write takes
// 6.5 µs, with single outliers of up to 12.
func BenchmarkFanOutLag(b *testing.B) {
	const conns, size = 15_000, 128
	const tick = 5 * time.Millisecond // an eighth of the shortest timeout
	e, all, watch := startCrowd(b, conns, engine.Options{PongTimeout: 8 * tick})
	for _, c := range all {
		if err := c.Subscribe("feed"); err != nil {
			b.Fatal(err)
		}
	}
	awaitLoop(b, e, watch)
	e.Counters() // forget the lag so far
	var lags []time.Duration
	for b.Loop() {
		if _, err := e.Hub().Publish("feed", frame.Binary, make([]byte, size), handler.PublishOptions{}); err != nil {
			b.Fatal(err)
		}
		awaitLoop(b, e, watch)
		lags = append(lags, e.Counters().LoopLag)
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds()), "lag-µs")
	b.ReportMetric(float64(lags[len(lags)-1].Microseconds()), "max-lag-µs")
}
