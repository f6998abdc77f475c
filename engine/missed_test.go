package engine_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// An accountant is a subscriber that notes what its connections have missed.
type accountant struct {
	handler.Handler
	t      *testing.T
	mu     sync.Mutex
	missed map[string]int // by topic
	calls  chan int       // gets the n of each call, as far as it has room
	closed chan struct{}  // gets a token after each OnClose
}

func newAccountant(t *testing.T) *accountant {
	return &accountant{Handler: subscriber(), t: t, missed: make(map[string]int), calls: make(chan int, 100), closed: make(chan struct{}, 2)}
}

func (a *accountant) OnMissed(_ handler.Conn, topic string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n <= 0 || len(a.closed) > 0 {
		a.t.Errorf("OnMissed(%q, %d), after %d OnClose", topic, n, len(a.closed))
	}
	a.missed[topic] += n
	select {
	case a.calls <- n:
	default:
	}
}

func (a *accountant) OnClose(handler.Conn, handler.CloseStatus) { a.closed <- struct{}{} }

// totals is what the connections have missed, by topic.
func (a *accountant) totals() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.missed)
}

// What a client has got and what its handler was told it has missed are all that was
// published, to the message, and the engine has counted the same, by policy and topic.
func TestMissed(t *testing.T) {
	for _, policy := range []handler.SlowPolicy{handler.DropNewest, handler.DropOldest, handler.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode engine.Mode) { testMissed(t, mode, policy) })
		})
	}
}

// testMissed is TestMissed for one mode and policy.
func testMissed(t *testing.T, mode engine.Mode, policy handler.SlowPolicy) {
	const published, soft = overKernel / bulk, 8 * bulk
	a := newAccountant(t)
	e := startFeed(t, engine.Options{Mode: mode, SlowPolicy: policy, OutboxSoftBytes: soft, Mux: routes(a)})
	client, conn := dialSubscriber(t, e, "feed", "other.*")
	watch, watching := dialSubscriber(t, e, "feed", "other.*")
	if err := watching.SetSlowPolicy(handler.Disconnect); err != nil {
		t.Fatal(err)
	}
	topics, sent := []string{"feed", "other.a", "other.b", ""}, make(map[string]int)
	for i := range published {
		sent[topics[i%4]]++
		publishTo(t, e, topics[i%4], i)
		watch.expectNews(t, i) // the loop is done with it
	}
	if len(a.totals()) != 0 {
		t.Errorf("OnMissed before the client reads: %v", a.totals())
	}
	arrived := make(chan []int, 1)
	go func() { arrived <- client.readAll(t) }() // ends with the close frame
	receive(t, "OnMissed, once the client reads again", a.calls)
	if err := conn.Close(frame.CloseNormal, ""); err != nil {
		t.Fatal(err)
	}
	for _, i := range receive(t, "what the client got", arrived) {
		sent[topics[i%4]]--
	}
	client.put(t, closeFrame(frame.CloseNormal, ""))
	receive(t, "OnClose", a.closed)
	if got := a.totals(); !maps.Equal(got, sent) {
		t.Errorf("missed %v; want %v", got, sent)
	}
	counted := make(map[string]int)
	for m, n := range e.Counters().Missed {
		if m.Policy != policy {
			t.Errorf("%d counted for the policy %v", n, m.Policy)
		}
		counted[m.Topic] += int(n)
	}
	if !maps.Equal(counted, sent) {
		t.Errorf("counted %v; want %v", counted, sent)
	}
}

// A client that never reads again is accounted for before OnClose.
func TestMissedBeforeClose(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		const published = overKernel / bulk
		a := newAccountant(t)
		e := startFeed(t, engine.Options{Mode: mode, SlowPolicy: handler.DropOldest, OutboxSoftBytes: bulk, Mux: routes(a)})
		client, _ := dialSubscriber(t, e, "feed")
		for i := range published {
			publishTo(t, e, "feed", i)
		}
		counted := func() int { return int(e.Counters().Missed[engine.Missed{Policy: handler.DropOldest, Topic: "feed"}]) }
		eventually(t, "most is dropped", func() bool { return counted() > published/2 })
		dialSubscriber(t, e, "feed") // the loop is done with all of it
		client.kill(t)
		receive(t, "OnClose", a.closed)
		if got := a.totals()["feed"]; got != counted() {
			t.Errorf("told of %d messages; want %d", got, counted())
		}
	})
}

// Topics beyond a bound are counted, and told, together.
func TestMissedOfManyTopics(t *testing.T) {
	const topics = 300
	a := newAccountant(t)
	e := startFeed(t, engine.Options{SlowPolicy: handler.DropNewest, OutboxSoftBytes: 1, Mux: routes(a)})
	client, _ := dialSubscriber(t, e, "topic.*")
	for i := range overKernel/bulk + topics {
		publishTo(t, e, fmt.Sprint("topic.", i%topics), i)
	}
	dialSubscriber(t, e)
	missed := make(map[string]int)
	for m, n := range e.Counters().Missed {
		missed[m.Topic] = int(n)
	}
	if n := missed[engine.OtherTopics]; n == 0 || len(missed) != 257 {
		t.Errorf("%d of other topics, %d counters; want some, 257", n, len(missed))
	}
	client.kill(t)
	receive(t, "OnClose", a.closed)
	if told := a.totals(); !maps.Equal(told, missed) {
		t.Errorf("told of %v; want %v", told, missed)
	}
}

// publishTo publishes message i of the feed to a topic; "" is everybody.
func publishTo(t testing.TB, e *engine.Engine, topic string, i int) {
	t.Helper()
	if topic == "" {
		e.Hub().Broadcast(frame.Binary, news(i, "x"), handler.Audience{})
		return
	}
	if _, err := e.Hub().Publish(topic, frame.Binary, news(i, "x"), handler.PublishOptions{Key: fmt.Sprint(i % 5)}); err != nil {
		t.Fatal(err)
	}
}
