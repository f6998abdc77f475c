package engine

import (
	"slices"
	"sync/atomic"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	visitedPerRing = 256       // connections that a walk writes to before I/O is polled again
	queuedPerRing  = 4096      // connections that it only queues for
	walkedTogether = 64        // publications at most that one walk takes along
	joinedBytes    = 256 << 10 // and bytes
)

// A publication is one message on its way to the connections of all loops, which
// share it. It is immutable, but for missed.
type publication struct {
	message  *frame.Prepared
	quantity quantity
	hash     uint64                        // of quantity
	topics   []string                      // the topic and the patterns that match it; nil of a broadcast
	except   uint64                        // an id; 0: nobody
	options  *TopicOptions                 // of the topic; nil: none
	missed   atomic.Pointer[missedCounter] // nil until a connection misses it
}

// A quantity is what a publication is a value of, for connections that conflate.
type quantity struct {
	path  *path  // of a broadcast; nil: all paths
	topic string // "" of a broadcast
	key   string
}

// load is what a publication that waits counts for: its message, and itself.
func (p *publication) load() int64 {
	const own = 256
	return int64(own + len(p.message.Payload()))
}

// slowPolicy is that of the publication's topic, 0 if it has none.
func (p *publication) slowPolicy() handler.SlowPolicy {
	if p.options == nil {
		return handler.DefaultSlowPolicy
	}
	return p.options.SlowPolicy
}

// sameAudience reports whether two publications are for the same connections, but
// for those they except.
func (p *publication) sameAudience(q *publication) bool {
	return p.quantity.path == q.quantity.path && slices.Equal(p.topics, q.topics)
}

// A cast is a publication, a change of subscription, or what has to wait for the casts
// before it. A loop takes them in the order in which they were posted.
type cast struct {
	publication *publication // nil: none
	conn        *Conn        // who joins or parts; nil: nobody
	name        string       // what
	part        bool
	then        func() // nil: nothing
}

func (c *cast) isPublication() bool { return c.publication != nil }

// A walk is a loop's way through connections with publications that were waiting
// together. It stops after a bounded number of connections and goes on after I/O had its
// turn; what is posted meanwhile waits for the next walk, so that everybody gets
// everything in the same order.
//
// Publications for one audience are handed over with one write per connection,
// straight from bytes that were put together once. If there are several audiences, a
// first pass only queues, and a second one flushes: one write per connection too.
type walk struct {
	groups []group // the first is being walked
	direct bool    // there is one group, and each connection is in it once
	list   int     // of the first group, being walked
	next   int     // member of that list to visit next
	dirty  []*Conn // to be flushed in the second pass; those before flushed have been
	done   int
	mark   uint32 // of the group being walked, see Conn.mark
}

// A group is publications for the same audience that follow each other.
type group struct {
	publications []*publication
	lists        []*memberList
	ends         []int    // of each list: who came later is not meant
	topics       []*topic // whose lists they are, if they are topics
	joined       []joined
	some         bool // publications except somebody
}

// joined is publications put together in one slice, for one kind of connection.
type joined struct {
	deflate frame.Deflate
	bytes   []byte
}

func (w *walk) active() bool { return len(w.groups) > 0 || len(w.dirty) > 0 }

// publishing reports whether there is something to publish, or a subscription to
// change, that does not wait for a window to close.
func (l *loop) publishing() bool {
	return l.walk.active() || l.cast < len(l.casts) && !l.window.open
}

// continueFanOut takes publications and subscriptions some way on.
func (l *loop) continueFanOut() {
	budget := 1.0
	for budget > 0 && l.publishing() {
		switch {
		case len(l.walk.groups) > 0:
			budget -= l.visit()
		case len(l.walk.dirty) > 0:
			budget -= l.flushDirty()
		default:
			l.nextCast()
			budget -= 1.0 / queuedPerRing
		}
	}
}

// nextCast changes a subscription, or sets out on a walk with the publications that
// follow each other.
func (l *loop) nextCast() {
	waiting := l.casts[l.cast:]
	if !waiting[0].isPublication() {
		c := waiting[0]
		l.dropCasts(1)
		switch {
		case c.then != nil:
			c.then()
		case c.part:
			l.part(c.conn, c.name)
		default:
			l.join(c.conn, c.name)
		}
		return
	}
	n, bytes := 0, 0
	for n < min(len(waiting), walkedTogether) && waiting[n].isPublication() && (n == 0 || bytes < joinedBytes) {
		p := waiting[n].publication
		bytes += len(p.message.Payload())
		l.mail.load.Add(-p.load())
		l.enlist(p)
		n++
	}
	l.dropCasts(n)
	w := &l.walk
	w.direct = len(w.groups) == 1 && len(w.groups[0].topics) < 2
	w.list, w.next = 0, 0
	l.newMark()
}

// newMark gives the group that is walked next a mark that no connection has. Marks of walks
// long ago are forgotten when they begin anew.
func (l *loop) newMark() {
	w := &l.walk
	if w.mark++; w.mark != 0 {
		return
	}
	for _, s := range l.slots {
		s.conn.mark = 0
	}
	w.mark = 1
}

