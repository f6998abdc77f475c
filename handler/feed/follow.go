package feed

import (
	"errors"
	"slices"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// mayFollow returns why a connection may not subscribe to a topic, nil if it may.
func (f *Feed) mayFollow(s *session, name string) *failure {
	switch {
	case !isTopic(name):
		return errBadTopic
	case !s.subscribe.allows(name, f.now()):
		return errForbidden
	}
	return nil
}

// follow subscribes a connection to a topic and sends it what it has missed, unless that is
// more than may be under way. The package documentation says why nothing is lost and
// nothing comes twice.
func (f *Feed) follow(s *session, name string, at cursor) *failure {
	if failed := f.mayFollow(s, name); failed != nil {
		return failed
	}
	if slices.Contains(s.topics, name) {
		return errSubscribed
	}
	if m, ok := s.marks[name]; ok {
		delete(s.marks, name)
		if !at.newest && m.offset == at.offset {
			s.read = max(s.read, m.sent)
		}
	}
	if len(s.topics)+len(s.marks) >= maxSubscriptions {
		return errManySubs
	}
	t, err := f.acquire(name)
	if err != nil {
		return failureOf(err)
	}
	defer t.release()
	if s.parted {
		return f.followInTurn(s, t, at)
	}
	t.mu.Lock()
	first, ok := f.startOf(s, t, at)
	t.mu.Unlock()
	switch {
	case !ok:
		return errBadCursor
	case !first.whole:
		s.stop(t, first, s.send)
		return nil
	}
	// What the history held is sent without the lock, and what was published meanwhile,
	// which is little, under it.
	if !s.replay(t, first, s.send) {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := t.history.after(first.last, t.history.bytes)
	if s.sendPage(t, rest, "history", s.send) && s.conn.Subscribe(t.subject) == nil {
		s.topics = append(s.topics, t.name)
	}
	return nil
}

// startOf returns what a connection at a cursor has to be sent, and nothing that has grown old
// since something was published. The lock of the topic is held. It reports false if the cursor
// is in the future.
func (f *Feed) startOf(s *session, t *topic, at cursor) (start, bool) {
	t.history.trim(f.now(), f.bounds)
	return t.start(at, s.room(f.options.ReplayBytes))
}

// followInTurn is follow for a connection that has unsubscribed before. What was
// published until then may still be on its way to it, and must arrive before what it is
// sent now. So that goes the same way, by a subject of its own.
func (f *Feed) followInTurn(s *session, t *topic, at cursor) *failure {
	send, done := f.inTurn(s)
	defer done()
	t.mu.Lock()
	defer t.mu.Unlock()
	all, ok := f.startOf(s, t, at)
	switch {
	case !ok:
		return errBadCursor
	case !all.whole:
		s.stop(t, all, send)
	case s.replay(t, all, send) && s.conn.Subscribe(t.subject) == nil:
		s.topics = append(s.topics, t.name)
	}
	return nil
}

// unfollow ends a subscription. The reply comes behind the last message.
func (f *Feed) unfollow(s *session, name string) *failure {
	i := slices.Index(s.topics, name)
	switch {
	case i < 0:
		return errNotSubscribed
	case s.drops:
		return errDropping
	}
	s.topics = slices.Delete(s.topics, i, i+1)
	s.parted = true
	_ = s.conn.Unsubscribe(f.subject(name)) // an engine that has ended sends nothing more
	send, done := f.inTurn(s)
	defer done()
	send(prepare(topicReply{Type: "unsubscribed", Topic: name}))
	return nil
}

// inTurn returns a function that sends to a connection behind everything that was
// published before, until done is called. If the engine is too busy for that, the client
// is to connect again.
func (f *Feed) inTurn(s *session) (send func(*frame.Prepared) bool, done func()) {
	subject := f.privateSubject(s.conn)
	hub := s.conn.Hub()
	_ = s.conn.Subscribe(subject) // an engine that has ended sends nothing more
	send = func(m *frame.Prepared) bool {
		_, err := hub.Publish(subject, m.Op(), m.Payload(), handler.PublishOptions{})
		if errors.Is(err, handler.ErrBusy) {
			_ = s.conn.Close(frame.CloseTryAgainLater, errBusy.text)
		}
		return err == nil
	}
	return send, func() { _ = s.conn.Unsubscribe(subject) }
}

// room is how many bytes of history may be sent now: enough for any message, once the client
// has read what it was sent.
func (s *session) room(most int) int { return most - int(s.sent-s.read) }

// replay sends what a subscription begins with.
func (s *session) replay(t *topic, p start, send func(*frame.Prepared) bool) bool {
	return send(prepare(subscribedReply{Type: "subscribed", Topic: t.name, Epoch: t.epoch, Offset: p.newest})) &&
		s.sendPage(t, p.page, p.reason, send)
}

// stop sends a page behind which there is more than may be sent now. The connection is
// not subscribed; its client is told to go on from there.
func (s *session) stop(t *topic, p start, send func(*frame.Prepared) bool) {
	if !s.sendPage(t, p.page, p.reason, send) {
		return
	}
	if s.marks == nil {
		s.marks = make(map[string]mark)
	}
	s.marks[t.name] = mark{offset: p.last, sent: s.sent}
	send(prepare(subscribedReply{Type: "more", Topic: t.name, Epoch: t.epoch, Offset: p.last}))
}

// sendPage sends a stretch of the history, and before it that there is a gap if reason is
// not empty and messages are missing, or might be.
func (s *session) sendPage(t *topic, p page, reason string, send func(*frame.Prepared) bool) bool {
	if reason == "epoch" || p.missing > 0 {
		if !send(prepare(t.gap(p, reason))) {
			return false
		}
	}
	for _, e := range p.messages {
		if !send(e.message) {
			return false
		}
	}
	s.sent += uint64(p.bytes)
	return true
}
