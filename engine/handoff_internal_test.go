package engine

import (
	"errors"
	"net"
	"testing"
)

// What waits when the HTTP server stops listening is still served.
func TestAcceptEmptiesItsQueue(t *testing.T) {
	const n = 64
	h := &httpSide{queue: make(chan *httpConn, n), listening: make(chan struct{})}
	for range n {
		h.waiting.Add(1)
		h.queue <- new(httpConn)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := h.Accept(); err != nil {
			t.Fatalf("Accept: %v after %d of %d connections", err, i, n)
		}
	}
	if _, err := h.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v; want net.ErrClosed", err)
	}
}
