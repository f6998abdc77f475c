package handler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Route is one path and what serves it.
type Route struct {
	// Path is what Request.Path is compared with: percent-decoded, beginning
	// with a slash. "*" is every path that has no route of its own.
	Path string
	// Handler serves the connections. Not nil.
	Handler Handler
	// Subprotocols are those the Handler speaks. The first of the client's offer
	// that is among them is chosen, in the same case; none in common is no reason
	// to refuse. Default: Policy.Subprotocols. Empty but not nil: none.
	Subprotocols []string
	// Origins are the patterns, as in CheckOrigin, of the origins allowed besides
	// the same origin. Default: Policy.Origins. Empty but not nil: the same origin
	// only.
	Origins []string
	// SlowPolicy is what happens to publications when a peer is slow to read, unless their
	// topic has a policy or the connection has set one. Default: the engine's.
	SlowPolicy SlowPolicy
}

// Mux finds the Route of a path. Its methods may be called from any goroutine, so
// routes may be added while an engine is running. Use NewMux to make one.
type Mux struct {
	mu     sync.RWMutex
	routes []*Route          // in the order added
	byPath map[string]*Route // by routeKey; "*" is the route of all other paths
}

// NewMux returns a Mux without routes.
func NewMux() *Mux { return &Mux{byPath: make(map[string]*Route)} }

// Handle adds a route that has the defaults. It panics where Add returns an
// error.
func (m *Mux) Handle(path string, h Handler) {
	if err := m.Add(Route{Path: path, Handler: h}); err != nil {
		panic(err)
	}
}

// Add adds a route. It returns ErrDuplicatePath if the path, or the one that
// differs from it in a trailing slash, has a route; and ErrNilHandler, ErrBadPath,
// ErrBadOrigin, ErrBadSubprotocol and ErrSlowPolicy, joined if several apply. Then
// nothing was added. Add copies the slices.
func (m *Mux) Add(r Route) error {
	if err := r.check(); err != nil {
		return err
	}
	r.Subprotocols = slices.Clone(r.Subprotocols)
	r.Origins = slices.Clone(r.Origins)

	m.mu.Lock()
	defer m.mu.Unlock()
	key := routeKey(r.Path)
	if m.byPath[key] != nil {
		return fmt.Errorf("%w %q", ErrDuplicatePath, r.Path)
	}
	m.byPath[key] = &r
	m.routes = append(m.routes, &r)
	return nil
}

// Remove takes away the route of a path, compared as Match does, and reports whether it
// had one of its own. Connections that are open go on.
func (m *Mux) Remove(path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := routeKey(path)
	route := m.byPath[key]
	if route == nil {
		return false
	}
	delete(m.byPath, key)
	m.routes = slices.DeleteFunc(m.routes, func(r *Route) bool { return r == route })
	return true
}

// Match returns the route of a percent-decoded path, and whether there is one.
// Paths are compared byte by byte, except that either may have one slash at its
// end that the other has not: /a is /a/, but not /a//, /A or /a/b. The Route is
// not to be modified.
func (m *Mux) Match(path string) (*Route, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	route := m.byPath[routeKey(path)]
	if route == nil {
		route = m.byPath["*"]
	}
	return route, route != nil
}

// Routes returns the routes in the order they were added. The slice is the
// caller's, the routes are not to be modified.
func (m *Mux) Routes() []*Route {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Clone(m.routes)
}

// check returns everything that is wrong with the route.
func (r *Route) check() error {
	var errs []error
	if r.Handler == nil {
		errs = append(errs, ErrNilHandler)
	}
	if r.Path != "*" && (!strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?#")) {
		errs = append(errs, fmt.Errorf("%w %q", ErrBadPath, r.Path))
	}
	if !r.SlowPolicy.Valid() {
		errs = append(errs, ErrSlowPolicy)
	}
	errs = append(errs, Policy{Origins: r.Origins, Subprotocols: r.Subprotocols}.Check())
	return errors.Join(errs...)
}

// routeKey is the path without one slash at its end. The root becomes empty, so
// that "//" is not taken for it.
func routeKey(path string) string { return strings.TrimSuffix(path, "/") }
