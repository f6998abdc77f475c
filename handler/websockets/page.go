package websockets

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/weirws/weir/handler"
)

const htmlType = "text/html; charset=utf-8"

// ErrStatus is returned by Response.Send for a status outside 200 to 599.
var ErrStatus = errors.New("websockets: bad status")

// StaticFile is a page that answers every request with a file, which is read each time:
// a file that has changed is sent as it is now, one that is not there is 404.
func StaticFile(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := os.Stat(name)
		if err == nil && !info.Mode().IsRegular() {
			err = fs.ErrNotExist // opening a pipe could wait for ever
		}
		if err != nil {
			http.NotFound(w, r)
			return
		}
		f, err := os.Open(name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		w.Header().Set("Cache-Control", "no-store")
		http.ServeContent(w, r, name, time.Time{}, f)
	})
}

// StaticText is a page that answers every request with the same HTML.
func StaticText(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", htmlType)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	})
}

// Response is an answer of a page function, to be sent at once.
type Response struct {
	// Status is 200 to 599. Default: 200.
	Status int
	// ContentType of Content. Default: text/html; charset=utf-8.
	ContentType string
	// Content is the body.
	Content []byte
	// Header has further fields. Their names consist of letters, digits and hyphens.
	Header http.Header
}

// Send sends the response. It returns ErrStatus, and handler.ErrBadHeader for a field
// with another name or with a control character in its value; then nothing was sent.
func (r Response) Send(w http.ResponseWriter) error {
	status := cmp.Or(r.Status, http.StatusOK)
	if status < 200 || status > 599 {
		return fmt.Errorf("%w %d", ErrStatus, status)
	}
	contentType := cmp.Or(r.ContentType, htmlType)
	if !isFieldValue(contentType) {
		return fmt.Errorf("%w %q", handler.ErrBadHeader, "Content-Type")
	}
	for name, values := range r.Header {
		for _, value := range values {
			if !isFieldName(name) || !isFieldValue(value) {
				return fmt.Errorf("%w %q", handler.ErrBadHeader, name)
			}
		}
	}
	for name, values := range r.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, err := bytes.NewReader(r.Content).WriteTo(w)
	return err
}

func isFieldName(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

func isFieldValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
