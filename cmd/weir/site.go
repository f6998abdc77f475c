package main

import (
	"embed"
	"io"
	"io/fs"
	"net/http"
)

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
