package handler_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/weirws/weir/handler"
)

func TestMuxMatch(t *testing.T) {
	bare := handler.NewMux()
	bare.Handle("/", handler.Echo{})
	bare.Handle("/a", handler.Echo{})
	bare.Handle("/b/", handler.Echo{})
	bare.Handle("/ü x", handler.Echo{})
	rest := handler.NewMux()
	rest.Handle("*", handler.Echo{})
	rest.Handle("/a", handler.Echo{})

	tests := []struct {
		name string
		mux  *handler.Mux
		path string
		want string // path of the route, "" for none
	}{
		{"root", bare, "/", "/"},
		{"two slashes are not the root", bare, "//", ""},
		{"exact", bare, "/a", "/a"},
		{"slash added", bare, "/a/", "/a"},
		{"two slashes added", bare, "/a//", ""},
		{"exact with slash", bare, "/b/", "/b/"},
		{"slash taken away", bare, "/b", "/b/"},
		{"no prefix", bare, "/a/b", ""},
		{"no prefix with slash", bare, "/b/c", ""},
		{"case counts", bare, "/A", ""},
		{"decoded", bare, "/ü x", "/ü x"},
		{"dots stay", bare, "/b/../a", ""},
		{"asterisk is no path", bare, "*", ""},
		{"nothing added", handler.NewMux(), "/", ""},
		{"all others", rest, "/b", "*"},
		{"all others, root", rest, "/", "*"},
		{"own route goes first", rest, "/a", "/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			route, ok := tt.mux.Match(tt.path)
			got := ""
			if ok {
				got = route.Path
			}
			if got != tt.want || ok != (route != nil) {
				t.Errorf("Match(%q) = %+v, %v; want %q", tt.path, route, ok, tt.want)
			}
		})
	}
}

func TestMuxAddRefuses(t *testing.T) {
	echo := handler.Echo{}
	tests := []struct {
		name  string
		route handler.Route
		want  []error
	}{
		{"duplicate", handler.Route{Path: "/a", Handler: echo}, []error{handler.ErrDuplicatePath}},
		{"duplicate with slash", handler.Route{Path: "/a/", Handler: echo}, []error{handler.ErrDuplicatePath}},
		{"duplicate without slash", handler.Route{Path: "/b", Handler: echo}, []error{handler.ErrDuplicatePath}},
		{"duplicate asterisk", handler.Route{Path: "*", Handler: echo}, []error{handler.ErrDuplicatePath}},
		{"no handler", handler.Route{Path: "/c"}, []error{handler.ErrNilHandler}},
		{"no path", handler.Route{Handler: echo}, []error{handler.ErrBadPath}},
		{"relative", handler.Route{Path: "c", Handler: echo}, []error{handler.ErrBadPath}},
		{"asterisk and slash", handler.Route{Path: "*/", Handler: echo}, []error{handler.ErrBadPath}},
		{"query", handler.Route{Path: "/c?d", Handler: echo}, []error{handler.ErrBadPath}},
		{"fragment", handler.Route{Path: "/c#d", Handler: echo}, []error{handler.ErrBadPath}},
		{"origin", handler.Route{Path: "/c", Handler: echo, Origins: []string{"http://"}}, []error{handler.ErrBadOrigin}},
		{"slow policy", handler.Route{Path: "/c", Handler: echo, SlowPolicy: handler.Conflate + 1}, []error{handler.ErrSlowPolicy}},
		{"sub-protocol", handler.Route{Path: "/c", Handler: echo, Subprotocols: []string{"a b"}}, []error{handler.ErrBadSubprotocol}},
		{
			"everything", handler.Route{Origins: []string{""}, Subprotocols: []string{""}},
			[]error{handler.ErrNilHandler, handler.ErrBadPath, handler.ErrBadOrigin, handler.ErrBadSubprotocol},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := handler.NewMux()
			m.Handle("/a", echo)
			m.Handle("/b/", echo)
			m.Handle("*", echo)
			err := m.Add(tt.route)
			for _, want := range tt.want {
				if !errors.Is(err, want) {
					t.Errorf("Add(%+v) = %v, want %v", tt.route, err, want)
				}
			}
			if got := len(m.Routes()); got != 3 {
				t.Errorf("after a refused Add there are %d routes, want 3", got)
			}
		})
	}
}

func TestMuxHandlePanics(t *testing.T) {
	m := handler.NewMux()
	m.Handle("/a", handler.Echo{})
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, handler.ErrDuplicatePath) {
			t.Errorf("second Handle of one path panicked with %v, want ErrDuplicatePath", err)
		}
	}()
	m.Handle("/a/", handler.Echo{})
}

func TestMuxRoutes(t *testing.T) {
	m := handler.NewMux()
	origins := []string{"example.com"}
	for _, path := range []string{"/b", "*", "/a"} {
		if err := m.Add(handler.Route{Path: path, Handler: handler.Echo{}, Origins: origins}); err != nil {
			t.Fatal(err)
		}
	}
	origins[0] = "*"
	routes := m.Routes()
	for i, want := range []string{"/b", "*", "/a"} {
		if routes[i].Path != want || routes[i].Origins[0] != "example.com" {
			t.Errorf("route %d = %+v, want %s with the origins it was added with", i, routes[i], want)
		}
	}
	clear(routes)
	if m.Routes()[0] == nil {
		t.Error("Routes returned the slice of the Mux")
	}
}

func TestMuxRemove(t *testing.T) {
	m := handler.NewMux()
	for _, path := range []string{"/a", "*", "/b/", "/"} {
		m.Handle(path, handler.Echo{})
	}
	for _, tt := range []struct {
		path string
		want bool
		left int
	}{
		{"/c", false, 4}, {"/a/", true, 3}, {"/a", false, 3}, {"*", true, 2}, {"*", false, 2}, {"//", false, 2}, {"/", true, 1},
	} {
		if got, left := m.Remove(tt.path), len(m.Routes()); got != tt.want || left != tt.left {
			t.Errorf("Remove(%q) = %v, %d routes left; want %v, %d", tt.path, got, left, tt.want, tt.left)
		}
	}
	if _, ok := m.Match("/a"); ok {
		t.Error("Match finds a route that was removed")
	}
	if route, ok := m.Match("/b"); !ok || route.Path != "/b/" {
		t.Errorf("Match(/b) = %v, %v; want /b/", route, ok)
	}
	m.Handle("/a", handler.Echo{})
}

// TestMuxConcurrent has routes added while paths are looked up, for the race
// detector; a path whose Add has returned must be found.
func TestMuxConcurrent(t *testing.T) {
	m := handler.NewMux()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 200 {
				path := fmt.Sprintf("/%d/%d", g, i)
				m.Handle(path, handler.Echo{})
				if route, ok := m.Match(path); !ok || route.Path != path {
					t.Errorf("Match(%q) = %v, %v after Handle", path, route, ok)
				}
				m.Match("/none")
				m.Routes()
			}
		})
	}
	all.Wait()
	if got := len(m.Routes()); got != 800 {
		t.Errorf("%d routes, want 800", got)
	}
}
