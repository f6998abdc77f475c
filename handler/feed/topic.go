package feed

import (
	"sync"
	"sync/atomic"
)

// A topic is used by those who have pinned it, under its lock.
type topic struct {
	// Immutable.
	name    string
	subject string // its topic in the engine
	epoch   string

	pins atomic.Int32 // raised under Feed.mu only

	mu      sync.Mutex
	history history
	closed  bool // nothing more is published
}

func (t *topic) release() { t.pins.Add(-1) }

// A cursor says where a subscription starts.
type cursor struct {
	newest bool   // at the newest message
	epoch  string // "" goes with offset 0
	offset uint64 // of the last message that the client has seen
}

// A start is a page of the history, and what else a client has to be told about it.
type start struct {
	page
	newest uint64 // offset
	reason string // of a gap before the page; "": there is none
}

// start returns what a client at a cursor has to be sent. The lock is held. It reports
// false if the cursor is in the future.
func (t *topic) start(at cursor, limit int) (start, bool) {
	h := &t.history
	s := start{newest: h.last}
	switch {
	case at.newest:
		at.offset = max(h.last, 1) - 1 // the newest message is always kept
	case at.epoch != "" && at.epoch != t.epoch:
		at.offset = 0
		s.reason = "epoch"
	case at.offset > h.last:
		return start{}, false
	}
	s.page = h.after(at.offset, limit)
	if s.missing > 0 && s.reason == "" {
		s.reason = "history"
	}
	return s, true
}

// gap is what the client is told about messages that it cannot have any more.
func (t *topic) gap(p page, reason string) gapReply {
	g := gapReply{Type: "gap", Topic: t.name, Epoch: t.epoch, Reason: reason}
	if p.missing > 0 {
		g.To = p.last - uint64(len(p.messages))
		g.From = g.To - p.missing + 1
	}
	return g
}
