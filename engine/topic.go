package engine

import "slices"

// A topic is one loop's share of the subscribers of a topic, or of a pattern.
type topic struct {
	name    string
	members memberList
}

// A memberList is connections in no order: those of a topic, or of a path. Adding and
// removing take the same time however many there are. Its loop owns it.
type memberList struct {
	path    *path // nil: a topic's
	all     []member
	holes   int // members that left while the list was being walked
	walkers int // walks under way: nobody changes places
}

// A member is a connection and where it keeps its index in the list.
type member struct {
	conn *Conn // nil: a hole
	at   *uint32
}

func (m *memberList) add(c *Conn, at *uint32) {
	*at = uint32(len(m.all))
	m.all = append(m.all, member{c, at})
}

func (m *memberList) remove(at uint32) {
	if m.walkers > 0 {
		m.all[at] = member{}
		m.holes++
		return
	}
	m.fill(int(at))
}

// fill moves the last member to place i.
func (m *memberList) fill(i int) {
	last := len(m.all) - 1
	m.all[i] = m.all[last]
	if moved := m.all[i]; moved.conn != nil {
		*moved.at = uint32(i)
	}
	m.all[last] = member{}
	m.all = m.all[:last]
	if c := cap(m.all); c > 64 && last < c/4 {
		m.all = append(make([]member, 0, c/2), m.all...)
	}
}

// walked ends a walk over the list. The last one fills the holes.
func (m *memberList) walked() {
	m.walkers--
	if m.walkers > 0 {
		return
	}
	for i := len(m.all) - 1; i >= 0 && m.holes > 0; i-- {
		if m.all[i].conn == nil {
			m.fill(i)
			m.holes--
		}
	}
}

func (m *memberList) isEmpty() bool { return len(m.all) == m.holes && m.walkers == 0 }

// A subscription is a connection's place in a topic.
type subscription struct {
	topic *topic
	at    uint32
}

// subscriptions are the topics of one connection. Few are searched one by one, many
// by name.
type subscriptions struct {
	few  []*subscription
	many map[string]*subscription
}

const fewSubscriptions = 16

func (s *subscriptions) find(name string) *subscription {
	if s == nil {
		return nil
	}
	if s.many != nil {
		return s.many[name]
	}
	for _, sub := range s.few {
		if sub.topic.name == name {
			return sub
		}
	}
	return nil
}

func (s *subscriptions) add(sub *subscription) {
	if s.many == nil && len(s.few) < fewSubscriptions {
		s.few = append(s.few, sub)
		return
	}
	if s.many == nil {
		s.many = make(map[string]*subscription)
		for _, old := range s.few {
			s.many[old.topic.name] = old
		}
		s.few = nil
	}
	s.many[sub.topic.name] = sub
}

func (s *subscriptions) remove(sub *subscription) {
	if s.many != nil {
		delete(s.many, sub.topic.name)
		return
	}
	i := slices.Index(s.few, sub)
	s.few[i] = s.few[len(s.few)-1]
	s.few[len(s.few)-1] = nil
	s.few = s.few[:len(s.few)-1]
}

func (s *subscriptions) isEmpty() bool { return len(s.few) == 0 && len(s.many) == 0 }

// join subscribes a connection, whose subscription has been counted already.
func (l *loop) join(c *Conn, name string) {
	if c.fd < 0 || c.state > stateOpen || c.subscribed.find(name) != nil {
		l.engine.subjects.add(name, -1)
		return
	}
	t := l.topics[name]
	if t == nil {
		t = &topic{name: name}
		if l.topics == nil {
			l.topics = make(map[string]*topic)
		}
		l.topics[name] = t
	}
	sub := &subscription{topic: t}
	t.members.add(c, &sub.at)
	if c.subscribed == nil {
		c.subscribed = new(subscriptions)
	}
	c.subscribed.add(sub)
}

// part ends one subscription of a connection, if it has it.
func (l *loop) part(c *Conn, name string) {
	if sub := c.subscribed.find(name); sub != nil {
		c.subscribed.remove(sub)
		if c.subscribed.isEmpty() {
			c.subscribed = nil
		}
		l.end(sub)
	}
}

// partAll ends all subscriptions of a connection.
func (l *loop) partAll(c *Conn) {
	s := c.subscribed
	if s == nil {
		return
	}
	c.subscribed = nil
	for _, sub := range s.few {
		l.end(sub)
	}
	for _, sub := range s.many {
		l.end(sub)
	}
}

func (l *loop) end(sub *subscription) {
	t := sub.topic
	t.members.remove(sub.at)
	l.forget(t)
	l.engine.subjects.add(t.name, -1)
}

// forget drops a topic without subscribers.
func (l *loop) forget(t *topic) {
	if !t.members.isEmpty() || l.topics[t.name] != t {
		return
	}
	delete(l.topics, t.name)
	if len(l.topics) == 0 {
		l.topics = nil // a map does not shrink by itself
	}
}
