package feed_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/feed"
)

// A dropper is a client with a policy that drops. It checks that offsets rise, and that
// what it got, what was dropped and what is gone from the history is everything.
type dropper struct {
	t      *testing.T
	server *server
	path   string // with the policy
	conn   *websocket.Conn
	topics map[string]*account
	seen   map[string]int // messages, by type
}

// An account is what a dropper knows of one topic on one connection.
type account struct {
	epoch             string
	begin, last       uint64 // offsets: of the last message before the connection, and of the last one
	got, missed, gone uint64 // messages
}

// due is how many messages up to this offset it does not know anything of.
func (a *account) due(newest uint64) int64 {
	return int64(newest-a.begin) - int64(a.got+a.missed+a.gone)
}

// connect connects and resumes all topics.
func (d *dropper) connect() {
	d.t.Helper()
	conn, _, err := d.server.dialer.Dial("ws://"+d.server.address+d.path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		d.t.Fatal(err)
	}
	d.conn = conn
	for name, a := range d.topics {
		*a = account{epoch: a.epoch, begin: a.last, last: a.last}
		d.resume(name)
	}
}

func (d *dropper) resume(name string) {
	a := d.topics[name]
	d.send(`{"op":"resume","topic":%q,"epoch":%q,"offset":%d}`, name, a.epoch, a.last)
}

func (d *dropper) send(format string, args ...any) {
	d.t.Helper()
	if err := d.conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, args...)); err != nil {
		d.t.Fatal(err)
	}
}

// readSome reads up to an answer that overtakes what waits.
func (d *dropper) readSome() {
	d.t.Helper()
	d.send(`{"op":"ping"}`)
	for d.read() != "pong" {
	}
}

// read reads one message, checks it, and returns its type.
func (d *dropper) read() string {
	d.t.Helper()
	_, data, err := d.conn.ReadMessage()
	if err != nil {
		d.t.Fatal(err)
	}
	var m said
	if err := json.Unmarshal(data, &m); err != nil {
		d.t.Fatalf("%s: %v", data, err)
	}
	d.seen[m.Type]++
	if m.Type == "pong" {
		return m.Type
	}
	a := d.topics[m.Topic]
	ok := a != nil
	switch {
	case !ok:
	case m.Type == "subscribed":
		a.epoch = m.Epoch
	case m.Type == "more":
		ok, a.epoch = m.Offset == a.last, m.Epoch
		d.resume(m.Topic)
	case m.Type == "gap":
		ok = m.From == a.last+1 && m.To >= m.From
		a.gone, a.last = a.gone+m.To-a.last, m.To
	case m.Type == "missed":
		ok = m.Count > 0
		a.missed += m.Count
	default:
		ok = m.Type == "message" && m.Offset > a.last && strings.HasPrefix(m.Text, fmt.Sprintf("%s %d ", m.Topic, m.Offset))
		a.got, a.last = a.got+1, m.Offset
	}
	if !ok {
		d.t.Fatalf("unexpected: %.200s; it knows %+v", data, a)
	}
	return m.Type
}

// settle reads until it knows about everything that was published.
func (d *dropper) settle(newest map[string]uint64) {
	d.t.Helper()
	for name, a := range d.topics {
		for a.due(newest[name]) > 0 {
			d.read()
		}
	}
	d.readSome()
	for name, a := range d.topics {
		if n := a.due(newest[name]); n != 0 {
			d.t.Errorf("%s: %d are unaccounted for up to %d: %+v", name, n, newest[name], a)
		}
	}
}

// Random schedules of publish, stall, read and reconnect: what a client got, what it was told
// that it has missed, and the gaps are all that was published, to the message. The state at the
// end is right, and no message comes twice.
func TestMissed(t *testing.T) {
	modes := []engine.Mode{engine.Workers, engine.Service, engine.OnLoop}
	seen := make(map[string]int)
	for _, policy := range []string{"drop-newest", "drop-oldest", "conflate"} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprint(policy, seed), func(t *testing.T) { testMissed(t, policy, seed, modes[seed%3], seen) })
		}
	}
	for _, what := range []string{"message", "gap", "more", "missed"} {
		if seen[what] == 0 {
			t.Errorf("the schedules had no case of %q", what)
		}
	}
}

