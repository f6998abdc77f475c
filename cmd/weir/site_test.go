package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSite(t *testing.T) {
	up := func() bool { return true }
	down := func() bool { return false }
	tests := []struct {
		name         string
		method, path string
		ready        func() bool
		status       int
		contentType  string
		body         string
	}{
		{"page", "GET", "/", up, 200, "text/html; charset=utf-8", "<title>Weir chat</title>"},
		{"page, HEAD", "HEAD", "/", up, 200, "text/html; charset=utf-8", ""},
		{"script", "GET", "/chat.js", up, 200, "text/javascript; charset=utf-8", "new WebSocket"},
		{"style", "GET", "/chat.css", up, 200, "text/css; charset=utf-8", "prefers-color-scheme: dark"},
		{"alive", "GET", "/healthz", up, 200, "text/plain; charset=utf-8", "alive"},
		{"alive while draining", "GET", "/healthz", down, 200, "text/plain; charset=utf-8", "alive"},
		{"ready", "GET", "/readyz", up, 200, "text/plain; charset=utf-8", "ready"},
		{"not ready while draining", "GET", "/readyz", down, 503, "text/plain; charset=utf-8", "draining"},
		{"page while draining", "GET", "/", down, 200, "text/html; charset=utf-8", "Weir"},
		{"nothing there", "GET", "/nothing", up, 404, "text/plain; charset=utf-8", "not found"},
		{"below a file", "GET", "/healthz/x", up, 404, "text/plain; charset=utf-8", "not found"},
		{"the files' directory", "GET", "/page/index.html", up, 404, "text/plain; charset=utf-8", "not found"},
		{"out of the directory", "GET", "/../main.go", up, 307, "text/html; charset=utf-8", `"/main.go"`},
		{"wrong method", "POST", "/", up, 405, "text/plain; charset=utf-8", "Not Allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			newSite(tt.ready, nil).ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, http.NoBody))
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.contentType || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%s %s: %d, %q, %.200q; want %d, %q, %q", tt.method, tt.path,
					w.Code, w.Header().Get("Content-Type"), w.Body, tt.status, tt.contentType, tt.body)
			}
		})
	}
}
