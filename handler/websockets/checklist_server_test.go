package websockets_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/websockets"
)

func TestRow04OnePortForBoth(t *testing.T) {
	s := echoes(start(t, websockets.Options{Page: websockets.StaticText("<h1>page</h1>")}))
	c := dial(t, s)
	r, body := get(t, s, "/")
	if r.StatusCode != http.StatusOK || body != "<h1>page</h1>" || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("GET /: %s, %q of type %q", r.Status, body, r.Header.Get("Content-Type"))
	}
	c.send(websocket.TextMessage, "still here")
	c.expect(websocket.TextMessage, "still here")
}

func TestRow53PageAndNone(t *testing.T) {
	s := start(t, websockets.Options{})
	for _, target := range []string{"/", "/any"} {
		if r, _ := get(t, s, target); r.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s without a page: %s; want 404", target, r.Status)
		}
	}
	s.Page(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = websockets.Response{Content: []byte("you asked for " + r.URL.Path)}.Send(w)
	}))
	if r, body := get(t, s, "/any"); r.StatusCode != http.StatusOK || body != "you asked for /any" {
		t.Errorf("GET /any: %s, %q; want the page", r.Status, body)
	}
	s.Page(nil)
	if r, _ := get(t, s, "/any"); r.StatusCode != http.StatusNotFound {
		t.Errorf("GET /any after the page was taken away: %s; want 404", r.Status)
	}
}

func TestRow54StaticFileIsFresh(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.html")
	s := start(t, websockets.Options{Page: websockets.StaticFile(name)})
	if r, _ := get(t, s, "/"); r.StatusCode != http.StatusNotFound {
		t.Errorf("without a file: %s; want 404", r.Status)
	}
	for _, content := range []string{"first", "other"} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		r, body := get(t, s, "/any")
		if body != content || r.Header.Get("Content-Type") != "text/html; charset=utf-8" || r.Header.Get("Last-Modified") != "" {
			t.Errorf("%q, header %v; want %q, never to be taken from a cache", body, r.Header, content)
		}
	}
	s.Page(websockets.StaticFile(t.TempDir()))
	if r, _ := get(t, s, "/"); r.StatusCode != http.StatusNotFound {
		t.Errorf("a directory: %s; want 404", r.Status)
	}
}

func TestRow57StatusAndHeaders(t *testing.T) {
	errs := make(chan error, 1)
	s := start(t, websockets.Options{})
	send := func(r websockets.Response) (*http.Response, string, error) {
		s.Page(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			err := r.Send(w)
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
			errs <- err
		}))
		got, body := get(t, s, "/")
		return got, body, receive(t, "the page", errs)
	}
	r, body, err := send(websockets.Response{
		Status: 404, ContentType: "text/plain", Content: []byte("nothing"), Header: http.Header{"x-two": {"1", "2"}},
	})
	if err != nil || r.Status != "404 Not Found" || body != "nothing" || r.Header.Get("Content-Type") != "text/plain" ||
		!slices.Equal(r.Header.Values("X-Two"), []string{"1", "2"}) {
		t.Errorf("%s, %q, header %v, error %v", r.Status, body, r.Header, err)
	}
	for _, tt := range []struct {
		name     string
		response websockets.Response
		want     error
	}{
		{"line end in a value", websockets.Response{Header: http.Header{"X-A": {"a\r\nX-Evil: 1"}}}, handler.ErrBadHeader},
		{"line end in a name", websockets.Response{Header: http.Header{"X-A\r\nX-Evil": {"a"}}}, handler.ErrBadHeader},
		{"no name", websockets.Response{Header: http.Header{"": {"a"}}}, handler.ErrBadHeader},
		{"underscore", websockets.Response{Header: http.Header{"X_A": {"a"}}}, handler.ErrBadHeader},
		{"line end in the type", websockets.Response{ContentType: "a\r\nX-Evil: 1"}, handler.ErrBadHeader},
		{"status 99", websockets.Response{Status: 99}, websockets.ErrStatus},
		{"status 101", websockets.Response{Status: 101}, websockets.ErrStatus},
	} {
		r, _, err := send(tt.response)
		if !errors.Is(err, tt.want) || r.StatusCode != 500 || r.Header.Get("X-Evil") != "" {
			t.Errorf("%s: %v, %s; want %v and nothing sent", tt.name, err, r.Status, tt.want)
		}
	}
}

