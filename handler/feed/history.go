package feed

import (
	"time"

	"github.com/weirws/weir/frame"
)

// An entry is one message as subscribers get it.
type entry struct {
	message *frame.Prepared
	at      time.Time
}

func (e entry) size() int { return len(e.message.Payload()) }

// A history is the newest messages of a topic, whose offsets follow each other. The
// newest one is kept whatever the bounds: it is the last value.
type history struct {
	entries []entry
	last    uint64 // offset of the newest message, kept or not; 0: there was none
	bytes   int
}

// bounds are those of a history.
type bounds struct {
	count int
	bytes int
	age   time.Duration // negative: none
}

// add appends the message with the offset last+1 and drops what is beyond the bounds.
func (h *history) add(e entry, b bounds) {
	h.entries = append(h.entries, e)
	h.last++
	h.bytes += e.size()
	h.trim(e.at, b)
}

// trim drops the oldest messages, as many as are beyond the bounds.
func (h *history) trim(now time.Time, b bounds) {
	n := 0
	for ; n < len(h.entries)-1; n++ {
		e := h.entries[n]
		old := b.age >= 0 && now.Sub(e.at) > b.age
		if !old && len(h.entries)-n <= b.count && h.bytes <= b.bytes {
			break
		}
		h.bytes -= e.size()
	}
	clear(h.entries[:n])
	h.entries = h.entries[n:] // append moves what is left when the array is used up
	if n > 0 && cap(h.entries) > 64 && len(h.entries) < cap(h.entries)/4 {
		h.entries = append(make([]entry, 0, 2*len(h.entries)), h.entries...)
	}
}

// first is the offset of the oldest message kept, last+1 if there is none.
func (h *history) first() uint64 { return h.last + 1 - uint64(len(h.entries)) }

// A page is a stretch of a history.
type page struct {
	missing  uint64 // so many messages before it are not kept any more
	messages []entry
	last     uint64 // offset of the last message, or the one that was asked for
	bytes    int
	whole    bool // nothing follows yet
}

// after returns the messages with offsets above offset, which is at most h.last. They
// have at most limit bytes.
func (h *history) after(offset uint64, limit int) page {
	p := page{last: offset}
	if first := h.first(); offset+1 < first {
		p.missing = first - 1 - offset
		p.last = first - 1
	}
	rest := h.entries[len(h.entries)-int(h.last-p.last):]
	n := 0
	for ; n < len(rest); n++ {
		size := rest[n].size()
		if p.bytes+size > limit {
			break
		}
		p.bytes += size
	}
	p.messages = append([]entry(nil), rest[:n]...)
	p.last += uint64(n)
	p.whole = n == len(rest)
	return p
}

// quietSince reports whether the newest message, if there is one, is older than age.
func (h *history) quietSince(now time.Time, age time.Duration) bool {
	n := len(h.entries)
	return n == 0 || age >= 0 && now.Sub(h.entries[n-1].at) > age
}
