package nanonext_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

func TestNewServerRefuses(t *testing.T) {
	const good = "http://127.0.0.1:0"
	page := nanonext.Inline{Path: "/a"}
	serve := func(http.ResponseWriter, *http.Request) {}
	tests := []struct {
		name     string
		url      string
		handlers []nanonext.Handler
		want     error
	}{
		{"no URL", "", nil, nanonext.ErrURL},
		{"another scheme", "ftp://127.0.0.1:1", nil, nanonext.ErrURL},
		{"a path", good + "/base", nil, nanonext.ErrURL},
		{"a query", good + "?q", nil, nanonext.ErrURL},
		{"malformed", "http://127.0.0.1:port", nil, nanonext.ErrURL},
		{"no such port", "http://127.0.0.1:65536", nil, nanonext.ErrURL},
		{"https without TLS", "https://127.0.0.1:0", nil, nanonext.ErrURL},
		{"two WebSocket handlers", good, []nanonext.Handler{nanonext.WebSocket{Path: "/a"}, nanonext.WebSocket{Path: "/a/"}}, handler.ErrDuplicatePath},
		{"two HTTP handlers", good, []nanonext.Handler{page, nanonext.Func{Path: "/a/", Serve: serve}}, handler.ErrDuplicatePath},
		{"two prefixes", good, []nanonext.Handler{nanonext.Directory{Path: "/a"}, nanonext.File{Path: "/a", Prefix: true}}, handler.ErrDuplicatePath},
		{"WebSocket and HTTP", good, []nanonext.Handler{nanonext.WebSocket{Path: "/a"}, page}, handler.ErrDuplicatePath},
		{"HTTP and WebSocket", good, []nanonext.Handler{page, nanonext.WebSocket{Path: "/a"}}, handler.ErrDuplicatePath},
		{"WebSocket path", good, []nanonext.Handler{nanonext.WebSocket{Path: "a"}}, handler.ErrBadPath},
		{"HTTP path", good, []nanonext.Handler{nanonext.Inline{Path: ""}}, handler.ErrBadPath},
		{"a query in a path", good, []nanonext.Handler{nanonext.Inline{Path: "/a?b"}}, handler.ErrBadPath},
		{"nothing to serve", good, []nanonext.Handler{nanonext.Func{Path: "/a"}}, handler.ErrNilHandler},
		{"nothing to open", good, []nanonext.Handler{nanonext.Stream{Path: "/a"}}, handler.ErrNilHandler},
		{"redirect status", good, []nanonext.Handler{nanonext.Redirect{Path: "/a", Location: "/", Status: 200}}, nanonext.ErrRedirect},
		{"redirect to nowhere", good, []nanonext.Handler{nanonext.Redirect{Path: "/a"}}, nanonext.ErrRedirect},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := nanonext.NewServer(tt.url, engine.Options{}, tt.handlers...); !errors.Is(err, tt.want) {
				t.Errorf("NewServer(%q): %v; want %v", tt.url, err, tt.want)
			}
		})
	}
	_, err := nanonext.NewServer("", engine.Options{Loops: -1}, page, page)
	if !errors.Is(err, nanonext.ErrURL) || !errors.Is(err, handler.ErrDuplicatePath) {
		t.Errorf("several faults: %v; want all of them", err)
	}
	if _, err := nanonext.NewServer(good, engine.Options{Network: "unix"}); !errors.Is(err, nanonext.ErrURL) {
		t.Errorf("unix socket: %v; want ErrURL", err)
	}
}

func TestCloseBeforeStart(t *testing.T) {
	s := newServer(t, engine.Options{})
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := s.Start(); !errors.Is(err, nanonext.ErrClosed) {
		t.Errorf("Start after Close: %v; want ErrClosed", err)
	}
}

// The application's own routes and HTTP handler stay: the server adds to them.
func TestOptionsOfTheEngine(t *testing.T) {
	mux := handler.NewMux()
	mux.Handle("/own", handler.Echo{})
	s := start(t, engine.Options{Mux: mux, HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})}, nanonext.Inline{Path: "/page", Data: []byte("page")}, nanonext.WebSocket{Path: "/ws", Message: echo})
	for _, path := range []string{"/own", "/ws"} {
		dial(t, s, path)
	}
	get(t, s, "/page", http.StatusOK)
	get(t, s, "/other", http.StatusTeapot)
	if _, err := nanonext.NewServer("http://127.0.0.1:0", engine.Options{Mux: mux}, nanonext.Inline{Path: "/own"}); !errors.Is(err, handler.ErrDuplicatePath) {
		t.Errorf("an HTTP handler on a route of the engine's: %v; want ErrDuplicatePath", err)
	}
	mux.Handle("/later", handler.Echo{})
	dial(t, s, "/later")
}

