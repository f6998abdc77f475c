package nanonext

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
)

// TestBodyTime has a shorter time for bodies than there is for those of applications.
func TestBodyTime(t *testing.T) {
	const short = 100 * time.Millisecond
	ends := make(chan error, 1)
	s, err := NewServer("http://127.0.0.1:0", engine.Options{},
		Func{Path: "/func", Method: "POST", Serve: func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			ends <- err
			w.WriteHeader(http.StatusRequestTimeout)
		}},
		Func{Path: "/long", Method: "POST", Serve: func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				ends <- err
				return
			}
			select { // the time is for the body, and not for the answer
			case <-r.Context().Done():
				ends <- r.Context().Err()
			case <-time.After(3 * short):
				ends <- nil
			}
		}},
		Func{Path: "/patient", Method: "POST", Serve: func(w http.ResponseWriter, r *http.Request) {
			ends <- http.NewResponseController(w).SetReadDeadline(time.Time{})
			_, _ = io.Copy(w, r.Body)
		}},
		Stream{Path: "/stream", Open: func(*StreamConn, *http.Request) {}, Close: func(*StreamConn) { ends <- nil }},
		Redirect{Path: "/redirect", Location: "/"},
	)
	if err != nil {
		t.Fatalf("NewServer: %v", err)
	}
	s.options.HTTP.(*router).bodyTime = short
	if err := s.Start(); err != nil {
		t.Fatalf("Start: %v", err)
	}
	defer s.Close()
	for _, tt := range []struct {
		path   string
		rest   string        // of the body
		wait   time.Duration // before the rest
		status int
		ends   []error // of which the handler tells
	}{
		{"/func", "", 0, http.StatusRequestTimeout, []error{os.ErrDeadlineExceeded}},
		{"/stream", "", 0, http.StatusRequestTimeout, []error{nil}},
		{"/redirect", "", 0, http.StatusFound, nil},
		{"/none", "", 0, http.StatusNotFound, nil},
		{"/func?long", "world", 0, http.StatusRequestTimeout, []error{nil}},
		{"/long", "world", 0, http.StatusOK, []error{nil}},
		{"/patient", "world", 3 * short, http.StatusOK, []error{nil}},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // within 30 s
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello", tt.path)
		if tt.wait > 0 {
			_, _ = io.WriteString(conn, head)
			head = ""
			<-time.After(tt.wait) // what is tested is that time passes
		}
		_, _ = io.WriteString(conn, head+tt.rest)
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || r.StatusCode != tt.status {
			t.Fatalf("POST %s: %+v, error %v; want %d", tt.path, r, err, tt.status)
		}
		for _, want := range tt.ends {
			select {
			case got := <-ends:
				if !errors.Is(got, want) {
					t.Errorf("POST %s: %v; want %v", tt.path, got, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("POST %s: the handler does not end", tt.path)
			}
		}
	}
}
