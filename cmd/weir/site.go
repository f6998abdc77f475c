package main

import (
	"embed"
	"io"
	"io/fs"
	"net/http"
	"time"
)

// requestTime is how long the body of a request may take, and its answer as much again: a
// publication has no more than --max-message, and pages less.
const requestTime = 30 * time.Second

//go:embed page
var pageFiles embed.FS

// newSite serves what is no WebSocket: the chat page, the health checks, and what the feed
// has, if there is one. ready reports whether the server takes connections.
func newSite(ready func() bool, f *feedServer) http.Handler {
	m := http.NewServeMux()
	addFiles(m, map[string]string{"/{$}": "index.html", "/chat.css": "chat.css", "/chat.js": "chat.js"})
	f.addPages(m)
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			answer(w, http.StatusServiceUnavailable, "draining")
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	return m
}

// hurried has requests end in time. Otherwise anybody could hold connections with bodies that
// do not end, even those of requests that are refused, or by not reading the answers.
func hurried(h http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now, c := time.Now(), http.NewResponseController(w)
		_ = c.SetReadDeadline(now.Add(limit)) // a connection that has ended needs none
		_ = c.SetWriteDeadline(now.Add(2 * limit))
		h.ServeHTTP(w, r)
	})
}

// addFiles serves files of the page's directory under their paths.
func addFiles(m *http.ServeMux, files map[string]string) {
	page, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	for path, file := range files {
		m.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			secure(w.Header())
			http.ServeFileFS(w, r, page, file)
		})
	}
}

// secure lets the page use nothing but what this server serves.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that has gone is no matter
}
