package engine_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// What a client that stalled has got and what it was told that it has missed are all that
// was published, to the message.
func TestTellMissed(t *testing.T) {
	for _, policy := range []handler.SlowPolicy{handler.DropNewest, handler.DropOldest, handler.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode engine.Mode) { testTellMissed(t, mode, policy) })
		})
	}
}

// testTellMissed is TestTellMissed for one mode and policy.
func testTellMissed(t *testing.T, mode engine.Mode, policy handler.SlowPolicy) {
	const published = overKernel / bulk
	e := startFeed(t, engine.Options{
		Mode: mode, SlowPolicy: policy, OutboxSoftBytes: 8 * bulk,
		Mux: routes(handler.TellMissed(subscriber(), func(topic string, n int) (frame.Opcode, []byte) {
			return frame.Text, fmt.Appendf(nil, "missed %d on %q", n, topic)
		})),
	})
	client, _ := dialSubscriber(t, e, "feed", "other.*")
	watch, watching := dialSubscriber(t, e, "feed", "other.*")
	if err := watching.SetSlowPolicy(handler.Disconnect); err != nil {
		t.Fatal(err)
	}
	topics, due := []string{"feed", "other.a", "other.b", ""}, make(map[string]int)
	for i := range published {
		due[topics[i%4]]++
		publishTo(t, e, topics[i%4], i)
		watch.expectNews(t, i) // the loop is done with it
	}
	told := client.settle(t, topics, due)
	counted := make(map[string]int)
	for m, n := range e.Counters().Missed {
		counted[m.Topic] += int(n)
	}
	if len(told) == 0 || !maps.Equal(told, counted) {
		t.Errorf("told that it has missed %v; %v is counted", told, counted)
	}
	publishTo(t, e, "feed", published)
	client.expectNews(t, published)
}

// settle reads messages of a feed whose number says which of topics they belong to, and
// messages about missed ones, until nothing is due any more. It returns what was missed.
func (c *rawClient) settle(t *testing.T, topics []string, due map[string]int) (told map[string]int) {
	t.Helper()
	told = make(map[string]int)
	for len(due) > 0 {
		op, p, err := c.readMessage()
		if err != nil {
			t.Fatalf("%v are still due: %v", due, err)
		}
		var topic string
		n, i := 1, 0
		if op == frame.Text {
			_, err = fmt.Sscanf(string(p), "missed %d on %q", &n, &topic)
			told[topic] += n
		} else {
			_, err = fmt.Sscan(string(p[:min(len(p), 64)]), &i)
			topic = topics[i%len(topics)]
		}
		if due[topic] -= n; err != nil || n < 1 || due[topic] < 0 {
			t.Fatalf("message %.64q is %d too many on %q, error %v", p, -due[topic], topic, err)
		}
		if due[topic] == 0 {
			delete(due, topic)
		}
	}
	return told
}
