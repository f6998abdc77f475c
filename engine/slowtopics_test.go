package engine_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// slowTopics are topics with a policy each, which they are called after.
var slowTopics = []string{"drop.newest", "drop.oldest", "conflate", "disconnect"}

func slowTopicOptions() []engine.TopicOptions {
	return []engine.TopicOptions{
		{Pattern: "drop.newest", SlowPolicy: handler.DropNewest},
		{Pattern: "drop.oldest", SlowPolicy: handler.DropOldest},
		{Pattern: "conflate", SlowPolicy: handler.Conflate},
		{Pattern: "disconnect", SlowPolicy: handler.Disconnect},
	}
}

// A client that stalls and goes on reading gets of each topic what that topic's policy says,
// in the order in which it was published, as if there were no other topics. What it has
// missed is told and counted, by policy and topic, to the message.
func TestSlowPoliciesOfTopics(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		const published, soft = 2 * overKernel / bulk, 8 * bulk
		a := newAccountant(t)
		e := startFeed(t, engine.Options{Mode: mode, Topics: slowTopicOptions(), OutboxSoftBytes: soft, Mux: routes(a)})
		client, conn := dialSubscriber(t, e, slowTopics...)
		watch, watching := dialSubscriber(t, e, slowTopics...)
		if err := watching.SetSlowPolicy(handler.Disconnect); err != nil {
			t.Fatal(err)
		}
		sent := make(map[string][]int)
		for i := range published {
			topic := slowTopics[i%4]
			sent[topic] = append(sent[topic], i)
			publishTo(t, e, topic, i)
			watch.expectNews(t, i) // the loop is done with it
		}
		if err := conn.Close(frame.CloseNormal, ""); err != nil {
			t.Fatal(err)
		}
		got, rest := make(map[string][]int), []int(nil)
		for _, i := range client.readAll(t) {
			topic := slowTopics[i%4]
			got[topic] = append(got[topic], i)
			if topic != "conflate" {
				rest = append(rest, i)
			}
		}
		client.put(t, closeFrame(frame.CloseNormal, ""))
		receive(t, "OnClose", a.closed)

		if !slices.IsSorted(rest) {
			t.Errorf("got %v; want it in order", rest)
		}
		if n := len(got["drop.newest"]); !slices.Equal(got["drop.newest"], sent["drop.newest"][:n]) {
			t.Errorf("got %v; want the first ones", got["drop.newest"])
		}
		oldest, all := got["drop.oldest"], sent["drop.oldest"]
		if tail := all[len(all)-soft/bulk+1:]; !slices.Equal(oldest[len(oldest)-len(tail):], tail) {
			t.Errorf("got %v; want the last ones at the end", oldest)
		}
		if !slices.Equal(got["disconnect"], sent["disconnect"]) {
			t.Errorf("got %v; want all of %v", got["disconnect"], sent["disconnect"])
		}
		keyOf, values := make([]int, published/4), []int(nil) // by number within the topic
		for n, i := range sent["conflate"] {
			keyOf[n] = i % 5
		}
		for _, i := range got["conflate"] {
			values = append(values, i/4)
		}
		checkConflated(t, keyOf, values)
		checkMissed(t, a, e, sent, got)
	})
}

// checkMissed checks that what was sent and has not been got is what the handler was told
// of and the engine has counted, for the policies of slowTopics.
func checkMissed(t *testing.T, a *accountant, e *engine.Engine, sent, got map[string][]int) {
	t.Helper()
	told, counted := make(map[string]int), make(map[engine.Missed]uint64)
	for _, o := range slowTopicOptions() {
		if n := len(sent[o.Pattern]) - len(got[o.Pattern]); n != 0 {
			told[o.Pattern], counted[engine.Missed{Policy: o.SlowPolicy, Topic: o.Pattern}] = n, uint64(n)
		}
	}
	if len(told) != 3 || !maps.Equal(a.totals(), told) {
		t.Errorf("told of %v; want %v, which is something of three topics", a.totals(), told)
	}
	if missed := e.Counters().Missed; !maps.Equal(missed, counted) {
		t.Errorf("counted %v; want %v", missed, counted)
	}
}

