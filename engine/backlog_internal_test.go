package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A backlogModel is what a backlog should do, done the slow way.
type backlogModel struct {
	own, usual handler.SlowPolicy
	all        []*publication
	conflating bool
	dropped    []*publication
}

func (m *backlogModel) policyOf(p *publication) handler.SlowPolicy {
	switch {
	case m.own != handler.DefaultSlowPolicy:
		return m.own
	case p.options != nil && p.options.SlowPolicy != handler.DefaultSlowPolicy:
		return p.options.SlowPolicy
	}
	return m.usual
}

func (m *backlogModel) add(p *publication) {
	same := func(q *publication) bool { return q.quantity == p.quantity }
	if i := slices.IndexFunc(m.all, same); m.conflating && m.policyOf(p) == handler.Conflate && i >= 0 {
		m.dropped = append(m.dropped, m.all[i])
		m.all[i] = p
		return
	}
	m.all = append(m.all, p)
}

func (m *backlogModel) conflate() {
	all := m.all
	m.all, m.conflating = nil, true
	for _, p := range all {
		m.add(p)
	}
}

// with is what waits with a policy.
func (m *backlogModel) with(policy handler.SlowPolicy) (some []*publication) {
	for _, p := range m.all {
		if m.policyOf(p) == policy {
			some = append(some, p)
		}
	}
	return some
}

func (m *backlogModel) drop(p *publication) {
	m.all = slices.DeleteFunc(m.all, func(q *publication) bool { return p == q })
	m.dropped = append(m.dropped, p)
}

// thinOut drops one by one until half is left.
func (m *backlogModel) thinOut() {
	newest, oldest := sizeOf(m.with(handler.DropNewest))/2, sizeOf(m.with(handler.DropOldest))/2
	for some := m.with(handler.DropNewest); sizeOf(some) > newest; some = m.with(handler.DropNewest) {
		m.drop(some[len(some)-1])
	}
	for some := m.with(handler.DropOldest); sizeOf(some) > oldest; some = m.with(handler.DropOldest) {
		m.drop(some[0])
	}
	if !m.conflating && len(m.with(handler.Conflate)) > 0 {
		m.conflate()
	}
}

// sizeOf is the bytes of all the frames.
func sizeOf(all []*publication) (n int) {
	for _, p := range all {
		n += len(p.message.Bytes(frame.Deflate{}))
	}
	return n
}

// difference says how a backlog is not as the model is, "" if it is.
func (m *backlogModel) difference(b *backlog) string {
	var got []*publication
	for _, p := range b.items[b.next:] {
		if p != nil {
			got = append(got, p)
		}
	}
	switch {
	case !slices.Equal(got, m.all):
		return fmt.Sprintf("%d publications; want %d, in the model's order", len(got), len(m.all))
	case b.isEmpty() != (len(got) == 0) || len(b.items) > max(2*keptItems, 2*len(got)+1):
		return fmt.Sprintf("%d items from %d on for %d publications", len(b.items), b.next, len(got))
	case b.bytes != sizeOf(m.all) || len(b.places) > len(got):
		return fmt.Sprintf("%d bytes, %d places; want %d, at most %d", b.bytes, len(b.places), sizeOf(m.all), len(got))
	}
	for policy := range b.held {
		if want := sizeOf(m.with(handler.SlowPolicy(policy))); b.held[policy] != want {
			return fmt.Sprintf("%d bytes with policy %d; want %d", b.held[policy], policy, want)
		}
	}
	return ""
}

// mixed are the options of topics: some have a policy, and the others have not.
var mixed = []*TopicOptions{nil, {}, {SlowPolicy: handler.Conflate}, {SlowPolicy: handler.DropOldest}, {SlowPolicy: handler.DropNewest}, {SlowPolicy: handler.Disconnect}}

