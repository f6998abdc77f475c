package feed

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Options configure a Feed. The zero value works: everybody may subscribe, and only
// the program itself can publish.
type Options struct {
	// HistoryCount, HistoryBytes and HistoryAge bound what is kept of each topic, whichever
	// is reached first. The newest message is kept in any case. Defaults: 1000, 1 MiB, 1 h.
	// A negative HistoryAge keeps messages however old.
	HistoryCount int
	HistoryBytes int
	HistoryAge   time.Duration
	// MaxTopics bounds the number of topics, and with it the memory for histories. At the
	// bound, topics that have been silent for HistoryAge and have no subscribers are
	// forgotten; if there are none, a new topic is ErrTooManyTopics. Default: 10,000.
	MaxTopics int
	// MaxBodyBytes bounds the body of a request to publish; a larger one is answered
	// 413. Default: 1 MiB.
	MaxBodyBytes int
	// ReplayBytes bounds the history that is under way to one connection, and so one
	// message as subscribers get it: a larger one is ErrTooLarge. More is sent when the client
	// asks for it, having read that. It must be well below the engine's OutboxHardBytes, which
	// what is published meanwhile and the replies need too. Default: 1 MiB.
	ReplayBytes int

	// PublishKeys verify the tokens of publishers. Default: none, so that no client can
	// publish.
	PublishKeys []Key
	// SubscribeKeys verify the tokens of subscribers. Default: none, so that everybody can
	// subscribe to everything.
	SubscribeKeys []Key
}

func (o Options) withDefaults() Options {
	o.HistoryCount = cmp.Or(o.HistoryCount, 1000)
	o.HistoryBytes = cmp.Or(o.HistoryBytes, 1<<20)
	o.HistoryAge = cmp.Or(o.HistoryAge, time.Hour)
	o.MaxTopics = cmp.Or(o.MaxTopics, 10_000)
	o.MaxBodyBytes = cmp.Or(o.MaxBodyBytes, 1<<20)
	o.ReplayBytes = cmp.Or(o.ReplayBytes, 1<<20)
	return o
}

// validate returns everything that is wrong with options that have their defaults.
func (o Options) validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int
	}{
		{"HistoryCount", o.HistoryCount},
		{"HistoryBytes", o.HistoryBytes},
		{"MaxTopics", o.MaxTopics},
		{"MaxBodyBytes", o.MaxBodyBytes},
		{"ReplayBytes", o.ReplayBytes},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("feed: %s is negative", f.name))
		}
	}
	return errors.Join(errs...)
}

// sweepInterval is the least time between two sweeps over all topics.
const sweepInterval = time.Second

// A Feed is topics with their histories. It is a handler.Handler for the routes /feed and
// "*", and an http.Handler for what is below /publish/. It serves the connections of
// one engine. Its methods may be called from any goroutine, and none of them blocks.
type Feed struct {
	options Options // with defaults; immutable
	bounds  bounds
	epoch   string
	now     func() time.Time
	hub     atomic.Pointer[handler.Hub] // nil until somebody has connected

	// Nobody holds mu together with the lock of a topic: a topic that nobody has pinned
	// belongs to whoever holds mu for writing.
	mu     sync.RWMutex
	topics map[string]*topic
	made   uint64 // topics, ever
	swept  time.Time
	closed bool
}

// New returns a Feed without topics. The error names everything that is wrong with o.
func New(o Options) (*Feed, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return &Feed{
		options: o,
		bounds:  bounds{count: o.HistoryCount, bytes: o.HistoryBytes, age: o.HistoryAge},
		epoch:   fmt.Sprintf("%x", id),
		now:     time.Now,
		topics:  make(map[string]*topic),
	}, nil
}

// Options returns the options with their defaults.
func (f *Feed) Options() Options { return f.options }

// Close ends publishing, before the engine is shut down: what was published before reaches
// the subscribers, and nothing is published once it has returned. Subscriptions are left
// alone. It may be called again.
func (f *Feed) Close() {
	f.mu.Lock()
	f.closed = true
	topics := slices.Collect(maps.Values(f.topics))
	f.mu.Unlock()
	for _, t := range topics {
		t.mu.Lock()
		t.closed = true
		t.mu.Unlock()
	}
}

// Published says which offsets messages were given.
type Published struct {
	Topic  string `json:"topic"`
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"` // of the last message
	Count  int    `json:"count"`  // of messages, whose offsets follow each other
}

