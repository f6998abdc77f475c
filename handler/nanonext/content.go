package nanonext

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weirws/weir/handler"
)

// ErrRedirect is returned by NewServer for a Redirect without a Location, or with a
// Status that is none of 301, 302, 303, 307 and 308.
var ErrRedirect = errors.New("nanonext: bad redirect")

// Func serves one path, or all below it, with a function of net/http.
type Func struct {
	// Path, percent-decoded.
	Path string
	// Method is the one answered; others get 405. GET answers HEAD too. Default: GET.
	// "*": any.
	Method string
	// Prefix serves all paths below Path as well.
	Prefix bool
	// MaxBodyBytes bounds the body of a request. One that announces more gets 413, and
	// reading beyond it is an *http.MaxBytesError. Default: 1 MiB. Negative: no bound.
	MaxBodyBytes int64
	// Serve answers the request, on a goroutine of net/http. The body that it reads has 30 s
	// to arrive; then reading is os.ErrDeadlineExceeded. For longer uploads Serve begins
	// with http.ResponseController.SetReadDeadline.
	Serve http.HandlerFunc
}

func (h Func) register(r *router) error {
	if h.Serve == nil {
		return fmt.Errorf("%w: %q", handler.ErrNilHandler, h.Path)
	}
	return r.add(h.Path, h.Prefix, cmp.Or(h.Method, http.MethodGet), limitBody(h.Serve, h.MaxBodyBytes))
}

// Inline answers GET with bytes that do not change.
type Inline struct {
	// Path, percent-decoded.
	Path string
	// Prefix serves all paths below Path as well.
	Prefix bool
	// ContentType of Data. Default: application/octet-stream.
	ContentType string
	// Data is not to be modified.
	Data []byte
}

func (h Inline) register(r *router) error {
	contentType := cmp.Or(h.ContentType, octetStream)
	return r.add(h.Path, h.Prefix, http.MethodGet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.Data))
	}))
}

// Redirect sends clients elsewhere, whatever the method.
type Redirect struct {
	// Path, percent-decoded.
	Path string
	// Prefix redirects all paths below Path as well: what follows Path is appended to
	// the path of Location.
	Prefix bool
	// Location is a path or a URL. The query of the request is appended to its own; a
	// fragment stays at the end.
	Location string
	// Status is 301, 302, 303, 307 or 308. Default: 302.
	Status int
}

func (h Redirect) register(r *router) error {
	h.Status = cmp.Or(h.Status, http.StatusFound)
	if !redirects(h.Status) || h.Location == "" {
		return fmt.Errorf("%w: %q to %q with %d", ErrRedirect, h.Path, h.Location, h.Status)
	}
	return r.add(h.Path, h.Prefix, anyMethod, http.HandlerFunc(h.serve))
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func (h Redirect) serve(w http.ResponseWriter, r *http.Request) {
	location, fragment, _ := strings.Cut(h.Location, "#")
	location, query, _ := strings.Cut(location, "?")
	// Without its slashes, since //host would lead to another one.
	rest := strings.TrimLeft(below(r, h.Path).EscapedPath(), "/")
	if rest != "" {
		location = strings.TrimSuffix(location, "/") + "/" + rest
	}
	switch {
	case query == "":
		query = r.URL.RawQuery
	case r.URL.RawQuery != "":
		query += "&" + r.URL.RawQuery
	}
	if query != "" {
		location += "?" + query
	}
	if fragment != "" {
		location += "#" + fragment
	}
	http.Redirect(w, r, location, h.Status)
}

// below is the part of the request's path that follows path.
func below(r *http.Request, path string) *url.URL {
	u := &url.URL{Path: strings.TrimPrefix(r.URL.Path, key(path))}
	if raw, ok := strings.CutPrefix(r.URL.RawPath, key(path)); ok {
		u.RawPath = raw // counts only if it is an encoding of Path
	}
	return u
}
