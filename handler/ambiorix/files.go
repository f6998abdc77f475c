package ambiorix

import (
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Dir is the files below a directory, as they are when they are asked for. What a
// symbolic link leads to outside of it does not exist.
func Dir(name string) fs.FS { return directory(name) }

type directory string

// Stat implements fs.StatFS. Without it fs.Stat would open the file, and wait for ever if
// that is a named pipe.
func (d directory) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Stat(filepath.FromSlash(name))
}

// Open implements fs.FS. It opens the directory each time, so that one which has been
// replaced is noticed.
func (d directory) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := os.OpenInRoot(string(d), filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Static serves files below a path: Static("/static", Dir("www")) answers
// /static/page.css with the file www/page.css. A directory is answered with its
// index.html, and never listed. Browsers are told to ask whether a file has changed
// each time. It panics as Handle does.
//
// Files may be embedded; use Dir, and not os.DirFS, for a directory, since that
// follows symbolic links to anywhere.
func (a *App) Static(uri string, files fs.FS) {
	prefix := cleanPrefix(uri)
	serve := func(w http.ResponseWriter, r *http.Request) { serveBelow(w, r, files) }
	a.Handle(prefix, http.StripPrefix(strings.TrimSuffix(prefix, "/"), readOnly(serve)))
}

// serveBelow serves the file whose name is the path of the request.
func serveBelow(w http.ResponseWriter, r *http.Request, files fs.FS) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "."
	}
	isDir := false
	if info, err := fs.Stat(files, name); err == nil {
		isDir = info.IsDir()
	}
	slash := strings.HasSuffix(r.URL.Path, "/")
	switch {
	case isDir && !slash && name != ".": // else the links of the page would lead elsewhere
		target := url.URL{Path: path.Base(name) + "/", RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", "./"+target.String())
		w.WriteHeader(http.StatusMovedPermanently)
	case isDir:
		SendFile(w, r, files, path.Join(name, "index.html"))
	case slash:
		http.NotFound(w, r)
	default:
		SendFile(w, r, files, name)
	}
}

// cleanPrefix is a path with a slash at both ends.
func cleanPrefix(uri string) string {
	return strings.TrimSuffix(path.Clean("/"+uri), "/") + "/"
}

// readOnly serves GET and HEAD. The method is no part of the pattern because
// http.ServeMux would call "GET /" and "/other" a conflict.
func readOnly(f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method must be GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		f(w, r)
	})
}

// SendFile answers a request with one file, as it is now: its MIME type is that of the
// extension, unless the header has one, and application/octet-stream if the extension
// says nothing. Conditional and range requests are served. A file that cannot be read,
// a directory or a named pipe too, is answered 404.
func SendFile(w http.ResponseWriter, r *http.Request, files fs.FS, name string) {
	// Asked before it is opened, too: opening a pipe could wait for ever.
	if info, err := fs.Stat(files, strings.TrimPrefix(name, "/")); err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	f, err := http.FS(files).Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	if ext := path.Ext(name); h.Get("Content-Type") == "" && mime.TypeByExtension(ext) == "" {
		h.Set("Content-Type", "application/octet-stream") // else net/http guesses: an upload may look like HTML
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	if modified := info.ModTime(); !modified.IsZero() {
		h.Set("ETag", fmt.Sprintf(`"%x-%x"`, modified.UnixNano(), info.Size()))
	}
	// No Last-Modified: it counts in seconds, and a second change within one would not be
	// seen.
	http.ServeContent(w, r, name, time.Time{}, f)
}
