package nanonext_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

// half sends a request that announces 10 bytes of body and has 5.
func half(t *testing.T, s *nanonext.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address(t, s))
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("SetDeadline: %v", err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello"); err != nil {
		t.Fatalf("write: %v", err)
	}
	return conn
}

// A client that does not finish its request held the stream for ever: nothing ended it, nor
// was Close called.
func TestStreamEndsInUnfinishedBody(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(t *testing.T, s *streamServer, c *nanonext.StreamConn, client net.Conn)
		status int // 0: no response
		body   string
	}{
		{"by the application", func(t *testing.T, _ *streamServer, c *nanonext.StreamConn, _ net.Conn) {
			if err := errors.Join(c.Send([]byte("piece")), c.Close()); err != nil {
				t.Errorf("Send and Close: %v", err)
			}
		}, http.StatusOK, "piece"},
		{"by the server", func(t *testing.T, s *streamServer, _ *nanonext.StreamConn, _ net.Conn) {
			if err := s.Server.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}, http.StatusRequestTimeout, ""},
		{"by the server behind what is queued", func(t *testing.T, s *streamServer, c *nanonext.StreamConn, _ net.Conn) {
			if err := errors.Join(c.Send([]byte("piece")), s.Server.Close()); err != nil {
				t.Errorf("Send and Close: %v", err)
			}
		}, http.StatusOK, "piece"},
		{"by its queue", func(t *testing.T, _ *streamServer, c *nanonext.StreamConn, _ net.Conn) {
			piece := make([]byte, 1<<20)
			if err := errors.Join(c.Send(piece), c.Send(piece)); !errors.Is(err, handler.ErrSlowConsumer) {
				t.Errorf("two times what may wait: %v; want ErrSlowConsumer", err)
			}
		}, 0, ""},
		{"by the client", func(t *testing.T, _ *streamServer, _ *nanonext.StreamConn, client net.Conn) {
			if err := client.(*net.TCPConn).CloseWrite(); err != nil {
				t.Errorf("CloseWrite: %v", err)
			}
		}, http.StatusBadRequest, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startStream(t, engine.Options{OutboxHardBytes: 1 << 20, OutboxSoftBytes: 1 << 10})
			client := half(t, s.Server)
			c, begin := receive(t, "Open", s.opened), time.Now()
			tt.end(t, s, c, client)
			if receive(t, "Close", s.closed) != c {
				t.Error("Close of another stream")
			}
			if took := time.Since(begin); took > patience/3 {
				t.Errorf("Close after %v; want it at once", took)
			}
			r, err := http.ReadResponse(bufio.NewReader(client), nil)
			if tt.status == 0 {
				if err == nil {
					t.Errorf("status %s; want no response", r.Status)
				}
				return
			}
			if err != nil {
				t.Fatalf("reading the response: %v", err)
			}
			if body, err := io.ReadAll(r.Body); r.StatusCode != tt.status || string(body) != tt.body || err != nil {
				t.Errorf("status %s, body %q, error %v; want %d, %q", r.Status, body, err, tt.status, tt.body)
			}
		})
	}
}

// A body that comes late, but in time, is no end: the stream begins behind it, and sees its
// client leave.
func TestStreamBehindLateBody(t *testing.T) {
	s := startStream(t, engine.Options{})
	client := half(t, s.Server)
	c := receive(t, "Open", s.opened)
	if err := c.Send([]byte("piece\n")); err != nil {
		t.Errorf("Send: %v", err)
	}
	if _, err := io.WriteString(client, "world"); err != nil {
		t.Fatalf("the rest: %v", err)
	}
	r, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	lines := bufio.NewReader(r.Body)
	expectLines(t, lines, "piece")
	if err := c.Send([]byte("another\n")); err != nil {
		t.Errorf("Send: %v", err)
	}
	expectLines(t, lines, "another")
	_ = client.Close()
	if receive(t, "Close", s.closed) != c {
		t.Error("Close of another stream")
	}
}

func TestStreamBodyTooLarge(t *testing.T) {
	ends := make(chan uint64, 1)
	s := start(t, engine.Options{}, nanonext.Stream{
		Path: "/", MaxBodyBytes: 5,
		Open:  func(*nanonext.StreamConn, *http.Request) {},
		Close: func(c *nanonext.StreamConn) { ends <- c.ID() },
	})
	// The length is not announced.
	if r, _ := do(t, "POST", s.URL()+"/", io.MultiReader(strings.NewReader("more than 5"))); r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%s; want 413", r.Status)
	}
	receive(t, "Close", ends)
}
