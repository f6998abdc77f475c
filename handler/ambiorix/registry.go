package ambiorix

import (
	"cmp"
	"slices"
	"sync"

	"github.com/weirws/weir/handler"
)

// A registry is the open connections of an App and the groups they have joined. The
// connections may be those of several engines. The zero value is empty. No
// connection is used while the lock is held.
type registry struct {
	mu      sync.Mutex
	last    uint64 // the number given out last
	members map[handler.Conn]*member
	groups  map[string]map[handler.Conn]*member // those with a member
}

// A member is a connection in the registry.
type member struct {
	number uint64              // in the order of connection
	groups map[string]struct{} // nil while it is in none
}

func (r *registry) add(c handler.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members == nil {
		r.members = make(map[handler.Conn]*member)
	}
	r.last++
	r.members[c] = &member{number: r.last}
}

// remove forgets c, here and in its groups.
func (r *registry) remove(c handler.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[c]
	if m == nil {
		return
	}
	for group := range m.groups {
		r.removeFrom(group, c)
	}
	delete(r.members, c)
	if len(r.members) == 0 {
		r.members = nil // a map does not shrink by itself
	}
}

// join puts c in a group. It reports false if c is not in the registry.
func (r *registry) join(c handler.Conn, group string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[c]
	if m == nil {
		return false
	}
	if group == everyone {
		return true
	}
	if m.groups == nil {
		m.groups = make(map[string]struct{})
	}
	m.groups[group] = struct{}{}
	if r.groups == nil {
		r.groups = make(map[string]map[handler.Conn]*member)
	}
	if r.groups[group] == nil {
		r.groups[group] = make(map[handler.Conn]*member)
	}
	r.groups[group][c] = m
	return true
}

func (r *registry) leave(c handler.Conn, group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[c]
	if m == nil {
		return
	}
	delete(m.groups, group)
	r.removeFrom(group, c)
}

// removeFrom takes c out of a group. The lock is held.
func (r *registry) removeFrom(group string, c handler.Conn) {
	delete(r.groups[group], c)
	if len(r.groups[group]) == 0 {
		delete(r.groups, group)
	}
}

// in returns the members of a group, or everyone. The lock is held.
func (r *registry) in(group string) map[handler.Conn]*member {
	if group == everyone {
		return r.members
	}
	return r.groups[group]
}

func (r *registry) count(group string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.in(group))
}

// list returns the connections in a group, or everyone, in no particular order.
func (r *registry) list(group string) []handler.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	conns := make([]handler.Conn, 0, len(r.in(group)))
	for c := range r.in(group) {
		conns = append(conns, c)
	}
	return conns
}

// ordered is list in the order of connection.
func (r *registry) ordered(group string) []handler.Conn {
	type numbered struct {
		number uint64
		conn   handler.Conn
	}
	r.mu.Lock()
	all := make([]numbered, 0, len(r.in(group)))
	for c, m := range r.in(group) {
		all = append(all, numbered{m.number, c})
	}
	r.mu.Unlock()

	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	conns := make([]handler.Conn, len(all))
	for i, n := range all {
		conns[i] = n.conn
	}
	return conns
}
