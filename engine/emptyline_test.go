package engine_test

import (
	"net/http"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// RFC 9112 section 2.2: a server ignores empty lines before a request.
func TestEmptyLinesBeforeRequest(t *testing.T) {
	tests := []struct {
		name   string
		before string
		status int
	}{
		{"one", "\r\n", 101},
		{"several", "\r\n\r\n\r\n", 101},
		{"CR alone", "\r", 400},
		{"LF alone", "\n", 400},
		{"CR before an empty line", "\r\r\n", 400},
		{"a space", " ", 400},
	}
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	for _, tt := range tests {
		request := append([]byte(tt.before), upgrade("/")...)
		t.Run(tt.name, func(t *testing.T) {
			c := dialTCP(t, e)
			c.put(t, request)
			c.expectStatus(t, tt.status)
		})
		t.Run(tt.name+", byte by byte", func(t *testing.T) {
			c := dialTCP(t, e)
			for _, b := range request {
				if _, err := c.Write([]byte{b}); err != nil {
					break // it has been refused
				}
			}
			c.expectStatus(t, tt.status)
		})
	}
}

func TestEmptyLineBeforePlainRequest(t *testing.T) {
	e := startEngine(t, engine.Options{HTTP: http.NotFoundHandler()})
	c := dialTCP(t, e)
	c.put(t, []byte("\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	c.expectStatus(t, http.StatusNotFound)
}
