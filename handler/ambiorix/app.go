package ambiorix

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weirws/weir/handler"
)

// Options configure an App. The zero value works.
type Options struct {
	// MaxBodyBytes bounds the body of an HTTP request; a larger one is answered 413.
	// WebSocket messages have the engine's limit. Default: 5 MiB. Negative: none.
	MaxBodyBytes int64
	// Raw takes the place of the named messages: it gets every connection and every
	// message, text and binary. Receivers do not run then, and there are no Clients.
	// Default: nil, named messages.
	Raw handler.Handler
	// Logger gets one record for each connection that is closed for what a peer sent
	// or a receiver returned. Default: slog.Default().
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.MaxBodyBytes = cmp.Or(o.MaxBodyBytes, 5<<20)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// App is an application. Use New to make one. The methods of Router, which register
// the receivers of its own, are its methods too.
type App struct {
	Router
	options Options        // with defaults; immutable
	number  uint64         // no other App of the process has it; immutable
	places  places         // has a lock of its own
	routes  *http.ServeMux // has a lock of its own

	mu    sync.RWMutex
	used  []*Router      // only ever appended to
	start []func() error // in the order registered
	stop  []func()       // in the order registered
}

// New returns an App without receivers and routes.
func New(o Options) *App {
	return &App{options: o.withDefaults(), number: made.Add(1), routes: http.NewServeMux()}
}

var made atomic.Uint64 // Apps

// Use adds the receivers of a Router, those that it gets later too. The App's own come
// first, then those of routers in the order of Use.
func (a *App) Use(r *Router) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used = append(a.used, r)
}

// find returns the receiver for name, nil if there is none.
func (a *App) find(name string) receiver {
	if f := a.Router.find(name); f != nil {
		return f
	}
	a.mu.RLock()
	used := a.used
	a.mu.RUnlock()
	for _, r := range used {
		if f := r.find(name); f != nil {
			return f
		}
	}
	return nil
}

// Handler serves WebSocket connections. Put it on a path of its own where Mux, which
// takes all paths, is not wanted. All connections on that path are clients. A Handler
// around it that refuses connections, or may panic, does so before it calls OnOpen, since
// that counts them until OnClose. A count that stays does no harm but that the App keeps
// the engine in memory, and asks it for clients.
func (a *App) Handler() handler.Handler {
	if a.options.Raw != nil {
		return a.options.Raw
	}
	return named{a}
}

// Mux returns a new Mux with Handler on every path, since the browser client connects
// to / whatever the path of its page. The caller may add routes of other handlers. It
// is the engine's Mux option.
func (a *App) Mux() *handler.Mux {
	m := handler.NewMux()
	m.Handle("*", a.Handler())
	return m
}

// Handle adds a route for HTTP requests, with the patterns of http.ServeMux:
// "GET /users/{id}". It panics if the pattern is malformed or conflicts with another.
func (a *App) Handle(pattern string, h http.Handler) { a.routes.Handle(pattern, h) }

// HandleFunc is Handle for a function.
func (a *App) HandleFunc(pattern string, f func(http.ResponseWriter, *http.Request)) {
	a.routes.HandleFunc(pattern, f)
}

// HTTP serves the routes and files. It answers 404 where there is none, 400 for a path
// with a .. in it, and 413 for a body above the limit: at once if the length is
// announced, otherwise when a route has read that far. It is the engine's HTTP option.
func (a *App) HTTP() http.Handler {
	limited := limitBody(a.routes, a.options.MaxBodyBytes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect to the path without it, which may be another file.
		if slices.Contains(strings.Split(r.URL.Path, "/"), "..") {
			http.Error(w, "bad path", http.StatusBadRequest)
			return
		}
		limited.ServeHTTP(w, r)
	})
}
