package nanonext_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/nanonext"
)

// write makes a file and the directories above it.
func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRow54FileIsFresh(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.html")
	s := start(t, engine.Options{},
		nanonext.File{Path: "/", File: name},
		nanonext.File{Path: "/app", Prefix: true, File: name},
	)
	get(t, s, "/", http.StatusNotFound)
	var tag string
	for _, content := range []string{"first", "other"} { // of one length, in one second
		write(t, name, content)
		for _, path := range []string{"/", "/app", "/app/any/where"} {
			r, body := do(t, http.MethodGet, s.URL()+path, nil, "If-None-Match: "+tag)
			if got := r.Header.Get("Content-Type"); body != content || got != "text/html; charset=utf-8" {
				t.Errorf("GET %s: %q of type %q; want %q", path, body, got, content)
			}
		}
		r, _ := get(t, s, "/", http.StatusOK)
		tag = r.Header.Get("ETag")
		if r, _ := do(t, http.MethodGet, s.URL()+"/", nil, "If-None-Match: "+tag); r.StatusCode != http.StatusNotModified {
			t.Errorf("the same file again: %s; want 304", r.Status)
		}
	}
	if r, body := do(t, http.MethodHead, s.URL()+"/", nil); r.ContentLength != 5 || body != "" {
		t.Errorf("HEAD: length %d, body %q; want 5, none", r.ContentLength, body)
	}
	if r, _ := do(t, http.MethodPost, s.URL()+"/", nil); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s, Allow %q; want 405", r.Status, r.Header.Get("Allow"))
	}
}

// The name of a File is the developer's own: it may be a symbolic link to anywhere, which
// was 404 whenever it led out of its directory, or was absolute.
func TestFileFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	target, www := filepath.Join(dir, "releases", "page-2.txt"), filepath.Join(dir, "www")
	write(t, target, "page")
	write(t, filepath.Join(www, "near"), "near")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{
		"absolute": target, "relative": "../releases/page-2.txt", "inside": filepath.Join(www, "near"), "directory": dir, "pipe": "../pipe", "nowhere": "gone",
	}
	var files []nanonext.Handler
	for name, to := range links {
		link := filepath.Join(www, name+".html")
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		files = append(files, nanonext.File{Path: "/" + name, File: link})
	}
	s := start(t, engine.Options{}, files...)
	for name, want := range map[string]string{"absolute": "page", "relative": "page", "inside": "near"} {
		r, body := get(t, s, "/"+name, http.StatusOK)
		if got := r.Header.Get("Content-Type"); body != want || got != "text/html; charset=utf-8" {
			t.Errorf("GET /%s: %q of type %q; want %q", name, body, got, want)
		}
	}
	for _, name := range []string{"directory", "pipe", "nowhere"} {
		get(t, s, "/"+name, http.StatusNotFound)
	}
}

