package bench

import (
	"cmp"
	"slices"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A publisher is a connection that sends what is fanned out.
type publisher struct {
	fanout *fanout

	// Under the session's lock.
	conn       handler.Conn // nil unless open
	sent       uint32
	first, end uint32 // the numbers that were due in the measured time
	begun      bool   // first is set
}

// OnOpen notes that the connection is there.
func (p *publisher) OnOpen(conn handler.Conn, _ *handler.Request) error {
	p.fanout.mu.Lock()
	defer p.fanout.mu.Unlock()
	p.conn = conn
	return nil
}

// OnMessage ignores what comes back.
func (p *publisher) OnMessage(handler.Conn, frame.Opcode, []byte) {}

// OnClose notes that the connection is gone.
func (p *publisher) OnClose(_ handler.Conn, status handler.CloseStatus) {
	p.fanout.mu.Lock()
	p.conn = nil
	p.fanout.mu.Unlock()
	p.fanout.dropped(status)
}

// publish sends publication k, on the pacer's goroutine. The publishers take turns.
func (f *fanout) publish(k int, due int64) {
	i := k % len(f.publishers)
	p := &f.publishers[i]
	f.mu.Lock()
	conn, number := p.conn, p.sent
	f.mu.Unlock()
	err := errGone
	if conn != nil {
		f.message = f.stamps.append(f.message[:0], stamp{uint32(i), number, due})
		err = conn.Send(f.op, f.message)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	measured := f.contains(due)
	switch {
	case err != nil:
		f.tick.Errors++
		if measured {
			f.tally.Unsent++
		}
		return
	case measured:
		if !p.begun {
			p.begun, p.first = true, number
		}
		p.end = number + 1
		f.tally.Sent++
		f.tally.SendLag.Record(now() - due)
	}
	p.sent++
}

// middle is the median of parts by their subscribers, of which there are count.
func middle(parts []spread, count int) int64 {
	slices.SortFunc(parts, func(a, b spread) int { return cmp.Compare(a.Median, b.Median) })
	seen := 0
	for _, s := range parts {
		if seen += s.Count; 2*seen >= count {
			return s.Median
		}
	}
	return 0
}
