package engine

import "github.com/weirws/weir/frame"

// A publication is one message on its way to the connections of a loop.
type publication struct {
	message *frame.Prepared
	path    *path  // nil: all
	except  uint64 // an id; 0: nobody
}

func (p *publication) isFor(c *Conn) bool {
	return (p.path == nil || p.path == c.path) && p.except != c.id
}

// A broadcastWalk is a loop's way through its connections with the publications
// that were waiting when it set out. It stops after a bounded number of connections
// and goes on after I/O had its turn; what is published meanwhile waits for the next
// walk, so that everybody gets everything in the same order.
type broadcastWalk struct {
	waiting []publication
	current []publication
	next    int // the slot to visit next
	end     int // connections that come later are not meant
}

func (w *broadcastWalk) active() bool { return len(w.current) > 0 || len(w.waiting) > 0 }

// continueBroadcast takes the walk some way on.
func (l *loop) continueBroadcast() {
	w := &l.cast
	if len(w.current) == 0 {
		if len(w.waiting) == 0 {
			return
		}
		w.current, w.waiting = w.waiting, w.current
		w.next, w.end = 0, len(l.slots)
	}
	stop := min(w.end, w.next+visitedPerRing)
	for ; w.next < stop; w.next++ {
		if s := &l.slots[w.next]; s.open {
			l.hand(s.conn, w.current)
		}
	}
	if w.next < w.end {
		return
	}
	clear(w.current)
	w.current = w.current[:0]
	if len(w.waiting) == 0 {
		l.compact()
	}
}

// hand queues the publications that are meant for c and writes them at once, all in
// one write.
func (l *loop) hand(c *Conn, all []publication) {
	tell := false
	for i := range all {
		if p := &all[i]; p.isFor(c) {
			a := c.outbox.appendShared(l.engine, p.message)
			tell = tell || a.tell
			if a.err != nil {
				break
			}
		}
	}
	if tell {
		c.flush()
	}
}