// Publish publishes messages to a topic, one behind the other and with nothing in
// between. It returns ErrTopic, ErrTooLarge, ErrTooManyTopics and ErrClosed; then nothing was
// published. With ErrBusy the first Published.Count of them were, and the rest may be tried
// again later.
func (f *Feed) Publish(topic string, messages ...Message) (Published, error) {
	for _, m := range messages {
		if m.maxSize(topic) > f.options.ReplayBytes {
			return Published{}, ErrTooLarge
		}
	}
	t, err := f.acquire(topic)
	if err != nil {
		return Published{}, err
	}
	defer t.release()
	last, n, err := f.publish(t, messages)
	return Published{Topic: topic, Epoch: t.epoch, Offset: last, Count: n}, err
}

// publish gives each message the next offset of a topic and hands it to the engine. Both
// happen under the lock, so that the order of the offsets is that of the engine's queue. It
// returns the last offset and how many messages have one: with ErrBusy, not all of them.
func (f *Feed) publish(t *topic, messages []Message) (last uint64, n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return t.history.last, 0, ErrClosed
	}
	hub := f.hub.Load() // under the lock: whoever subscribes to the topic has set it before
	for i, m := range messages {
		payload := appendMessage(make([]byte, 0, m.maxSize(t.name)), t.name, t.history.last+1, m)
		if hub != nil {
			// Subject and opcode are valid, so that an error is ErrBusy.
			if _, err := (*hub).Publish(t.subject, frame.Text, payload, handler.PublishOptions{}); err != nil {
				return t.history.last, i, ErrBusy
			}
		}
		t.history.add(entry{message: frame.Prepare(frame.Text, payload, nil), at: f.now()}, f.bounds)
	}
	return t.history.last, len(messages), nil
}

// Subscribers is the number of connections that are subscribed to a topic.
func (f *Feed) Subscribers(topic string) int {
	hub := f.hub.Load()
	if hub == nil {
		return 0
	}
	return (*hub).Subscriptions(f.subject(topic))
}

// subject is the topic of the engine for one of the feed. The epoch keeps it apart from
// what the application publishes itself.
func (f *Feed) subject(topic string) string { return "feed-" + f.epoch + "." + topic }

// privateSubject is the one by which a single connection is reached in turn with what is
// published.
func (f *Feed) privateSubject(c handler.Conn) string {
	return "feed-" + f.epoch + "-conn." + strconv.FormatUint(c.ID(), 10)
}

// attach makes publications reach the connections of hub.
func (f *Feed) attach(hub handler.Hub) {
	if f.hub.Load() == nil {
		first := hub // only now on the heap
		f.hub.CompareAndSwap(nil, &first)
	}
}

// acquire returns a topic, made if there is none, and pins it. The caller releases it.
func (f *Feed) acquire(name string) (*topic, error) {
	f.mu.RLock()
	t := f.topics[name]
	if t != nil {
		t.pins.Add(1)
	}
	due := f.sweepDue()
	f.mu.RUnlock()
	if due {
		f.mu.Lock()
		f.sweep()
		f.mu.Unlock()
	}
	if t != nil {
		return t, nil
	}
	if !isTopic(name) {
		return nil, ErrTopic
	}
	return f.make(name)
}

// sweepDue reports whether it is time to drop what has grown old in topics to which
// nothing is published any more.
func (f *Feed) sweepDue() bool {
	const timesPerAge = 4
	age := f.options.HistoryAge
	return age >= 0 && f.now().Sub(f.swept) >= max(sweepInterval, age/timesPerAge)
}

// make makes a topic, unless somebody else has in the meantime, and pins it.
func (f *Feed) make(name string) (*topic, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[name]
	if t == nil {
		if len(f.topics) >= f.options.MaxTopics && !f.sweep() {
			return nil, ErrTooManyTopics
		}
		f.made++
		t = &topic{name: name, subject: f.subject(name), epoch: f.epoch + "-" + strconv.FormatUint(f.made, 10), closed: f.closed}
		f.topics[name] = t
	}
	t.pins.Add(1)
	return t, nil
}

// sweep trims all histories that nobody is using and, if there are too many topics,
// forgets those that can be. It reports whether there is room for another one. It does
// nothing if it was done a moment ago. The lock is held for writing.
func (f *Feed) sweep() bool {
	now := f.now()
	if now.Sub(f.swept) < sweepInterval {
		return len(f.topics) < f.options.MaxTopics
	}
	f.swept = now
	full := len(f.topics) >= f.options.MaxTopics
	for name, t := range f.topics {
		if t.pins.Load() > 0 {
			continue
		}
		t.history.trim(now, f.bounds)
		if full && t.history.quietSince(now, f.options.HistoryAge) && f.Subscribers(name) == 0 {
			delete(f.topics, name)
		}
	}
	return len(f.topics) < f.options.MaxTopics
}
