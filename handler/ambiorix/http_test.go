package ambiorix_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/weirws/weir/handler/ambiorix"
)

// writeFile writes a file, and the directories it is in.
func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rawGet requests a path as it is written and returns the status.
func rawGet(t testing.TB, address, path string) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

func TestRow41BrowserClientServed(t *testing.T) {
	app := newApp(t, ambiorix.Options{})
	app.ServeClient("static/")
	app.Static("/static", fstest.MapFS{"ambiorix.js": {Data: []byte("an old copy")}, "page.css": {Data: []byte("b{}")}})
	address := start(t, app)
	for _, tt := range []struct {
		path, mime string
		want       []byte
	}{
		{"/static/ambiorix.js", "text/javascript; charset=utf-8", ambiorix.Script()},
		{"/static/ambiorix.mjs", "text/javascript; charset=utf-8", ambiorix.Module()},
		{"/static/ambiorix.d.mts", "text/plain; charset=utf-8", ambiorix.Types()},
		{"/static/page.css", "text/css; charset=utf-8", []byte("b{}")},
	} {
		r, body := get(t, address, tt.path)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != tt.mime || body != string(tt.want) {
			t.Errorf("%s: status %d, %s, %d bytes; want %s, %d bytes", tt.path, r.StatusCode, r.Header.Get("Content-Type"), len(body), tt.mime, len(tt.want))
		}
	}
	if !bytes.Contains(ambiorix.Script(), []byte("class Ambiorix")) || !bytes.Contains(ambiorix.Module(), []byte("export { Ambiorix")) {
		t.Error("script or module without the class")
	}
}

func TestRow54StaticFileAlwaysFresh(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.html")
	app := newApp(t, ambiorix.Options{})
	app.Static("/static", ambiorix.Dir(dir))
	app.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		ambiorix.SendFile(w, r, ambiorix.Dir(dir), "page.html")
	})
	address := start(t, app)
	when := time.Unix(1_800_000_000, 0)
	tags := map[string]string{}
	for i, content := range []string{"<p>one", "<p>two", "<p>three"} {
		writeFile(t, page, content)
		when = when.Add(time.Duration(i) * time.Millisecond) // within the second of Last-Modified
		if err := os.Chtimes(page, when, when); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/static/page.html", "/"} {
			r, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("If-Modified-Since", when.UTC().Format(http.TimeFormat))
			if tags[path] != "" {
				r.Header.Set("If-None-Match", tags[path])
			}
			response, body := request(t, r)
			if response.StatusCode != 200 || body != content || response.Header.Get("Cache-Control") != "no-cache" || response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s: status %d, %q, %v; want %q", path, response.StatusCode, body, response.Header, content)
			}
			tags[path] = response.Header.Get("ETag")
			r.Header.Set("If-None-Match", tags[path])
			if response, body := request(t, r); response.StatusCode != http.StatusNotModified || body != "" {
				t.Errorf("%s unchanged: status %d, %q; want 304", path, response.StatusCode, body)
			}
		}
	}
}

func TestRow55StaticDirectorySafe(t *testing.T) {
	top := t.TempDir()
	writeFile(t, filepath.Join(top, "x"), "secret")
	writeFile(t, filepath.Join(top, "www2", "x"), "secret")
	www := filepath.Join(top, "www")
	writeFile(t, filepath.Join(www, "sub", "page.txt"), "fine")
	for link, target := range map[string]string{
		"out": "../x", "absolute": filepath.Join(top, "x"), "outdir": "..", "in": "sub/page.txt", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(www, link)); err != nil {
			t.Fatal(err)
		}
	}
	app := newApp(t, ambiorix.Options{})
	app.Static("/static", ambiorix.Dir(www))
	app.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "another page") })
	address := start(t, app)
	for _, path := range []string{
		"/static/../x", "/static/%2e%2e/x", "/static/..%2fx", "/static/%2e%2e%2fx", "/static/sub/../../x", "/static/sub/..%2f..%2f..%2fx", "/static/..",
		"/static/..%5cx", "/static/out", "/static/absolute", "/static/outdir/x", "/static/outdir/www2/x", "/static/loop", "/static/x%00", "/static/%2fetc/passwd",
		"/static/", "/static/sub/", "/static/sub/page.txt/", "/static/nothing", "/static/sub/page.txt/more",
	} {
		switch status := rawGet(t, address, path); status {
		case 400, 403, 404:
		default:
			t.Errorf("GET %s: status %d; want 400, 403 or 404", path, status)
		}
	}
	for _, path := range []string{"/static/sub/page.txt", "/static/in", "/static/sub/%70age.txt"} {
		if r, body := get(t, address, path); r.StatusCode != 200 || body != "fine" {
			t.Errorf("GET %s: status %d, %q; want the file", path, r.StatusCode, body)
		}
	}
}