func TestRow55DirectoryIsSafe(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "www")
	write(t, filepath.Join(dir, "secret"), "secret")
	write(t, filepath.Join(root, "index.html"), "index")
	write(t, filepath.Join(root, "a b.js"), "script")
	write(t, filepath.Join(root, "sub", "index.html"), "sub index")
	write(t, filepath.Join(root, "empty", "data.bin"), "data")
	write(t, filepath.Join(root, "closed"), "closed")
	for link, to := range map[string]string{
		"out": filepath.Join(dir, "secret"), "up": "..", "near": "a b.js", "loop": "loop", "relative": "../secret",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, engine.Options{}, nanonext.Directory{Path: "/static", Dir: root}, nanonext.Inline{Path: "/static/inline", Data: []byte("inline")})
	for target, want := range map[string]string{
		"/static/": "index", "/static/index.html": "index", "/static/sub/": "sub index", "/static//sub///index.html": "sub index",
		"/static/a%20b.js": "script", "/static/near": "script", "/static/empty/data.bin?x=..": "data", "/static/inline": "inline",
	} {
		if _, body := get(t, s, target, http.StatusOK); body != want {
			t.Errorf("GET %s: %q; want %q", target, body, want)
		}
	}
	for target, want := range map[string]string{
		"/static?a=b": "./static/?a=b", "/static/sub": "./sub/", "/static//evil.example/../sub": "",
	} {
		r, body := do(t, http.MethodGet, s.URL()+target, nil)
		if got := r.Header.Get("Location"); got != want || want != "" && r.StatusCode != http.StatusMovedPermanently {
			t.Errorf("GET %s: %s, location %q, %q; want %q", target, r.Status, got, body, want)
		}
	}
	for _, target := range []string{
		"/static/../secret", "/static/%2e%2e/secret", "/static/..%2fsecret", "/static/sub/../../../secret", "/static/%2e%2e%2fsecret",
		"/../secret", "/static/..", "/static/out", "/static/up/secret", "/static/relative", "/static/loop", "/static/up",
		"/static/empty/", "/static/nothing", "/static/a%20b.js/", "/static/a%20b.js/x", "/static/%00", "/staticfile",
		"/static/%252e%252e/secret", "/static/..%5csecret",
	} {
		r := raw(t, s, "GET "+target+" HTTP/1.1")
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), "secret") {
			t.Errorf("GET %s: %q, error %v", target, body, err)
		}
		if r.StatusCode != http.StatusBadRequest && r.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s; want 400 or 404", target, r.Status)
		}
	}
	if r, _ := get(t, s, "/static/a%20b.js", http.StatusOK); !strings.Contains(r.Header.Get("Content-Type"), "javascript") {
		t.Errorf("a script has type %q", r.Header.Get("Content-Type"))
	}
	if r, _ := get(t, s, "/static/empty/data.bin", http.StatusOK); r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("a file of unknown type has type %q", r.Header.Get("Content-Type"))
	}
}

func TestRow56InlineAndRedirect(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.Inline{Path: "/health", ContentType: "application/json", Data: []byte(`{"status":"ok"}`)},
		nanonext.Inline{Path: "/data", Data: []byte{0, 1}},
		nanonext.Redirect{Path: "/old", Location: "/health"},
		nanonext.Redirect{Path: "/moved", Location: "https://new.example/base?v=2", Prefix: true, Status: 308},
		nanonext.Redirect{Path: "/root", Location: "/", Prefix: true},
		nanonext.Redirect{Path: "/part", Location: "/new#sec", Prefix: true},
		nanonext.Redirect{Path: "/query", Location: "/new?v=2#a?b", Prefix: true},
	)
	if r, body := get(t, s, "/health", 200); body != `{"status":"ok"}` || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("GET /health: %q of type %q", body, r.Header.Get("Content-Type"))
	}
	if r, body := get(t, s, "/data/", 200); body != "\x00\x01" || r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("GET /data/: %q of type %q", body, r.Header.Get("Content-Type"))
	}
	for _, tt := range []struct {
		target, location string
		status           int
	}{
		{"/old?z=1", "/health?z=1", 302},
		{"/old/", "/health", 302},
		{"/moved", "https://new.example/base?v=2", 308},
		{"/moved/a%2fb/c%20d/?z=1", "https://new.example/base/a%2fb/c%20d/?v=2&z=1", 308},
		{"/part", "/new#sec", 302},
		{"/part?z=1", "/new?z=1#sec", 302},
		{"/part/x/y?z=1", "/new/x/y?z=1#sec", 302},
		{"/query/x?z=1", "/new/x?v=2&z=1#a?b", 302},
		{"/root//evil.example/x", "/evil.example/x", 302},
		{"/root/%5Cevil.example", "/%5Cevil.example", 302},
	} {
		for _, method := range []string{"GET", "POST"} {
			r, _ := do(t, method, s.URL()+tt.target, nil)
			if got := r.Header.Get("Location"); r.StatusCode != tt.status || got != tt.location {
				t.Errorf("%s %s: %s, location %q; want %d, %q", method, tt.target, r.Status, got, tt.status, tt.location)
			}
		}
	}
	get(t, s, "/old/more", http.StatusNotFound)
}

