package bench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A publisher sends what is fanned out: it is a connection, or posts.
type publisher struct {
	fanout *fanout
	index  uint32

	message []byte       // scratch of the pacer
	body    bytes.Buffer // scratch of the pacer

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

// compose makes a message and what is around it, which is valid until the next.
func (p *publisher) compose(number uint32, due int64) ([]byte, error) {
	f := p.fanout
	p.message = f.stamps.append(p.message[:0], stamp{p.index, number, due})
	if f.envelope == nil {
		return p.message, nil
	}
	p.body.Reset()
	err := f.envelope.Execute(&p.body, publishedMessage{string(p.message), int(p.index), number})
	return p.body.Bytes(), err
}

// publish sends publication k, on the pacer's goroutine. The publishers take turns.
func (f *fanout) publish(k int, due int64) {
	p := &f.publishers[k%len(f.publishers)]
	f.mu.Lock()
	conn, number := p.conn, p.sent
	f.mu.Unlock()
	err := errGone
	if conn != nil {
		var message []byte
		if message, err = p.compose(number, due); err == nil {
			err = conn.Send(f.op, message)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		p.failed(due, "")
		return
	}
	p.succeeded(due, now())
}

// afterEnd is how long publishers go on at the end with posts that are behind.
const afterEnd = int64(200 * time.Millisecond)

// post posts the next message, on the goroutine of the publisher's pacer. What has not been
// posted shortly after the end is not posted any more.
func (p *publisher) post(_ int, due int64) {
	f := p.fanout
	f.mu.Lock()
	number, late := p.sent, now() >= f.span.End+afterEnd
	f.mu.Unlock()
	cause, published := "the answers before took too long", false
	at := now()
	if !late {
		cause, published = p.postNow(number, due)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !published {
		p.failed(due, cause)
		return
	}
	p.succeeded(due, at)
	if cause != "" && f.contains(due) {
		addCauses(&f.tally.Refusals, map[string]int{cause: 1})
	}
}

// postNow posts a message. It returns what was wrong, if anything was, and whether the message
// may have been published all the same: subscribers will tell.
func (p *publisher) postNow(number uint32, due int64) (cause string, published bool) {
	body, err := p.compose(number, due)
	if err != nil {
		return err.Error(), false
	}
	status, left, err := p.fanout.poster.post(string(body))
	switch {
	case err != nil:
		return postCause(err), left
	case status < 200 || status > 299:
		return fmt.Sprintf("status %d", status), false
	}
	return "", true
}

// postCause says why there was no answer to a post.
func postCause(err error) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		if failed.Timeout() {
			return "no answer in time"
		}
		err = failed.Err // without the URL, which may have secrets
	}
	return systemCause(err)
}

// failed counts a message that was not published, and why if that is not known from
// elsewhere. The lock must be held.
func (p *publisher) failed(due int64, cause string) {
	f := p.fanout
	f.tick.Errors++
	if !f.contains(due) {
		return
	}
	f.tally.Unsent++
	if cause != "" {
		addCauses(&f.tally.Refusals, map[string]int{cause: 1})
	}
}

// succeeded counts a message that was sent at a time. The lock must be held.
func (p *publisher) succeeded(due, at int64) {
	f, number := p.fanout, p.sent
	p.sent++
	if !f.contains(due) {
		return
	}
	if !p.begun {
		p.begun, p.first = true, number
	}
	p.end = number + 1
	f.tally.Sent++
	f.tally.SendLag.Record(at - due)
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