func TestRow58QueryVariables(t *testing.T) {
	const query = "x=1&y=a%20b+c&empty=&flag&k=a=b&x=2&%C3%A9=%zz&&"
	want := websockets.Vars{{"x", "1"}, {"y", "a b c"}, {"empty", ""}, {"flag", ""}, {"k", "a=b"}, {"x", "2"}, {"é", "%zz"}}
	vars := make(chan websockets.Vars, 1)
	s := start(t, websockets.Options{Page: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vs, err := websockets.RequestVars(w, r)
		if err != nil {
			t.Errorf("RequestVars: %v", err)
		}
		vars <- vs
	})})
	s.Established(func(ws *websockets.Conn) { vars <- websockets.ParseVars(ws.Request.RawQuery) })
	get(t, s, "/a/b?"+query)
	if got := receive(t, "the page", vars); !slices.Equal(got, want) {
		t.Errorf("variables of a page request: %q; want %q", got, want)
	}
	dialURL(t, "ws://"+s.Addr().String()+"/a/b?"+query)
	got := receive(t, "established", vars)
	if !slices.Equal(got, want) {
		t.Errorf("variables of a handshake: %q; want %q", got, want)
	}
	for name, value := range map[string]string{"x": "1", "empty": "", "k": "a=b"} {
		if v, ok := got.Get(name); v != value || !ok {
			t.Errorf("Get(%q) = %q, %v; want %q, true", name, v, ok, value)
		}
	}
	if v, ok := got.Get("none"); v != "" || ok {
		t.Errorf("Get(none) = %q, %v; want nothing", v, ok)
	}
	get(t, s, "/")
	if got := receive(t, "the page", vars); got != nil {
		t.Errorf("variables without a query: %q; want none", got)
	}
}

func TestRow59FormPost(t *testing.T) {
	vars := make(chan websockets.Vars, 1)
	s := start(t, websockets.Options{Page: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vs, err := websockets.RequestVars(w, r)
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			http.Error(w, tooLarge.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		vars <- vs
	})})
	const form = "application/x-www-form-urlencoded"
	url := "http://" + s.Addr().String() + "/?q=1"
	do(t, http.MethodPost, url, strings.NewReader("name=ann+b&q=2"), form+"; charset=utf-8")
	if got, want := receive(t, "the page", vars), (websockets.Vars{{"q", "1"}, {"name", "ann b"}, {"q", "2"}}); !slices.Equal(got, want) {
		t.Errorf("variables of a form: %q; want %q", got, want)
	}
	do(t, http.MethodPost, url, strings.NewReader("name=ann"), "text/plain")
	if got := receive(t, "the page", vars); len(got) != 1 {
		t.Errorf("variables of a text: %q; want those of the query", got)
	}
	r, _ := do(t, http.MethodPost, url, strings.NewReader("a="+strings.Repeat("b", 1<<20)), form)
	if r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a form above 1 MiB: %s; want 413", r.Status)
	}
}

func TestRow64PortZero(t *testing.T) {
	s := listen(t, websockets.Options{Engine: engine.Options{Address: "127.0.0.1:0"}})
	if addr, ok := s.Addr().(*net.TCPAddr); !ok || addr.Port == 0 {
		t.Errorf("listens on %v; want a port", s.Addr())
	}
}

func TestRow65PortInUse(t *testing.T) {
	s := listen(t, websockets.Options{})
	_, err := websockets.NewServer(websockets.Options{Engine: engine.Options{Address: s.Addr().String()}})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("a second server: %v; want EADDRINUSE and the address", err)
	}
}

// A NewServer that failed left its route in the caller's Mux, so that the next one with the
// same options failed too.
func TestNewServerAgain(t *testing.T) {
	first := listen(t, websockets.Options{})
	mux := handler.NewMux()
	mux.Handle("/own", handler.Echo{})
	o := websockets.Options{Engine: engine.Options{Address: first.Addr().String(), Mux: mux}}
	for range 2 {
		if _, err := websockets.NewServer(o); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("on a port in use: %v; want EADDRINUSE", err)
		}
		if got := len(mux.Routes()); got != 1 {
			t.Errorf("%d routes after that; want the caller's", got)
		}
	}
	o.Engine.Address = ""
	second := start(t, o)
	for _, path := range []string{"/own", "/any"} {
		dialURL(t, "ws://"+second.Addr().String()+path)
	}
}

func TestRow66GracefulStop(t *testing.T) {
	ends := make(chan handler.CloseStatus, 1)
	s := start(t, websockets.Options{})
	s.Closed(func(_ *websockets.Conn, s handler.CloseStatus) { ends <- s })
	c := dial(t, s)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }() // ends with the server
	c.expectClose(websocket.CloseGoingAway)
	if got := receive(t, "closed", ends); got.Code != frame.CloseGoingAway || !got.Clean {
		t.Errorf("status %+v; want 1001, clean", got)
	}
	if err := receive(t, "Close", closed); err != nil {
		t.Errorf("Close: %v", err)
	}
	l, err := net.Listen("tcp", s.Addr().String())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = l.Close()
	if err := s.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