// A NewServer that failed left its handlers in the Mux, so that the next one with the same
// options failed too.
func TestNewServerAgain(t *testing.T) {
	mux := handler.NewMux()
	mux.Handle("/own", handler.Echo{})
	handlers := []nanonext.Handler{nanonext.WebSocket{Path: "/a", Message: echo}, nanonext.WebSocket{Path: "*", Message: echo}}
	const address = "http://127.0.0.1:0"
	for name, try := range map[string]func() error{
		"a bad URL": func() error { _, err := nanonext.NewServer("", engine.Options{Mux: mux}, handlers...); return err },
		"bad options": func() error {
			_, err := nanonext.NewServer(address, engine.Options{Mux: mux, Loops: -1}, handlers...)
			return err
		},
		"a handler twice": func() error {
			_, err := nanonext.NewServer(address, engine.Options{Mux: mux}, append(handlers, handlers[0])...)
			return err
		},
		"the route of the Mux": func() error {
			_, err := nanonext.NewServer(address, engine.Options{Mux: mux}, append(handlers, nanonext.WebSocket{Path: "/own"})...)
			return err
		},
	} {
		if err := try(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := len(mux.Routes()); got != 1 {
			t.Errorf("after %s: %d routes; want the caller's", name, got)
		}
	}
	s := start(t, engine.Options{Mux: mux}, handlers...)
	for _, path := range []string{"/own", "/a", "/b"} {
		dial(t, s, path)
	}
}

// A WebSocket handler for "*" took upgrades of the paths of HTTP handlers too.
func TestSocketOnAllOtherPaths(t *testing.T) {
	paths := make(chan string, 1)
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "*", Text: true, Message: echo, Open: func(_ nanonext.Conn, r *handler.Request) error {
			paths <- r.Path
			return nil
		}},
		nanonext.WebSocket{Path: "/ws", Text: true, Message: echo},
		nanonext.Inline{Path: "/page", Data: []byte("page")},
		nanonext.Func{Path: "/post", Method: "POST", Serve: func(http.ResponseWriter, *http.Request) {}},
		nanonext.Directory{Path: "/", Dir: t.TempDir()},
	)
	for _, path := range []string{"/", "/other", "/other/", "/page/below"} {
		c := dial(t, s, path)
		if got := receive(t, "Open", paths); got != path {
			t.Errorf("Open for %s; want %s", got, path)
		}
		c.send(websocket.TextMessage, path)
		c.expect(websocket.TextMessage, path)
	}
	dial(t, s, "/ws")
	for path, want := range map[string]int{"/page": 404, "/page/": 404, "/p%61ge?x": 404, "/post": 404, "/a/../page": 400} {
		if r := refused(t, s, path); r.StatusCode != want {
			t.Errorf("upgrade of %s: %s; want %d", path, r.Status, want)
		}
	}
	get(t, s, "/page", http.StatusOK)
	get(t, s, "/other", http.StatusNotFound)
	if len(paths) != 0 {
		t.Errorf("Open for %s", <-paths)
	}
}

func TestPrecedence(t *testing.T) {
	answer := func(path, method, text string, prefix bool) nanonext.Handler {
		return nanonext.Func{Path: path, Method: method, Prefix: prefix, Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-By", text)
		}}
	}
	s := start(t, engine.Options{},
		answer("/", "*", "root", true),
		answer("/a", "*", "a and below", true),
		answer("/a/b", "GET", "get b", false),
		answer("/a/b", "*", "any b", false),
		answer("/a/b", "GET", "below b", true),
		answer("/é {x}", "GET", "odd", false),
	)
	for _, tt := range []struct{ method, target, want string }{
		{"GET", "/", "root"},
		{"GET", "/ab", "root"},
		{"GET", "/a", "a and below"},
		{"GET", "/a/", "a and below"},
		{"GET", "/a/c", "a and below"},
		{"GET", "/a/bc", "a and below"},
		{"GET", "/a/b", "get b"},
		{"HEAD", "/a/b", "get b"},
		{"POST", "/a/b/", "any b"},
		{"GET", "/a/b/c", "below b"},
		{"GET", "/a//b", "a and below"},
		{"GET", "/%C3%A9%20%7Bx%7D", "odd"},
	} {
		r, _ := do(t, tt.method, s.URL()+tt.target, nil)
		if got := r.Header.Get("X-By"); got != tt.want {
			t.Errorf("%s %s: %s by %q; want %q", tt.method, tt.target, r.Status, got, tt.want)
		}
	}
	if r, _ := do(t, "POST", s.URL()+"/a/b/c", nil); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /a/b/c: %s; want 405", r.Status)
	}
	if r := raw(t, s, "OPTIONS * HTTP/1.1"); r.StatusCode >= 500 {
		t.Errorf("OPTIONS *: %s", r.Status)
	}
}