// What is published to a topic that drops nothing waits behind what is of others, and
// counts: at the hard mark the client is closed, and above the soft one when that lasts.
func TestSlowTopicThatDropsNothing(t *testing.T) {
	const hard, spare = 64, 8 // messages; spare may be in the outbox already
	tests := []struct {
		name        string
		slowTimeout time.Duration
		isOpen      int // with so many waiting
		isClosed    int
	}{
		{"hard mark", -1, hard - spare, hard + 1},
		{"soft mark", 50 * time.Millisecond, 0, hard - spare},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			book := newLedger()
			e := startFeed(t, engine.Options{
				Topics: slowTopicOptions(), SlowTimeout: tt.slowTimeout, CloseTimeout: time.Minute,
				OutboxSoftBytes: spare * bulk, OutboxHardBytes: hard * bulk, Mux: routes(book),
			})
			client, conn := dialSubscriber(t, e, slowTopics...)
			watch, _ := dialSubscriber(t, e, slowTopics...)
			stalled := engine.Missed{Policy: handler.DropOldest, Topic: "drop.oldest"}
			n := 0
			post := func(topic string) {
				publishTo(t, e, topic, n)
				watch.expectNews(t, n)
				n++
			}
			for e.Counters().Missed[stalled] == 0 {
				post("drop.oldest")
			}
			for range tt.isOpen {
				post("disconnect")
			}
			if _, err, ended := book.entry(conn.ID()); ended || e.Hub().Count("") != 2 {
				t.Fatalf("closed with %d waiting: %v", tt.isOpen, err)
			}
			for range tt.isClosed - tt.isOpen {
				post("disconnect")
			}
			eventually(t, "the client is closed", func() bool { return e.Hub().Count("") == 1 })
			client.expectSlowClose(t)
		})
	}
}

// expectSlowClose reads up to a close frame with 1008.
func (c *rawClient) expectSlowClose(t *testing.T) {
	t.Helper()
	for {
		_, _, err := c.readMessage()
		var closed peerClosed
		if errors.As(err, &closed) && closed.code == frame.ClosePolicyViolation {
			return
		}
		if err != nil {
			t.Fatalf("got error %v; want a close frame with 1008", err)
		}
	}
}

// Publishing to topics with all policies, stalling, reading, and changes of the connection's own
// policy and rate, in any order, with TLS and without: what a client gets and what is told and
// counted as missed is what was published, in order, and nothing comes twice.
func TestMixedPolicies(t *testing.T) {
	ca := newAuthority(t)
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			a := newAccountant(t)
			o := engine.Options{
				SlowPolicy: handler.SlowPolicy(1 + r.IntN(4)), Topics: slowTopicOptions(),
				OutboxSoftBytes: 1 + r.IntN(20*bulk), OutboxHardBytes: 64 << 20, Mux: routes(a),
			}
			dial := dialSubscriber
			if seed%3 == 2 {
				o.TLS = withCertificate(ca.issue(t, "server"))
				dial = func(t *testing.T, e *engine.Engine, topics ...string) (*rawClient, handler.Conn) {
					return dialSecureSubscriber(t, e, ca, topics...)
				}
			}
			e := startFeed(t, o)
			c, conn := dial(t, e, ">")
			watch, watching := dial(t, e, ">")
			if err := watching.SetSlowPolicy(handler.Disconnect); err != nil {
				t.Fatal(err)
			}
			reads, arrived := make(chan int, 1000), make(chan []int, 1)
			go func() { arrived <- c.readFeed(t, reads) }() // ends with the close frame

			var topicOf []string // by number of the message
			for range 25 {
				for range r.IntN(60) {
					topic := append(slowTopics, "other", "")[r.IntN(6)]
					publishTo(t, e, topic, len(topicOf))
					watch.expectNews(t, len(topicOf))
					topicOf = append(topicOf, topic)
				}
				if seed%2 == 1 && r.IntN(4) == 0 {
					change(t, r, conn)
				}
				reads <- r.IntN(40)
			}
			if err := conn.Close(frame.CloseNormal, ""); err != nil {
				t.Fatal(err)
			}
			close(reads)
			got := receive(t, "the client", arrived)
			c.put(t, closeFrame(frame.CloseNormal, ""))
			receive(t, "OnClose", a.closed)
			checkMixed(t, a, e, topicOf, got)
		})
	}
}