// dropCasts forgets the next n casts. Once half of them are done with, the rest moves to
// the front: where some always wait, the list must not grow with what has been.
func (l *loop) dropCasts(n int) {
	clear(l.casts[l.cast : l.cast+n])
	l.cast += n
	if l.cast >= len(l.casts)-l.cast {
		l.casts, l.cast = slices.Delete(l.casts, 0, l.cast), 0
	}
	if len(l.casts) == 0 {
		l.casts = emptied(l.casts)
	}
}

// emptied is an empty list of casts: the same one, unless it has grown large.
func emptied(casts []cast) []cast {
	const kept = 1024
	if cap(casts) > kept {
		return nil
	}
	return casts[:0]
}

// enlist adds a publication to the last group, or to a new one if its audience is
// another.
func (l *loop) enlist(p *publication) {
	w := &l.walk
	if n := len(w.groups); n > 0 && w.groups[n-1].publications[0].sameAudience(p) {
		g := &w.groups[n-1]
		g.publications = append(g.publications, p)
		g.some = g.some || p.except != 0
		return
	}
	g := group{publications: []*publication{p}, some: p.except != 0}
	switch {
	case len(p.topics) > 0:
		for _, name := range p.topics {
			if t := l.topics[name]; t != nil {
				g.topics = append(g.topics, t)
				g.add(&t.members)
			}
		}
	case p.quantity.path != nil:
		if m := l.paths[p.quantity.path]; m != nil {
			g.add(m)
		}
	default:
		for _, m := range l.paths {
			g.add(m)
		}
	}
	if len(g.lists) > 0 {
		w.groups = append(w.groups, g)
	}
}

func (g *group) add(m *memberList) {
	m.walkers++
	g.lists = append(g.lists, m)
	g.ends = append(g.ends, len(m.all))
}

// visit hands the first group's publications to some of its connections. It returns
// which part of the loop's time until the next poll that took.
func (l *loop) visit() (spent float64) {
	w := &l.walk
	g := &w.groups[0]
	if w.list == len(g.lists) {
		l.finishGroup()
		return 0
	}
	m := g.lists[w.list]
	cost, perRing := 1.0/visitedPerRing, visitedPerRing
	if !w.direct {
		cost, perRing = 1.0/queuedPerRing, queuedPerRing
	}
	stop := min(g.ends[w.list], w.next+perRing)
	visited := stop - w.next
	if w.direct {
		l.handAll(m.all[w.next:stop], g)
	} else {
		l.queueAll(m.all[w.next:stop], g)
	}
	w.next = stop
	if w.next == g.ends[w.list] {
		w.list++
		w.next = 0
	}
	return float64(visited) * cost
}

// finishGroup ends the walk over the first group.
func (l *loop) finishGroup() {
	w := &l.walk
	for _, m := range w.groups[0].lists {
		m.walked()
		l.forgetPath(m)
	}
	for _, t := range w.groups[0].topics {
		l.forget(t)
	}
	w.groups[0] = group{}
	w.groups = w.groups[1:]
	w.list, w.next = 0, 0
	l.newMark()
	if len(w.groups) == 0 {
		w.groups = nil
	}
}

// queueAll queues the only or first part of a group's publications for members that
// this walk has not come to by another topic, and notes whom to flush.
func (l *loop) queueAll(members []member, g *group) {
	w := &l.walk
	for _, m := range members {
		c := m.conn
		if c == nil || len(g.topics) > 1 && c.mark == w.mark {
			continue
		}
		c.mark = w.mark
		if l.queue(c, g) {
			w.dirty = append(w.dirty, c)
		}
	}
}

func (g *group) excepts(c *Conn) bool {
	for _, p := range g.publications {
		if p.except == c.id {
			return true
		}
	}
	return false
}

// join puts the group's publications together, once for each kind of connection.
func (g *group) join(d frame.Deflate) []byte {
	for _, j := range g.joined {
		if j.deflate == d {
			return j.bytes
		}
	}
	all := g.publications[0].message.Bytes(d)
	if len(g.publications) > 1 {
		all = slices.Clone(all)
		for _, p := range g.publications[1:] {
			all = append(all, p.message.Bytes(d)...)
		}
	}
	g.joined = append(g.joined, joined{d, all})
	return all
}

// queue puts references to a group's publications in a connection's outbox, or in
// its backlog. It reports whether the outbox is to be flushed for that.
func (l *loop) queue(c *Conn, g *group) (tell bool) {
	for _, p := range g.publications {
		if p.except == c.id {
			continue
		}
		if c.holdsBack(p) {
			tell = c.hold(p) || tell
			continue
		}
		a := c.outbox.appendShared(l.engine, p.message, c.slowPolicy(p) != handler.Disconnect)
		tell = tell || a.tell
		if a.err != nil {
			break
		}
	}
	if c.state == stateOpening {
		c.waits() // nothing is written yet, so that nothing blocks
	}
	return tell
}

// flushDirty writes what the first pass has queued, for some of the connections.
func (l *loop) flushDirty() (spent float64) {
	w := &l.walk
	stop := min(len(w.dirty), w.done+visitedPerRing)
	visited := stop - w.done
	for ; w.done < stop; w.done++ {
		w.dirty[w.done].flush()
		w.dirty[w.done] = nil
	}
	if w.done == len(w.dirty) {
		w.dirty, w.done = w.dirty[:0], 0
	}
	return float64(visited) / visitedPerRing
}
