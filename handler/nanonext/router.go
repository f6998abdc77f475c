package nanonext

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// A Handler is one of the kinds of this package: WebSocket, Func, File, Directory,
// Inline, Redirect, Stream.
type Handler interface {
	register(r *router) error
}

const (
	anyMethod = "*"
	anyPath   = "*"
)

// A router finds the handler of an HTTP request. It is immutable once the server is
// made.
type router struct {
	sockets  *handler.Mux
	added    []string           // to sockets: paths
	exact    map[string]methods // by key
	prefixes map[string]methods // by key
	fallback http.Handler
	bodyTime time.Duration // for the body of a request

	// For streams.
	closing     <-chan struct{} // closed when the server closes
	streamIDs   atomic.Uint64   // the last one given out
	queueBytes  int             // that may wait for the reader of a stream
	slowTimeout time.Duration   // that one write may take; negative: for ever
}

// methods are the handlers of one path.
type methods map[string]http.Handler

func newRouter(o engine.Options, closing <-chan struct{}) *router {
	r := &router{
		sockets:     o.Mux,
		exact:       make(map[string]methods),
		prefixes:    make(map[string]methods),
		fallback:    o.HTTP,
		bodyTime:    bodyTime,
		closing:     closing,
		queueBytes:  cmp.Or(o.OutboxHardBytes, 4<<20),
		slowTimeout: cmp.Or(o.SlowTimeout, 30*time.Second),
	}
	if r.fallback == nil {
		r.fallback = http.NotFoundHandler()
	}
	return r
}

// addSocket adds the handler of a WebSocket path, which then has no HTTP.
func (r *router) addSocket(h WebSocket) error {
	if r.exact[key(h.Path)] != nil {
		return fmt.Errorf("%w %q", handler.ErrDuplicatePath, h.Path)
	}
	if h.Path == anyPath {
		h.Open = r.elsewhere(h.Open)
	}
	err := r.sockets.Add(handler.Route{
		Path: h.Path, Handler: newSocketHandler(h), Subprotocols: h.Subprotocols, Origins: h.Origins,
	})
	if err == nil {
		r.added = append(r.added, h.Path)
	}
	return err
}

// removeSockets undoes addSocket for all.
func (r *router) removeSockets() {
	for _, path := range r.added {
		r.sockets.Remove(path)
	}
}

// elsewhere is the Open of the WebSocket handler for all other paths: it refuses those that
// are no other path.
func (r *router) elsewhere(open func(Conn, *handler.Request) error) func(Conn, *handler.Request) error {
	return func(ws Conn, req *handler.Request) error {
		switch {
		case climbs(req.Path):
			return handler.Refuse(http.StatusBadRequest, "bad path")
		case r.exact[key(req.Path)] != nil:
			return handler.Refuse(http.StatusNotFound, "no such path")
		case open == nil:
			return nil
		}
		return open(ws, req)
	}
}

// add adds an HTTP handler: for one path, or for all that begin with the same segments.
func (r *router) add(path string, prefix bool, method string, h http.Handler) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
		return fmt.Errorf("%w %q", handler.ErrBadPath, path)
	}
	table := r.exact
	if prefix {
		table = r.prefixes
	}
	route, ok := r.sockets.Match(path)
	if isSocket := ok && route.Path != anyPath; isSocket && !prefix || table[key(path)][method] != nil {
		return fmt.Errorf("%w %q, method %s", handler.ErrDuplicatePath, path, method)
	}
	if table[key(path)] == nil {
		table[key(path)] = make(methods)
	}
	table[key(path)][method] = h
	return nil
}

// ServeHTTP passes a request on to its handler.
func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	hurryBody(w, req, r.bodyTime)
	if climbs(req.URL.Path) {
		http.Error(w, "bad path", http.StatusBadRequest)
		return
	}
	found := r.find(req.URL.Path)
	if found == nil {
		r.fallback.ServeHTTP(w, req)
		return
	}
	h := found.of(req.Method)
	if h == nil {
		w.Header().Set("Allow", strings.Join(found.allowed(), ", "))
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.ServeHTTP(w, req)
}

// find returns the handlers of the path, or else those of its longest prefix.
func (r *router) find(path string) methods {
	if !strings.HasPrefix(path, "/") {
		return nil // the asterisk of OPTIONS
	}
	rest := key(path)
	if found := r.exact[rest]; found != nil {
		return found
	}
	for {
		if found := r.prefixes[rest]; found != nil || rest == "" {
			return found
		}
		rest = rest[:strings.LastIndexByte(rest, '/')]
	}
}

// of returns the handler of a method. GET answers HEAD too: net/http leaves the body
// out.
func (m methods) of(method string) http.Handler {
	if h := m[method]; h != nil {
		return h
	}
	if h := m[http.MethodGet]; h != nil && method == http.MethodHead {
		return h
	}
	return m[anyMethod]
}

func (m methods) allowed() []string {
	all := slices.Sorted(maps.Keys(m))
	if m[http.MethodGet] != nil && m[http.MethodHead] == nil {
		all = append(all, http.MethodHead)
	}
	return all
}

// key is the path without one slash at its end.
func key(path string) string { return strings.TrimSuffix(path, "/") }

// climbs reports whether a decoded path has a segment that leads upwards.
func climbs(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == ".." {
			return true
		}
	}
	return false
}
