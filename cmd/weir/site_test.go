package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
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

// TestSiteEndsSlowRequests has clients that would hold their connections for ever: the server
// waited for the rest of bodies before it answered, and for answers to be read.
func TestSiteEndsSlowRequests(t *testing.T) {
	site := newSite(func() bool { return true }, nil)
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", HTTP: hurried(site, 100*time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	connect := func() net.Conn {
		c, err := net.Dial("tcp", e.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for request, want := range map[string]string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf":                    "HTTP/1.1 405 ",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf":         "HTTP/1.1 200 ",
		"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nwholeGET / HTTP/1.1": "HTTP/1.1 200 ",
	} {
		c := connect()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, len(want))
		if _, err := io.ReadFull(c, answer); err != nil || string(answer) != want {
			t.Errorf("%q: %q, %v; want %q", request, answer, err, want)
		}
	}
	c := connect()
	for err == nil { // until the server has ended the connection
		_, err = io.WriteString(c, "GET /chat.js HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Error("a client that reads no answers is kept")
	}
}