// testMissed is TestMissed for one schedule. It adds to what was seen.
func testMissed(t *testing.T, policy string, seed uint64, mode engine.Mode, seen map[string]int) {
	const size = 16 << 10
	s := start(t, feed.Options{HistoryCount: 30, ReplayBytes: 10 * size}, engine.Options{
		Mode: mode, Network: "unix", Address: filepath.Join(t.TempDir(), "s"), OutboxSoftBytes: 8 * size, // a unix socket holds little
	})
	r := rand.New(rand.NewPCG(seed, 8))
	d := &dropper{t: t, server: s, path: "/feed?slow=" + policy, topics: map[string]*account{"a": {}, "b": {}}, seen: seen}
	newest := make(map[string]uint64)
	publish := func(topic string) {
		text := fmt.Sprintf("%s %d %s", topic, newest[topic]+1, strings.Repeat("x", size))
		p, err := s.Publish(topic, feed.Bytes([]byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		newest[topic] = p.Offset
	}
	d.connect()
	for range 30 {
		switch n := r.IntN(20); {
		case n < 1:
			_ = d.conn.Close()
			d.connect()
		case n < 6:
			d.readSome()
		default:
			for range 1 + r.IntN(40) {
				publish([]string{"a", "b"}[r.IntN(2)])
			}
		}
	}
	d.settle(newest)
	for name, a := range d.topics {
		if policy != "drop-newest" && a.last != newest[name] {
			t.Errorf("%s: the last message is %d; want %d", name, a.last, newest[name])
		}
		publish(name) // the client keeps up
	}
	d.settle(newest)
	for name, a := range d.topics {
		if a.last != newest[name] {
			t.Errorf("%s: the message after that is %d; want %d", name, a.last, newest[name])
		}
	}
	_ = d.conn.Close()
}

func TestConnectionThatDropsDoesNotUnsubscribe(t *testing.T) {
	s := start(t, feed.Options{}, engine.Options{})
	c := s.dial(t, "/feed/a?slow=conflate")
	c.expect(`{"type":"subscribed","topic":"a","offset":0}`)
	c.send(`{"op":"unsubscribe","topic":"a"}`)
	c.expect(`{"type":"error","op":"unsubscribe","topic":"a","code":"dropping"}`)
	c.send(`{"op":"unsubscribe","topic":"b"}`)
	c.expect(`{"type":"error","op":"unsubscribe","topic":"b","code":"not-subscribed"}`)
	s.publish(t, "a", "1")
	c.expect(`{"type":"message","topic":"a","offset":1,"data":1}`)
}

// What a client misses of more topics than are told one by one is told in one sum. It was not
// told at all.
func TestMissedOfManyTopics(t *testing.T) {
	const topics, rounds, size = 300, 2, 16 << 10
	s := start(t, feed.Options{}, engine.Options{
		Network: "unix", Address: filepath.Join(t.TempDir(), "s"), OutboxSoftBytes: 8 * size, // a unix socket holds little
	})
	c := s.dial(t, "/feed?slow=drop-newest")
	for i := range topics {
		c.send(fmt.Sprintf(`{"op":"subscribe","topic":"t%d"}`, i))
		c.expect(fmt.Sprintf(`{"type":"subscribed","topic":"t%d","offset":0}`, i))
	}
	for i := range topics * rounds {
		if _, err := s.Publish(fmt.Sprint("t", i%topics), feed.Bytes(make([]byte, size/6))); err != nil {
			t.Fatal(err)
		}
	}
	known, told := 0, make(map[string]uint64) // messages; missed by topic
	for known < topics*rounds {
		_, data, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("%v; it knows of %d messages of %d, of %d topics that it has missed some", err, known, topics*rounds, len(told))
		}
		var m said
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		known++
		if m.Type == "missed" {
			known += int(m.Count) - 1
			told[m.Topic] += m.Count
		}
	}
	if known != topics*rounds || told[""] == 0 || len(told) != 257 {
		t.Errorf("it knows of %d messages of %d; told of %d topics, and %d messages of others; want 257, some", known, topics*rounds, len(told), told[""])
	}
}
