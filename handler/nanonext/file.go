package nanonext

import (
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
)

const octetStream = "application/octet-stream"

// File answers GET with a file, which is read on every request: a file that is not
// there, or is no regular one, is 404 until it is. A symbolic link stands for what it
// leads to, wherever that is.
type File struct {
	// Path, percent-decoded.
	Path string
	// Prefix serves all paths below Path as well.
	Prefix bool
	// File is the name of the file.
	File string
}

func (h File) register(r *router) error {
	return r.add(h.Path, h.Prefix, http.MethodGet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serveFile(w, r, h.File, os.Stat, os.Open)
	}))
}

// Directory answers GET of Path and all paths below it with the files of a directory,
// and with index.html for a directory in it. There are no listings. Nothing outside of
// Dir is served: a symbolic link that leads out is 404.
type Directory struct {
	// Path, percent-decoded.
	Path string
	// Dir is the name of the directory. It is looked up for every request, so it may
	// come later, or be replaced as a whole.
	Dir string
}

func (h Directory) register(r *router) error {
	return r.add(h.Path, true, http.MethodGet, http.HandlerFunc(h.serve))
}

func (h Directory) serve(w http.ResponseWriter, r *http.Request) {
	root, err := os.OpenRoot(h.Dir)
	if err != nil {
		refuseFile(w, err)
		return
	}
	defer root.Close()
	rest := below(r, h.Path).Path
	name := strings.TrimPrefix(path.Clean("/"+rest), "/")
	info, err := root.Stat(path.Join(".", name))
	switch slash := strings.HasSuffix(rest, "/"); {
	case err != nil:
		refuseFile(w, err)
	case info.IsDir() && !slash:
		// Links on the page are relative to the directory.
		addSlash(w, r)
	case info.IsDir():
		serveFile(w, r, path.Join(name, "index.html"), root.Stat, root.Open)
	case slash:
		refuseFile(w, fs.ErrNotExist)
	default:
		serveFile(w, r, name, root.Stat, root.Open)
	}
}

// addSlash redirects to the same path with a slash at its end.
func addSlash(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: "./" + path.Base(r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusMovedPermanently)
}

var errNotRegular = fmt.Errorf("nanonext: not a regular file: %w", fs.ErrNotExist)

// serveFile answers with a file. stat and open are those of package os, or of an os.Root.
func serveFile(w http.ResponseWriter, r *http.Request, name string,
	stat func(string) (os.FileInfo, error), open func(string) (*os.File, error)) {
	info, err := stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular // opening a pipe could wait for ever
	}
	if err != nil {
		refuseFile(w, err)
		return
	}
	f, err := open(name)
	if err != nil {
		refuseFile(w, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", contentType(name))
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// Last-Modified alone has a resolution of a second.
	w.Header().Set("ETag", fmt.Sprintf(`W/"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(w, r, name, info.ModTime(), f)
}

// refuseFile answers for a file that cannot be opened. That a path leads out of the
// directory is no news either.
func refuseFile(w http.ResponseWriter, err error) {
	if errors.Is(err, fs.ErrPermission) {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	http.Error(w, "not found", http.StatusNotFound)
}

// contentTypes are those that the mime package may not know: it depends on the system.
var contentTypes = map[string]string{
	".ico":   "image/x-icon",
	".md":    "text/markdown; charset=utf-8",
	".mp3":   "audio/mpeg",
	".mp4":   "video/mp4",
	".ogg":   "audio/ogg",
	".txt":   "text/plain; charset=utf-8",
	".wav":   "audio/wav",
	".webm":  "video/webm",
	".woff":  "font/woff",
	".woff2": "font/woff2",
}

// contentType goes by the extension alone: what a file seems to contain is up to who
// wrote it.
func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t, ok := contentTypes[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return octetStream
}
