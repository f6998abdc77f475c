package engine

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A path is a route as the engine counts it, which lives as long as the engine, or a
// path that connections were dialled with.
type path struct {
	route   *handler.Route
	conns   atomic.Int64 // open now
	dialled int          // connections in any state, under the lock of dialledPaths
}

// pathOf returns the engine's entry for a route.
func (e *Engine) pathOf(r *handler.Route) *path {
	if p, ok := e.paths.Load(r.Path); ok {
		return p.(*path)
	}
	p, _ := e.paths.LoadOrStore(r.Path, &path{route: r})
	return p.(*path)
}

const registryShards = 16

// A registry finds open connections by id. Each shard has its own lock, which is
// never held across a callback.
type registry struct {
	count  atomic.Int64
	shards [registryShards]registryShard
}

type registryShard struct {
	mu    sync.Mutex
	conns map[uint64]*Conn
}

func (r *registry) shard(id uint64) *registryShard { return &r.shards[id%registryShards] }

func (r *registry) add(c *Conn) {
	r.count.Add(1)
	c.path.conns.Add(1)
	s := r.shard(c.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[uint64]*Conn)
	}
	s.conns[c.id] = c
}

func (r *registry) remove(c *Conn) {
	r.count.Add(-1)
	c.path.conns.Add(-1)
	s := r.shard(c.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
	if len(s.conns) == 0 {
		s.conns = nil // a map does not shrink by itself
	}
}

func (r *registry) find(id uint64) *Conn {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[id]
}

func (s *registryShard) appendAll(all []*Conn, path string) []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		if path == "" || c.Path() == path {
			all = append(all, c)
		}
	}
	return all
}

// A hub is the engine as its handlers reach it.
type hub struct{ engine *Engine }

var _ handler.Hub = hub{}

// Hub reaches all connections of the engine.
func (e *Engine) Hub() handler.Hub { return hub{e} }

// Broadcast queues a message for all connections, or those of a path. See
// handler.Hub.
func (h hub) Broadcast(op frame.Opcode, payload []byte, to handler.Audience) int {
	n, except := h.Count(to.Path), uint64(0)
	if to.Except != nil {
		except = to.Except.ID()
		if c := h.engine.registry.find(except); c != nil && (to.Path == "" || c.Path() == to.Path) {
			n--
		}
	}
	if to.Path == "" {
		n, _ = h.post(&publication{except: except}, n, op, payload)
		return n
	}
	reached := 0
	for _, path := range h.pathsNamed(to.Path) {
		if path != nil {
			reached, _ = h.post(&publication{quantity: quantity{path: path}, except: except}, n, op, payload)
		}
	}
	return reached
}

// pathsNamed is the route and the dialled path of this name, nil if there is none.
func (h hub) pathsNamed(name string) [2]*path {
	named := [2]*path{1: h.engine.dialled.find(name)}
	if entry, ok := h.engine.paths.Load(name); ok {
		named[0] = entry.(*path)
	}
	return named
}

// Publish queues a message for the subscribers of a topic. See handler.Hub.
func (h hub) Publish(topic string, op frame.Opcode, payload []byte, o handler.PublishOptions) (int, error) {
	if !isTopic(topic) {
		return 0, handler.ErrTopic
	}
	if op != frame.Text && op != frame.Binary {
		return 0, handler.ErrOpcode
	}
	s := &h.engine.subjects
	p := &publication{
		topics:   s.appendMatching([]string{topic}, topic),
		quantity: quantity{topic: topic, key: o.Key},
		options:  h.engine.options.topicOptions(topic),
	}
	if o.Except != nil {
		p.except = o.Except.ID()
	}
	n := 0
	for _, name := range p.topics {
		n += s.count(name)
	}
	return h.post(p, n, op, payload)
}

// post encodes a message once and gives it to every loop, if it is for n connections
// and that is more than none. It returns ErrBusy and does nothing if a loop is busy.
func (h hub) post(p *publication, n int, op frame.Opcode, payload []byte) (int, error) {
	if n <= 0 || op != frame.Text && op != frame.Binary {
		return 0, nil
	}
	if h.engine.isBusy() {
		return 0, handler.ErrBusy
	}
	p.message = frame.Prepare(op, payload, &h.engine.options.Deflate)
	p.hash = maphash.Comparable(h.engine.subjects.seed, p.quantity)
	for _, l := range h.engine.loops {
		l.publish(p)
	}
	return n, nil
}

// Subscriptions counts the subscriptions to a topic or pattern. See handler.Hub.
func (h hub) Subscriptions(topic string) int { return h.engine.subjects.count(topic) }

// Topics lists what is subscribed to. See handler.Hub.
func (h hub) Topics() iter.Seq2[string, int] { return h.engine.subjects.all() }

// SendTo sends to one connection. See handler.Hub.
func (h hub) SendTo(id uint64, op frame.Opcode, payload []byte) error {
	c := h.engine.registry.find(id)
	if c == nil {
		return handler.ErrNotFound
	}
	return c.Send(op, payload)
}

// Conn finds a connection. See handler.Hub.
func (h hub) Conn(id uint64) (handler.Conn, bool) {
	c := h.engine.registry.find(id)
	if c == nil {
		return nil, false
	}
	return c, true
}

// Count counts connections. See handler.Hub.
func (h hub) Count(name string) int {
	if name == "" {
		return int(h.engine.registry.count.Load())
	}
	n := 0
	for _, p := range h.pathsNamed(name) {
		if p != nil {
			n += int(p.conns.Load())
		}
	}
	return n
}

// Each visits connections, those of one shard at a time. See handler.Hub.
func (h hub) Each(path string, f func(handler.Conn) bool) {
	var some []*Conn
	for i := range h.engine.registry.shards {
		some = h.engine.registry.shards[i].appendAll(some[:0], path)
		for _, c := range some {
			if !f(c) {
				return
			}
		}
	}
}