// A named pipe is no file to serve, nor is it opened: that waited for a writer for ever.
func TestNamedPipeIsNotFound(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe", "sub/index.html"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("pipe", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	app := newApp(t, ambiorix.Options{})
	app.Static("/static", ambiorix.Dir(dir))
	app.Static("/other", os.DirFS(dir))
	app.HandleFunc("/pipe", func(w http.ResponseWriter, r *http.Request) { ambiorix.SendFile(w, r, ambiorix.Dir(dir), "pipe") })
	address := start(t, app)
	for _, path := range []string{"/static/pipe", "/static/pipe/", "/static/link", "/static/sub/", "/other/pipe", "/pipe"} {
		if status := rawGet(t, address, path); status != http.StatusNotFound {
			t.Errorf("GET %s: status %d; want 404", path, status)
		}
	}
}

func TestStaticDirectories(t *testing.T) {
	app := newApp(t, ambiorix.Options{})
	app.Static("/", fstest.MapFS{
		"index.html":       {Data: []byte("top")},
		"a b/index.html":   {Data: []byte("below")},
		"data.unknown-ext": {Data: []byte("<script>")},
		"empty/file":       {},
	})
	app.HandleFunc("GET /api", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "api") })
	address := start(t, app)
	for _, tt := range []struct {
		path     string
		status   int
		body     string
		location string
	}{
		{"/", 200, "top", ""},
		{"/index.html", 200, "top", ""},
		{"/a%20b/", 200, "below", ""},
		{"/a%20b?x=1", 301, "", "./a%20b/?x=1"},
		{"/api", 200, "api", ""},
		{"/empty/", 404, "404 page not found\n", ""},
		{"/data.unknown-ext", 200, "<script>", ""},
	} {
		r, body := get(t, address, tt.path)
		if r.StatusCode != tt.status || body != tt.body || r.Header.Get("Location") != tt.location {
			t.Errorf("%s: status %d, %q, Location %q; want %d, %q, %q", tt.path, r.StatusCode, body, r.Header.Get("Location"), tt.status, tt.body, tt.location)
		}
	}
	if r, _ := get(t, address, "/data.unknown-ext"); r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("Content-Type %s of a file whose extension says nothing", r.Header.Get("Content-Type"))
	}
	post, err := http.NewRequest(http.MethodPost, "http://"+address+"/index.html", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := request(t, post); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

// newUploads makes an App that answers with what it was posted: the form as JSON, or
// the size of the body.
func newUploads(t testing.TB, o ambiorix.Options) *ambiorix.App {
	app := newApp(t, o)
	app.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			return // of no matter: too large is answered all the same
		}
		if err := json.NewEncoder(w).Encode(r.PostForm); err != nil {
			t.Errorf("Encode: %v", err)
		}
	})
	app.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-size")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, n, err)
		w.(http.Flusher).Flush()
	})
	app.HandleFunc("POST /ignored", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "not read") })
	app.HandleFunc("POST /early", func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Errorf("EnableFullDuplex: %v", err)
		}
		w.WriteHeader(http.StatusAccepted)
		w.(http.Flusher).Flush()
		_, err := io.Copy(io.Discard, r.Body)
		_, tooLarge := errors.AsType[*http.MaxBytesError](err)
		fmt.Fprint(w, "too large: ", tooLarge)
	})
	return app
}