// A callback may have the server closed, whoever runs it, and nothing is called when
// that is done.
func TestCloseFromCallback(t *testing.T) {
	for name, serve := range map[string]func(*websockets.Server){
		"in the background": (*websockets.Server).Daemonize,
		"in a loop": func(s *websockets.Server) {
			go func() { _ = s.Run(context.Background()) }() // ends with Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, websockets.Options{})
			closed := make(chan error, 1)
			ends := 0 // no lock: callbacks do not overlap, and Close comes after them
			s.Established(func(*websockets.Conn) {
				if len(s.Conns()) == 3 {
					go func() { closed <- s.Close() }() // ends with the server
				}
			})
			s.Closed(func(_ *websockets.Conn, status handler.CloseStatus) {
				if !status.Clean {
					t.Errorf("status %+v; want clean", status)
				}
				ends++
			})
			serve(s)
			clients := []*client{dial(t, s), dial(t, s), dial(t, s)}
			for _, c := range clients {
				c.expectClose(websocket.CloseGoingAway)
			}
			if err := receive(t, "Close", closed); err != nil || ends != len(clients) {
				t.Errorf("Close: %v, after %d closed callbacks; want nil, %d", err, ends, len(clients))
			}
		})
	}
}

// Callbacks do not overlap, however many goroutines call Service.
func TestCallbacksDoNotOverlap(t *testing.T) {
	const clients, messages = 10, 100
	s := listen(t, websockets.Options{})
	count := 0 // no lock
	s.Receive(func([]byte, *websockets.Conn, websockets.Header) { count++ })
	gone := make(chan struct{})
	s.Closed(func(*websockets.Conn, handler.CloseStatus) {
		if s.Service(0) != 0 {
			t.Error("Service called by a callback runs something")
		}
		if len(s.Conns()) == 1 && count == clients*messages {
			close(gone)
		}
	})
	s.Daemonize()
	for range 2 {
		go func() { _ = s.Run(t.Context()) }() // ends with the server
	}
	var all []*client
	for range clients {
		all = append(all, dial(t, s))
	}
	for i := range messages {
		for _, c := range all {
			c.send(websocket.TextMessage, strconv.Itoa(i))
		}
	}
	for _, c := range all {
		_ = c.Close()
	}
	receive(t, "the last closed callback", gone)
}

func TestRow67ServiceRunDaemonize(t *testing.T) {
	t.Run("Service returns when idle", func(t *testing.T) {
		s := listen(t, websockets.Options{})
		if n := s.Service(time.Millisecond); n != 0 {
			t.Errorf("ran %d callbacks of an idle server", n)
		}
	})
	t.Run("Service runs what waits", func(t *testing.T) {
		s := listen(t, websockets.Options{})
		established := false // no lock: callbacks run on the goroutine that calls Service
		s.Established(func(*websockets.Conn) { established = true })
		done := make(chan *client, 1)
		go func() { done <- dial(t, s) }() // ends with the dial, for which the test waits
		if n := s.Service(patience); n != 1 || !established {
			t.Errorf("ran %d callbacks, established: %v; want 1, true", n, established)
		}
		receive(t, "dial", done)
	})
	t.Run("Run blocks until its context ends", func(t *testing.T) {
		s := echoes(listen(t, websockets.Options{}))
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }() // ends with ctx
		c := dial(t, s)
		c.send(websocket.TextMessage, "hi")
		c.expect(websocket.TextMessage, "hi")
		cancel()
		c.expectClose(websocket.CloseGoingAway)
		if err := receive(t, "Run", ran); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("Daemonize returns at once", func(t *testing.T) {
		s := echoes(listen(t, websockets.Options{}))
		s.Daemonize()
		s.Daemonize() // the second time it does nothing
		c := dial(t, s)
		c.send(websocket.TextMessage, "hi")
		c.expect(websocket.TextMessage, "hi")
	})
}

func TestRow79SendFromOutside(t *testing.T) {
	s := start(t, websockets.Options{})
	c := dial(t, s)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for range 3 {
		<-ticker.C
		if n := s.Broadcast([]byte("tick")).Delivered(); n != 1 {
			t.Errorf("a tick went to %d clients; want 1", n)
		}
		c.expect(websocket.TextMessage, "tick")
	}
}

// A mux of the application's keeps its routes; the callbacks get all other paths.
func TestOwnMux(t *testing.T) {
	mux := handler.NewMux()
	mux.Handle("/own", handler.Echo{})
	s := start(t, websockets.Options{Engine: engine.Options{Mux: mux}})
	c := dialURL(t, "ws://"+s.Addr().String()+"/own")
	c.send(websocket.TextMessage, "hi")
	c.expect(websocket.TextMessage, "hi")
	if n := len(s.Conns()); n != 0 {
		t.Errorf("%d clients; want none", n)
	}
	if _, err := websockets.NewServer(websockets.Options{Engine: engine.Options{Mux: mux}}); !errors.Is(err, handler.ErrDuplicatePath) {
		t.Errorf("a mux that has a route for all paths: %v; want ErrDuplicatePath", err)
	}
}
