package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirws/weir/frame"
)

// A backlogModel is what a backlog should do, done the slow way.
type backlogModel struct {
	all        []*publication
	conflating bool
	dropped    []*publication
}

func (m *backlogModel) add(p *publication) {
	same := func(q *publication) bool { return q.quantity == p.quantity }
	if i := slices.IndexFunc(m.all, same); m.conflating && i >= 0 {
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

func (m *backlogModel) bytes() (n int) {
	for _, p := range m.all {
		n += len(p.message.Bytes(frame.Deflate{}))
	}
	return n
}

// somePublication is number i, about one of few quantities, whose hash is one of
// hashes.
func somePublication(r *rand.Rand, i, quantities int, hashes uint64) *publication {
	n := r.IntN(quantities)
	return &publication{
		message:  frame.Prepare(frame.Text, make([]byte, i%300), nil),
		quantity: quantity{topic: fmt.Sprint(n % 3), key: fmt.Sprint(n / 3)},
		hash:     uint64(n) % hashes,
	}
}

// Whatever is added and taken, before and after the backlog begins to conflate, it
// does what the model does.
func TestBacklog(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 4))
		b, m := new(backlog), new(backlogModel)
		var dropped []*publication
		drop := func(p *publication) { dropped = append(dropped, p) }
		for i := range 3000 {
			switch {
			case i == 1000:
				b.conflate(drop)
				m.conflate()
			case r.IntN(20) == 0 && len(m.all) > 0:
				last := len(m.all) - 1
				if got := b.popLast(); got != m.all[last] {
					t.Fatalf("seed %d, step %d: popLast took another publication than the newest", seed, i)
				}
				m.all = m.all[:last]
			case r.IntN(1+2*(i/500%2)) > 0 && len(m.all) > 0: // growing and shrinking in turn
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
			if b.bytes != m.bytes() || b.isEmpty() != (len(m.all) == 0) || !slices.Equal(b.items[b.next:], m.all) {
				t.Fatalf("seed %d, step %d: %d publications of %d bytes; want %d of %d, in the model's order",
					seed, i, len(b.items)-b.next, b.bytes, len(m.all), m.bytes())
			}
			if m.conflating && len(b.places) > len(m.all) {
				t.Fatalf("seed %d, step %d: %d places for %d publications", seed, i, len(b.places), len(m.all))
			}
		}
		if !slices.Equal(dropped, m.dropped) {
			t.Fatalf("seed %d: %d dropped; want the %d of the model", seed, len(dropped), len(m.dropped))
		}
	}
}

// Quantities whose hashes are equal are still told apart, and the last of each to
// leave the backlog is its newest.
func TestBacklogCollisions(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 5))
		b := new(backlog)
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
