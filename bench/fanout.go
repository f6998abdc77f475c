package bench

import (
	"bytes"
	"text/template"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// fanout has publishers send messages to a path whose server hands everything to everyone
// there, and checks what reaches the subscribers. Publishers are connections of their
// own, of the first worker, and what they receive does not count; or they post.
type fanout struct {
	*session
	publishers  []publisher // empty but with the first worker
	subscribers []subscriber
	sequences   []sequence         // of each subscriber for each publisher
	pacers      []*pacer           // of publishers
	poster      *poster            // nil if publishers are connections
	envelope    *template.Template // nil: messages are sent as they are
	greeting    *template.Template // nil: subscribers send nothing

	opened    int // subscribers
	delivered int // of what was due in the measured time, each once
	spreads   map[publication]*spread
}

// A publication is one message of a publisher.
type publication struct{ publisher, number uint32 }

// A spread is when a publication came to the subscribers of one worker, or of all: how
// long it took to reach the first of them, half of them, and the last so far.
type spread struct {
	Publisher uint32 `json:"publisher"`
	Number    uint32 `json:"number"`
	Count     int    `json:"count"`
	First     int64  `json:"first_ns"`
	Median    int64  `json:"median_ns"`
	Last      int64  `json:"last_ns"`
}

func newFanout(s *session) scenario {
	f := &fanout{session: s, subscribers: make([]subscriber, s.job.Count), spreads: make(map[publication]*spread)}
	f.sequences = make([]sequence, s.job.Count*s.job.Config.Publishers)
	if s.job.Worker == 0 {
		f.publishers = make([]publisher, s.job.Config.Publishers)
		for i := range f.publishers {
			f.publishers[i].fanout, f.publishers[i].index = f, uint32(i)
		}
	}
	p := s.job.Config.Publishing
	if p.Template != "" {
		f.envelope = mustTemplate(p.Template)
	}
	if p.Subscribe != "" {
		f.greeting = mustTemplate(p.Subscribe)
	}
	if len(p.URLs) > 0 {
		f.poster = newPoster(s, s.job.Target)
	}
	return f
}

func (f *fanout) size() int {
	if f.poster != nil {
		return len(f.subscribers)
	}
	return len(f.subscribers) + len(f.publishers)
}

func (f *fanout) handler(i int) handler.Handler {
	if i < len(f.subscribers) {
		s := &f.subscribers[i]
		s.fanout, s.index = f, uint32(i)
		return s
	}
	return &f.publishers[i-len(f.subscribers)]
}

// A subscriber is a connection that only receives.
type subscriber struct {
	fanout *fanout
	index  uint32 // among those of this worker
	opened bool   // it is open, or was: under the session's lock
}

// OnOpen counts the subscriber, and sends what it is to send.
func (s *subscriber) OnOpen(conn handler.Conn, _ *handler.Request) error {
	f := s.fanout
	f.mu.Lock()
	s.opened = true
	f.opened++
	f.mu.Unlock()
	if f.greeting == nil {
		return nil
	}
	var b bytes.Buffer
	if err := f.greeting.Execute(&b, subscription{f.job.First + int(s.index)}); err != nil {
		return err
	}
	return conn.Send(frame.Text, b.Bytes())
}

// OnMessage checks what has come.
func (s *subscriber) OnMessage(_ handler.Conn, op frame.Opcode, payload []byte) {
	f, at := s.fanout, now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.job.Config.Publishing.enveloped() {
		s.unwrap(payload, at)
		return
	}
	f.came(payload, at)
	m, start, known, whole := f.stamps.find(payload)
	if !known || int(m.sender) >= f.job.Config.Publishers {
		f.tally.Unasked++
		f.tick.Errors++
		return
	}
	s.arrived(m, whole && start == 0 && len(payload) == f.job.Config.PayloadBytes && op == f.op, at)
}

// unwrap takes in all messages that are somewhere in payload.
func (s *subscriber) unwrap(payload []byte, at int64) {
	f := s.fanout
	for {
		m, start, known, whole := f.stamps.find(payload)
		if !known || int(m.sender) >= f.job.Config.Publishers {
			return
		}
		end := start + stampBytes
		if whole {
			end = start + f.job.Config.PayloadBytes
		}
		f.came(payload[:end], at)
		s.arrived(m, whole, at)
		payload = payload[end:]
	}
}

// arrived finds out what a message is by its number. good tells that it is as it was sent.
func (s *subscriber) arrived(m stamp, good bool, at int64) {
	f := s.fanout
	a, _ := s.sequences()[m.sender].arrive(m.number, at)
	if good && a == inOrder {
		f.delivery(m, at)
		return
	}
	f.tick.Errors++
	measured := f.contains(m.due)
	switch {
	case a == duplicate:
		if measured {
			f.tally.Duplicate++
		}
		return
	case !good && measured:
		f.tally.Wrong++
		f.delivered++
	case good && measured:
		f.tally.Reordered++
	}
	if good {
		f.delivery(m, at)
	}
}

// OnClose counts the end of the connection.
func (s *subscriber) OnClose(_ handler.Conn, status handler.CloseStatus) { s.fanout.dropped(status) }

// sequences are those of the subscriber, one for each publisher.
func (s *subscriber) sequences() []sequence {
	f := s.fanout
	n, i := f.job.Config.Publishers, int(s.index)
	return f.sequences[i*n : (i+1)*n]
}

// delivery takes in the first time that a message came to a subscriber.
func (f *fanout) delivery(m stamp, at int64) {
	f.took(m.due, at)
	if !f.contains(m.due) {
		return
	}
	f.delivered++
	key := publication{m.sender, m.number}
	sp := f.spreads[key]
	if sp == nil {
		sp = &spread{Publisher: m.sender, Number: m.number, First: at - m.due}
		f.spreads[key] = sp
	}
	sp.Count++
	sp.Last = at - m.due
	if sp.Count <= (f.opened+1)/2 {
		sp.Median = sp.Last
	}
}

func (f *fanout) start() {
	n, rate := len(f.publishers), f.job.Config.Rate
	switch {
	case n == 0:
		return
	case f.poster == nil:
		f.pacers = []*pacer{newPacer(f.session, rate, 0, 1, f.publish)}
	default: // each has its own, because it waits for answers
		for i := range f.publishers {
			f.pacers = append(f.pacers, newPacer(f.session, rate, i, n, f.publishers[i].post))
		}
	}
	for _, p := range f.pacers {
		p.start()
	}
}

func (f *fanout) sweep(int64) {}

func (f *fanout) stop() []publications {
	for _, p := range f.pacers {
		p.wait()
	}
	if f.poster != nil {
		f.poster.client.CloseIdleConnections()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []publications
	for i, p := range f.publishers {
		all = append(all, publications{Publisher: uint32(i), First: p.first, End: p.end})
	}
	return all
}

func (f *fanout) settled(all []publications) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.delivered >= f.opened*published(all)
}

// published is how many publications there were.
func published(all []publications) (n int) {
	for _, p := range all {
		n += int(p.End - p.First)
	}
	return n
}

func (f *fanout) finish(all []publications) {
	f.tally.Subscribers = f.opened
	f.tally.Expected = uint64(f.opened * published(all))
	for i := range f.subscribers {
		if !f.subscribers[i].opened {
			continue
		}
		for _, p := range all {
			q := &f.sequences[i*f.job.Config.Publishers+int(p.Publisher)]
			f.tally.Lost += uint64(q.missing(p.First, p.End))
		}
	}
}

func (f *fanout) spread() []spread {
	var all []spread
	for _, s := range f.spreads {
		all = append(all, *s)
	}
	return all
}

// mergeSpreads records when publications had reached the first subscriber, half of them
// and the last, given the spreads of all workers and the number of Subscribers; of those that
// reached so many. The middle is exact with one worker; with more it is where half of the
// workers, by their subscribers, had reached half of theirs.
func (t *Tally) mergeSpreads(all []spread) {
	of := make(map[publication][]spread)
	for _, s := range all {
		key := publication{s.Publisher, s.Number}
		of[key] = append(of[key], s)
	}
	for _, parts := range of {
		whole := parts[0]
		for _, s := range parts[1:] {
			whole.Count += s.Count
			whole.First = min(whole.First, s.First)
			whole.Last = max(whole.Last, s.Last)
		}
		t.First.Record(whole.First)
		if 2*whole.Count >= t.Subscribers {
			t.Median.Record(middle(parts, t.Subscribers))
		}
		if whole.Count >= t.Subscribers {
			t.Last.Record(whole.Last)
		}
	}
}