// post sends a body, with its length announced or in chunks.
func post(t testing.TB, address, path, mime string, body io.Reader, chunked bool) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if chunked {
		r.ContentLength = -1
	}
	r.Header.Set("Content-Type", mime)
	return request(t, r)
}

const formMIME = "application/x-www-form-urlencoded"

func TestRow59FormPost(t *testing.T) {
	address := start(t, newUploads(t, ambiorix.Options{MaxBodyBytes: 1000}))
	for _, chunked := range []bool{false, true} {
		r, body := post(t, address, "/form", formMIME, strings.NewReader("x=1&y=a%20b+c&empty=&k=a=b&x=2"), chunked)
		want := `{"empty":[""],"k":["a=b"],"x":["1","2"],"y":["a b c"]}` + "\n"
		if r.StatusCode != 200 || body != want {
			t.Errorf("chunked %v: status %d, %s; want %s", chunked, r.StatusCode, body, want)
		}
		large := url.Values{"x": {strings.Repeat("a", 1000)}}.Encode()
		r, body = post(t, address, "/form", formMIME, strings.NewReader(large), chunked)
		if r.StatusCode != 413 || body != "Maximum upload size exceeded\n" {
			t.Errorf("chunked %v, over the limit: status %d, %q", chunked, r.StatusCode, body)
		}
	}
}

func TestRow60UploadLimit(t *testing.T) {
	address := start(t, newUploads(t, ambiorix.Options{}))
	const limit = 5 << 20
	for _, chunked := range []bool{false, true} {
		for _, tt := range []struct {
			size   int
			status int
			body   string
			mime   string
		}{
			{0, 202, "0 <nil>", "application/x-size"},
			{limit, 202, fmt.Sprint(limit, " <nil>"), "application/x-size"},
			{limit + 1, 413, "Maximum upload size exceeded\n", "text/plain; charset=utf-8"},
			{6 << 20, 413, "Maximum upload size exceeded\n", "text/plain; charset=utf-8"},
		} {
			r, body := post(t, address, "/upload", "text/plain", bytes.NewReader(make([]byte, tt.size)), chunked)
			if r.StatusCode != tt.status || body != tt.body || r.Header.Get("Content-Type") != tt.mime {
				t.Errorf("%d bytes, chunked %v: status %d, %q, %s; want %d, %q, %s",
					tt.size, chunked, r.StatusCode, body, r.Header.Get("Content-Type"), tt.status, tt.body, tt.mime)
			}
		}
	}
	if r, body := post(t, address, "/early", "text/plain", bytes.NewReader(make([]byte, limit+1)), true); r.StatusCode != 202 || body != "too large: true" {
		t.Errorf("limit met after the response began: status %d, %q", r.StatusCode, body)
	}
	if r, body := post(t, address, "/ignored", "text/plain", bytes.NewReader(make([]byte, 1000)), true); r.StatusCode != 200 || body != "not read" {
		t.Errorf("body not read: status %d, %q", r.StatusCode, body)
	}
}

func TestUploadWithoutLimit(t *testing.T) {
	address := start(t, newUploads(t, ambiorix.Options{MaxBodyBytes: -1}))
	const size = 6 << 20
	for _, chunked := range []bool{false, true} {
		r, body := post(t, address, "/upload", "text/plain", bytes.NewReader(make([]byte, size)), chunked)
		if want := fmt.Sprint(size, " <nil>"); r.StatusCode != 202 || body != want {
			t.Errorf("chunked %v: status %d, %q; want %s", chunked, r.StatusCode, body, want)
		}
	}
}

// TestRoutesBesideClients: a page and named messages on one port, and on one path.
func TestRoutesBesideClients(t *testing.T) {
	app := greeter(t)
	app.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "clients: ", app.Count(""))
	})
	address := start(t, app)
	p := join(t, address)
	if r, body := get(t, address, "/"); r.StatusCode != 200 || body != "clients: 1" {
		t.Errorf("status %d, %q; want clients: 1", r.StatusCode, body)
	}
	if r, _ := get(t, address, "/nothing"); r.StatusCode != 404 {
		t.Errorf("unknown path: status %d; want 404", r.StatusCode)
	}
	p.expectNothing(t)
}