// somePublication is number i, about one of few quantities, whose hash is one of hashes.
func somePublication(r *rand.Rand, i, quantities int, hashes uint64) *publication {
	n := r.IntN(quantities)
	topic := n % len(mixed)
	return &publication{
		message:  frame.Prepare(frame.Text, make([]byte, i%300), nil),
		quantity: quantity{topic: fmt.Sprint(topic), key: fmt.Sprint(n / len(mixed))},
		hash:     uint64(n) % hashes,
		options:  mixed[topic],
	}
}

// Whatever is added and taken, before and after the backlog begins to conflate, with
// policies of topics and of the connection, it does what the model does.
func TestBacklog(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 4))
		own, usual := handler.SlowPolicy(max(0, r.IntN(8)-3)), handler.SlowPolicy(1+r.IntN(4))
		b, m := &backlog{own: own, usual: usual}, &backlogModel{own: own, usual: usual}
		var dropped []*publication
		drop := func(p *publication) { dropped = append(dropped, p) }
		for i := range 3000 {
			what := r.IntN(1000)
			switch oldest := m.with(handler.DropOldest); {
			case i%1000 == 500:
				b.conflate(drop)
				m.conflate()
			case what < 2:
				m.thinOut()
				b.thinOut(func(p *publication, policy handler.SlowPolicy) {
					if policy != m.policyOf(p) {
						t.Fatalf("seed %d, step %d: dropped for the policy %v", seed, i, policy)
					}
					drop(p)
				})
			case what < 4:
				m.own, m.conflating = handler.SlowPolicy(max(0, r.IntN(8)-3)), false
				b.adapt(m.own)
			case what < 300 && len(oldest) > 0:
				m.drop(oldest[0])
				drop(b.popDropOldest())
			case r.IntN(1+2*(i/400%2)) > 0 && len(m.all) > 0: // growing and shrinking in turn
				if got := b.pop(); got != m.all[0] {
					t.Fatalf("seed %d, step %d: pop took another publication than the oldest", seed, i)
				}
				m.all = m.all[1:]
			default:
				p := somePublication(r, i, 150, 1000)
				m.add(p)
				if older := b.replace(p); older != nil {
					drop(older)
				} else {
					b.push(p)
				}
			}
			if d := m.difference(b); d != "" {
				t.Fatalf("seed %d, step %d: %s", seed, i, d)
			}
		}
		if !samePublications(dropped, m.dropped) {
			t.Fatalf("seed %d: %d dropped; want the %d of the model", seed, len(dropped), len(m.dropped))
		}
	}
}

// samePublications reports whether two lists hold the same, in any order.
func samePublications(a, b []*publication) bool {
	count := make(map[*publication]int)
	for _, p := range a {
		count[p]++
	}
	for _, p := range b {
		count[p]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// Quantities whose hashes are equal are still told apart, and the last of each to
// leave the backlog is its newest.
func TestBacklogCollisions(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 5))
		b := &backlog{own: handler.Conflate}
		newest, last := make(map[quantity]*publication), make(map[quantity]*publication)
		added, taken, dropped := 0, 0, 0
		b.conflate(nil)
		take := func() {
			p := b.pop()
			last[p.quantity] = p
			taken++
		}
		for i := range 2000 {
			p := somePublication(r, i, 12, 3)
			newest[p.quantity] = p
			added++
			if older := b.replace(p); older == nil {
				b.push(p)
			} else if older.quantity != p.quantity {
				t.Fatalf("%v has replaced %v", p.quantity, older.quantity)
			} else {
				dropped++
			}
			if r.IntN(4) == 0 {
				take()
			}
		}
		for !b.isEmpty() {
			take()
		}
		for q, p := range newest {
			if last[q] != p {
				t.Errorf("seed %d: the last of %v is not its newest", seed, q)
			}
		}
		if added != taken+dropped || b.bytes != 0 || len(b.places) != 0 {
			t.Errorf("seed %d: %d added, %d taken, %d dropped; %d bytes and %d places left", seed, added, taken, dropped, b.bytes, len(b.places))
		}
	}
}
