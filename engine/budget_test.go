package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// When more is queued than the whole engine may hold, those with the most are closed,
// on whichever loops they are, and the others are left alone.
func TestBudgetClosesTheWorst(t *testing.T) {
	const (
		budget = 10 << 20
		small  = 4600 << 10 // two of them are within the budget
		large  = 16 << 20   // one is not, whatever the kernel holds of it
	)
	e := startEngine(t, engine.Options{
		MaxQueuedBytes: budget, OutboxHardBytes: large, CloseTimeout: 50 * time.Millisecond, Mux: routes(subscriber()),
	})
	var conns []handler.Conn
	for i := range 5 {
		client, conn := dialSubscriber(t, e)
		fixReceiveBuffer(t, client)
		conns = append(conns, conn)
		if err := conn.Send(frame.Binary, make([]byte, []int{large - 100, small}[i%2])); err != nil {
			t.Fatal(err)
		}
	}
	for i, conn := range conns {
		if i%2 == 0 {
			<-conn.Done()
		}
	}
	eventually(t, "the engine is within its budget", func() bool { return e.Counters().QueuedBytes <= budget })
	for i, conn := range conns {
		if err := conn.Send(frame.Text, nil); (err == nil) != (i%2 == 1) {
			t.Errorf("connection %d: Send: %v", i, err)
		}
	}
	if got := e.Counters().Drops["slow consumer"]; got != 3 {
		t.Errorf("%d closed as slow consumers; want 3", got)
	}
}

// Connections whose policy is to drop are thinned out, not closed, and what they miss
// is counted and told.
func TestBudgetDropsPublications(t *testing.T) {
	const published, budget = 300, 2 << 20
	for _, policy := range []handler.SlowPolicy{handler.DropNewest, handler.DropOldest, handler.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			a := newAccountant(t)
			e := startFeed(t, engine.Options{
				SlowPolicy: policy, MaxQueuedBytes: budget, OutboxSoftBytes: 4 * budget, OutboxHardBytes: 4 * budget,
				CloseTimeout: 400 * time.Millisecond, Mux: routes(a),
			})
			client, conn := dialSubscriber(t, e, "feed")
			for i := range published {
				publishTo(t, e, "feed", i)
			}
			dialSubscriber(t, e) // the loop is done with all of it
			awaitTicks(t, e, 2)  // one may have begun before
			eventually(t, "the engine is within its budget", func() bool { return e.Counters().QueuedBytes <= budget })
			if err := conn.Close(frame.CloseNormal, ""); err != nil {
				t.Fatal(err)
			}
			got := client.readAll(t)
			client.put(t, closeFrame(frame.CloseNormal, ""))
			receive(t, "OnClose", a.closed)
			missed := e.Counters().Missed[engine.Missed{Policy: policy, Topic: "feed"}]
			if told := a.totals()["feed"]; missed == 0 || told != published-len(got) || told != int(missed) {
				t.Errorf("got %d of %d messages, told that %d were missed, counted %d", len(got), published, told, missed)
			}
			if n := budget / 2 / bulk; policy == handler.DropNewest && got[n-1] != n-1 {
				t.Errorf("got %v; want the first %d", got, n)
			}
			if policy != handler.DropNewest && !slices.Contains(got, published-1) {
				t.Errorf("got %v; want the last one", got)
			}
		})
	}
}

// awaitTicks returns when the loops of an engine have ticked n times at least.
func awaitTicks(t *testing.T, e *engine.Engine, n int) {
	t.Helper()
	e.Counters() // forget the lag so far: each tick is late by something
	for range n {
		eventually(t, "a tick", func() bool { return e.Counters().LoopLag > 0 })
	}
}