func TestRow57StatusAndHeaders(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.Func{Path: "/gone", Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Note", "one\r\nX-Evil: 1")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "nothing here")
		}},
		nanonext.Func{Path: "/any", Method: "*", Prefix: true, Serve: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Method+" "+r.URL.Path)
		}},
		nanonext.Func{Path: "/any/post", Method: "POST", Serve: func(w http.ResponseWriter, _ *http.Request) {}},
	)
	r, body := get(t, s, "/gone", http.StatusNotFound)
	if r.Status != "404 Not Found" || body != "nothing here" || r.Header.Get("X-Evil") != "" {
		t.Errorf("status %q, body %q, header %v; want 404 Not Found and no X-Evil", r.Status, body, r.Header)
	}
	if _, body := do(t, "PUT", s.URL()+"/any/where/", nil); body != "PUT /any/where/" {
		t.Errorf("PUT below a prefix: %q", body)
	}
	if r, _ := do(t, "GET", s.URL()+"/any/post", nil); r.StatusCode != 405 || r.Header.Get("Allow") != "POST" {
		t.Errorf("GET of what is there for POST: %s, Allow %q; want 405", r.Status, r.Header.Get("Allow"))
	}
}

func TestRow60UploadLimit(t *testing.T) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			http.Error(w, tooLarge.Error(), http.StatusRequestEntityTooLarge)
		}
	}
	s := start(t, engine.Options{},
		nanonext.Func{Path: "/upload", Method: "POST", MaxBodyBytes: 5 << 20, Serve: serve},
		nanonext.Func{Path: "/default", Method: "POST", Serve: serve},
		nanonext.Func{Path: "/unbounded", Method: "POST", MaxBodyBytes: -1, Serve: serve},
	)
	for _, tt := range []struct {
		path   string
		size   int
		status int
	}{
		{"/upload", 5 << 20, 200}, {"/upload", 6 << 20, 413},
		{"/default", 1 << 20, 200}, {"/default", 1<<20 + 1, 413},
		{"/unbounded", 6 << 20, 200},
	} {
		r, _ := do(t, "POST", s.URL()+tt.path, strings.NewReader(strings.Repeat("x", tt.size)))
		if r.StatusCode != tt.status {
			t.Errorf("%d bytes to %s: %s; want %d", tt.size, tt.path, r.Status, tt.status)
		}
	}
	// Without an announced length the function finds out.
	r, _ := do(t, "POST", s.URL()+"/default", io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20+1))))
	if r.StatusCode != 413 {
		t.Errorf("chunks: %s; want 413", r.Status)
	}
}

func TestRow61ServerSentEvents(t *testing.T) {
	streams, ends := make(chan *nanonext.StreamConn, 1), make(chan uint64, 1)
	s := start(t, engine.Options{}, nanonext.Stream{
		Path: "/events",
		Open: func(s *nanonext.StreamConn, _ *http.Request) {
			_ = s.SetHeader("Content-Type", "text/event-stream")
			_ = s.Send(nanonext.FormatSSE(nanonext.Event{ID: "1", Data: "connected"}))
			streams <- s
		},
		Close: func(s *nanonext.StreamConn) { ends <- s.ID() },
	})
	r, err := http.Get(s.URL() + "/events")
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer r.Body.Close()
	if got := r.Header.Get("Content-Type"); got != "text/event-stream" || len(r.TransferEncoding) == 0 {
		t.Errorf("type %q, transfer encoding %q; want an event stream in chunks", got, r.TransferEncoding)
	}
	stream, lines := receive(t, "Open", streams), bufio.NewReader(r.Body)
	expectLines(t, lines, "id: 1", "data: connected", "")
	for _, word := range []string{"as", "they", "come"} { // each is read before the next is sent
		if err := stream.Send(nanonext.FormatSSE(nanonext.Event{Data: word})); err != nil {
			t.Fatalf("Send: %v", err)
		}
		expectLines(t, lines, "data: "+word, "")
	}
	if err := stream.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Errorf("behind the end: %v; want EOF", err)
	}
	if id := receive(t, "Close", ends); id != stream.ID() {
		t.Errorf("Close of stream %d; want %d", id, stream.ID())
	}
}

func expectLines(t *testing.T, r *bufio.Reader, want ...string) {
	t.Helper()
	for _, w := range want {
		if got, err := r.ReadString('\n'); err != nil || got != w+"\n" {
			t.Fatalf("got line %q, error %v; want %q", got, err, w)
		}
	}
}
