package engine

import (
	"sync"

	"github.com/weirws/weir/handler"
)

// dialledPaths is the paths of the connections of Dial. Unlike routes there may be any
// number, so one lives as long as its connections do.
type dialledPaths struct {
	mu     sync.RWMutex
	byName map[string]*path
}

// enter returns the entry for a path, for one more connection.
func (s *dialledPaths) enter(name string) *path {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byName[name]
	if p == nil {
		if s.byName == nil {
			s.byName = make(map[string]*path)
		}
		p = &path{route: &handler.Route{Path: name}}
		s.byName[name] = p
	}
	p.dialled++
	return p
}

// leave takes a connection off a path.
func (s *dialledPaths) leave(p *path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.dialled--; p.dialled == 0 {
		delete(s.byName, p.route.Path)
	}
}

// find returns the entry for a path, nil if no connection is on it.
func (s *dialledPaths) find(name string) *path {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byName[name]
}

// forgetPath drops the list of a dialled path that has no connections. Those of routes
// stay: their number is bounded.
func (l *loop) forgetPath(m *memberList) {
	if m.path != nil && m.path.route.Handler == nil && m.isEmpty() && l.paths[m.path] == m {
		delete(l.paths, m.path)
	}
}