// change sets a policy or a rate, or takes them back.
func change(t *testing.T, r *rand.Rand, conn handler.Conn) {
	t.Helper()
	policy, rate := handler.SlowPolicy(max(0, r.IntN(8)-3)), handler.Rate{}
	if r.IntN(3) == 0 {
		rate.Messages = 1 + r.IntN(100)
	}
	if err := errors.Join(conn.SetSlowPolicy(policy), conn.SetRate(rate)); err != nil {
		t.Fatal(err)
	}
}

// checkMixed checks what a client has got of messages that were published to topicOf, about
// the keys of publishTo.
func checkMixed(t *testing.T, a *accountant, e *engine.Engine, topicOf []string, got []int) {
	t.Helper()
	type value struct {
		topic string
		key   int
	}
	missed, newest := make(map[string]int), make(map[value]int)
	for _, topic := range topicOf {
		missed[topic]++
	}
	for _, i := range got {
		v := value{topic: topicOf[i]}
		if v.topic != "" {
			v.key = i % 5
		}
		if before, ok := newest[v]; ok && before >= i {
			t.Fatalf("%v: message %d after %d", v, i, before)
		}
		newest[v] = i
		missed[v.topic]--
	}
	maps.DeleteFunc(missed, func(_ string, n int) bool { return n == 0 })
	if !maps.Equal(a.totals(), missed) {
		t.Errorf("told of %v; want %v", a.totals(), missed)
	}
	counted := make(map[string]int)
	for m, n := range e.Counters().Missed {
		counted[m.Topic] += int(n)
	}
	if !maps.Equal(counted, missed) {
		t.Errorf("counted %v; want %v", counted, missed)
	}
}

// What is published while OnOpen runs is bounded, and a connection that is beyond the bound
// is closed afterwards.
func TestPublishWhileOpening(t *testing.T) {
	const hard = 32
	for _, policy := range []handler.SlowPolicy{handler.DropNewest, handler.DropOldest, handler.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			mux, entered, leave := routes(subscriber()), make(chan handler.Conn), make(chan struct{})
			stopOpening := sync.OnceFunc(func() { close(leave) })
			defer stopOpening()
			mux.Handle("/slow", handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error {
				err := c.Subscribe("feed")
				entered <- c
				<-leave
				return err
			}})
			e := startFeed(t, engine.Options{
				SlowPolicy: policy, OutboxSoftBytes: hard / 4 * bulk, OutboxHardBytes: hard * bulk,
				CloseTimeout: 50 * time.Millisecond, Mux: mux,
			})
			client := dialTCP(t, e)
			client.put(t, upgrade("/slow"))
			conn := receive(t, "OnOpen", entered)
			watch, _ := dialSubscriber(t, e, "feed")
			for i := range 8 * hard {
				publishKey(t, e, i, fmt.Sprint(i))
				watch.expectNews(t, i)
			}
			eventually(t, "what waits is counted", func() bool { return e.Counters().QueuedBytes > 0 })
			if n := e.Counters().QueuedBytes; n > (2*hard+1)*(bulk+4) {
				t.Errorf("%d bytes wait; want at most %d", n, (2*hard+1)*(bulk+4))
			}
			stopOpening()
			if policy == handler.Conflate {
				receive(t, "the end of the connection", conn.Done())
				return
			}
			eventually(t, "the connection opens", func() bool { return e.Hub().Count("") == 2 })
		})
	}
}

// Publications that may be dropped do not make a peer that reads nothing count as slow, not
// even those that are in its outbox already. Messages of Send behind them do.
func TestDroppedNeverSlow(t *testing.T) {
	for _, policy := range []handler.SlowPolicy{handler.DropNewest, handler.DropOldest, handler.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			e := startFeed(t, engine.Options{
				SlowPolicy: policy, OutboxSoftBytes: bulk / 4, SlowTimeout: 40 * time.Millisecond, CloseTimeout: time.Minute,
			})
			client, conn := dialSubscriber(t, e, "feed")
			for i := 0; len(e.Counters().Missed) == 0; i++ {
				publishTo(t, e, "feed", i)
			}
			awaitTicks(t, e, 20) // of 5 ms
			if c := e.Counters(); c.Pauses != 0 || c.Connections != 1 {
				t.Errorf("%d pauses, %d connections; want 0, 1", c.Pauses, c.Connections)
			}
			if err := conn.Send(frame.Binary, make([]byte, bulk)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the client is closed", func() bool { return e.Hub().Count("") == 0 })
			client.expectSlowClose(t)
		})
	}
}
