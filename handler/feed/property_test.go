package feed_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/feed"
)

// A truth is what was published, for comparison with what came.
type truth struct {
	mu     sync.Mutex
	topics map[string]map[uint64]string
}

func (tr *truth) record(p feed.Published, values []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.topics[p.Topic] == nil {
		tr.topics[p.Topic] = make(map[uint64]string)
	}
	for i, v := range values {
		tr.topics[p.Topic][p.Offset-uint64(len(values)-1-i)] = v
	}
}

// check compares what somebody got of a topic.
func (tr *truth) check(t *testing.T, topic string, got map[uint64]string) {
	t.Helper()
	for offset, value := range got {
		if want := tr.topics[topic][offset]; value != want {
			t.Errorf("%s: offset %d is %.60q, was published as %.60q", topic, offset, value, want)
			return
		}
	}
}

// A wanderer is a client that does things at random: it publishes, reads, stalls while the
// others publish, unsubscribes, leaves and comes back. It checks that no message comes
// twice or out of order and that every gap is announced.
type wanderer struct {
	t      *testing.T
	server *server
	truth  *truth
	random *rand.Rand
	names  []string
	conn   *websocket.Conn // nil: not connected
	topics map[string]*progress
	pongs  int            // awaited
	seen   map[string]int // messages, by type
}

// progress is how far a wanderer has come in one topic.
type progress struct {
	epoch   string
	last    uint64 // offset seen
	got     map[uint64]string
	active  bool     // the answer to a request for the topic has begun
	whole   bool     // and the topic is subscribed to
	parting bool     // it has asked to be unsubscribed
	asked   []uint64 // offsets of requests that have not been answered
}

func newWanderer(t *testing.T, s *server, tr *truth, seed uint64, names ...string) *wanderer {
	w := &wanderer{
		t: t, server: s, truth: tr, random: rand.New(rand.NewPCG(seed, 0)), names: names,
		topics: make(map[string]*progress), seen: make(map[string]int),
	}
	for _, name := range names {
		w.topics[name] = &progress{got: make(map[uint64]string)}
	}
	return w
}

// step does one thing at random.
func (w *wanderer) step() {
	name := w.names[w.random.IntN(len(w.names))]
	p := w.topics[name]
	switch n := w.random.IntN(20); {
	case n < 6:
		w.publish(name)
	case w.conn == nil:
		w.connect(name)
	case n < 12:
		w.readUntilPong()
	case n < 13:
		w.leave()
	case p.parting:
	case p.whole:
		w.send(`{"op":"unsubscribe","topic":"` + name + `"}`)
		p.parting = true
		if n < 16 {
			w.resume(name) // at once, while messages are still on their way
		}
	case !p.active && len(p.asked) == 0:
		w.resume(name)
	}
}

func (w *wanderer) publish(name string) {
	var messages []feed.Message
	var values []string
	for range 2 + w.random.IntN(30) {
		v := fmt.Sprintf("%x-%s", w.random.Uint64(), strings.Repeat("x", w.random.IntN(400)))
		values = append(values, v)
		messages = append(messages, feed.Bytes([]byte(v)))
	}
	p, err := w.server.Publish(name, messages...)
	if err != nil {
		w.t.Errorf("publish: %v", err)
	}
	w.truth.record(p, values)
}

// connect connects, in half of the cases to the path of a topic.
func (w *wanderer) connect(name string) {
	path, p := "/feed", w.topics[name]
	if w.random.IntN(2) == 0 {
		path += fmt.Sprintf("/%s?since=%d&epoch=%s", name, p.last, p.epoch)
		p.asked = []uint64{p.last}
	}
	conn, _, err := w.server.dialer.Dial("ws://"+w.server.address+path, nil)
	if err != nil {
		w.t.Errorf("dial: %v", err)
		return
	}
	w.conn = conn
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		w.t.Error(err)
	}
}

func (w *wanderer) leave() {
	_ = w.conn.Close()
	w.conn, w.pongs = nil, 0
	for _, p := range w.topics {
		p.active, p.whole, p.parting, p.asked = false, false, false, nil
	}
}

// send sends a request. That the connection has gone is found out by reading.
func (w *wanderer) send(text string) { _ = w.conn.WriteMessage(websocket.TextMessage, []byte(text)) }

// resume asks for what comes after the last message seen.
func (w *wanderer) resume(name string) {
	p := w.topics[name]
	p.asked = append(p.asked, p.last)
	w.send(fmt.Sprintf(`{"op":"resume","topic":%q,"epoch":%q,"offset":%d}`, name, p.epoch, p.last))
}

// readUntilPong reads what has come so far, and perhaps more.
func (w *wanderer) readUntilPong() {
	w.send(`{"op":"ping"}`)
	w.pongs++
	for w.conn != nil && w.pongs > 0 {
		w.read()
	}
}

// said is what the server says.
type said struct {
	Type, Topic, Epoch, Text, Reason string
	Offset, From, To, Count          uint64
}

// read reads one message and checks it.
func (w *wanderer) read() {
	_, data, err := w.conn.ReadMessage()
	if err != nil {
		if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
			w.t.Errorf("reading: %v", err)
		}
		w.leave()
		return
	}
	var m said
	if err := json.Unmarshal(data, &m); err != nil {
		w.t.Errorf("%s: %v", data, err)
	}
	w.seen[m.Type]++
	if m.Type == "pong" {
		w.pongs--
		return
	}
	p := w.topics[m.Topic]
	if p == nil || !p.begin() {
		w.t.Errorf("not asked for: %s", data)
		return
	}
	if last, wrong := p.last, w.follow(p, m); wrong {
		w.t.Errorf("seen up to %d, and then: %.200s", last, data)
	}
}

// begin makes the topic active, if it is not, by the oldest request.
func (p *progress) begin() bool {
	if p.active {
		return true
	}
	if len(p.asked) == 0 {
		return false
	}
	p.active, p.last, p.asked = true, p.asked[0], p.asked[1:]
	return true
}

// follow takes a message about a topic into account. It reports whether it is wrong.
func (w *wanderer) follow(p *progress, m said) (wrong bool) {
	switch m.Type {
	case "message":
		wrong = m.Offset != p.last+1
		p.last = m.Offset
		p.got[m.Offset] = m.Text
		return wrong
	case "gap":
		wrong = m.Reason != "history" || m.From != p.last+1 || m.To < m.From
		p.last = m.To
	case "subscribed":
		wrong = m.Offset < p.last || p.whole
		p.whole = true
	case "more":
		wrong = m.Offset != p.last
		p.active = false
		p.epoch = m.Epoch
		w.resume(m.Topic)
	case "unsubscribed":
		wrong = !p.parting
		p.active, p.whole, p.parting = false, false, false
		return wrong
	default:
		return true
	}
	wrong = wrong || p.epoch != "" && p.epoch != m.Epoch
	p.epoch = m.Epoch
	return wrong
}

// finish reads everything up to what was published last.
func (w *wanderer) finish() {
	for _, name := range w.names {
		p, want := w.topics[name], uint64(len(w.truth.topics[name]))
		for p.last < want && !w.t.Failed() {
			switch {
			case w.conn == nil:
				w.connect(name)
			case !p.active && len(p.asked) == 0:
				w.resume(name)
			default:
				w.read()
			}
		}
		w.truth.check(w.t, name, p.got)
	}
	if w.conn != nil {
		w.leave()
	}
}

// TestNothingIsLostAndNothingComesTwice runs random schedules of publish, stall, read,
// unsubscribe, reconnect and resume. History, and what may be under way to a connection, are
// so small that there are gaps, and pages.
func TestNothingIsLostAndNothingComesTwice(t *testing.T) {
	const wanderers, steps = 8, 200
	seen := make(map[string]int)
	for seed, mode := range []engine.Mode{engine.Workers, engine.Service, engine.OnLoop, engine.Workers} {
		t.Run(fmt.Sprint(mode, seed), func(t *testing.T) {
			s := start(t, feed.Options{HistoryCount: 150, ReplayBytes: 20_000}, engine.Options{Mode: mode})
			tr := &truth{topics: make(map[string]map[uint64]string)}
			var all []*wanderer
			var wandering, finishing sync.WaitGroup
			for i := range uint64(wanderers) {
				w := newWanderer(t, s, tr, uint64(seed)*wanderers+i, "a", "b", "c")
				all = append(all, w)
				wandering.Go(func() {
					for i := 0; i < steps && !t.Failed(); i++ {
						w.step()
					}
				})
			}
			wandering.Wait()
			for _, w := range all {
				finishing.Go(w.finish)
			}
			finishing.Wait()
			for _, w := range all {
				for what, n := range w.seen {
					seen[what] += n
				}
			}
		})
	}
	t.Logf("%v", seen)
	for _, what := range []string{"message", "gap", "more", "subscribed", "unsubscribed"} {
		if seen[what] == 0 {
			t.Errorf("the schedules had no case of %q", what)
		}
	}
}

func TestReaderThatWasTooSlowResumes(t *testing.T) {
	s := start(t, feed.Options{HistoryCount: 1, ReplayBytes: 50_000}, engine.Options{
		SlowPolicy: handler.DropNewest, Topics: []engine.TopicOptions{{Pattern: ">", SlowPolicy: handler.DropOldest}}, // not for the feed
		OutboxSoftBytes: 100_000, OutboxHardBytes: 200_000,
	})
	tr := &truth{topics: make(map[string]map[uint64]string)}
	w := newWanderer(t, s, tr, 0, "a")
	w.connect("a")
	if len(w.topics["a"].asked) == 0 {
		w.resume("a")
	}
	eventually(t, "a subscriber", func() bool { return s.Subscribers("a") == 1 })
	large := strings.Repeat("x", 49_000)
	for s.Subscribers("a") > 0 {
		p, err := s.Publish("a", feed.Bytes([]byte(large)))
		if err != nil {
			t.Fatal(err)
		}
		tr.record(p, []string{large})
	}
	w.publish("a")
	for w.conn != nil {
		w.read()
	}
	before := w.topics["a"].last
	w.finish()
	if before == 0 || w.seen["gap"] != 1 {
		t.Errorf("it had read up to %d when it was closed, and then got %v", before, w.seen)
	}
}
