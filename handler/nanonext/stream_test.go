package nanonext_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

func TestFormatSSE(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event nanonext.Event
		want  string
	}{
		{"data alone", nanonext.Event{Data: "hello"}, "data: hello\n\n"},
		{"all in order", nanonext.Event{Data: "d", ID: "7", Event: "tick", Retry: 1500 * time.Millisecond}, "event: tick\nid: 7\nretry: 1500\ndata: d\n\n"},
		{"lines", nanonext.Event{Data: "a\nb\r\nc\rd"}, "data: a\ndata: b\ndata: c\ndata: d\n\n"},
		{"empty", nanonext.Event{}, "data: \n\n"},
		{"empty lines", nanonext.Event{Data: "\n\n"}, "data: \ndata: \ndata: \n\n"},
		{"no way to smuggle fields in", nanonext.Event{Event: "a\ndata: x", ID: "1\r\n\r\nid: 2", Data: "d"}, "event: a\nid: 1\ndata: d\n\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(nanonext.FormatSSE(tt.event)); got != tt.want {
				t.Errorf("FormatSSE(%+v) = %q; want %q", tt.event, got, tt.want)
			}
		})
	}
}

// A streamServer has one Stream on /, whose events come through its channels.
type streamServer struct {
	*nanonext.Server
	opened chan *nanonext.StreamConn
	closed chan *nanonext.StreamConn
}

func startStream(t *testing.T, o engine.Options) *streamServer {
	s := &streamServer{opened: make(chan *nanonext.StreamConn, 1), closed: make(chan *nanonext.StreamConn, 1)}
	s.Server = start(t, o, nanonext.Stream{
		Path:  "/",
		Open:  func(c *nanonext.StreamConn, _ *http.Request) { s.opened <- c },
		Close: func(c *nanonext.StreamConn) { s.closed <- c },
	})
	return s
}

// open makes a request and returns the stream, and what the client gets: nil if its
// request failed.
func (s *streamServer) open(t *testing.T) (*nanonext.StreamConn, <-chan *http.Response) {
	t.Helper()
	responses := make(chan *http.Response, 1)
	go func() { // ends with the first bytes of the stream, or with the stream
		r, _ := http.Post(s.URL()+"/", "text/plain", http.NoBody)
		responses <- r
	}()
	return receive(t, "Open", s.opened), responses
}

func TestStreamHeaderIsFrozen(t *testing.T) {
	s := startStream(t, engine.Options{})
	c, responses := s.open(t)
	for _, err := range []error{
		c.SetHeader("X-Evil", "a\r\nb: c"), c.SetHeader("a:b", "c"), c.SetHeader("", "c"),
	} {
		if !errors.Is(err, handler.ErrBadHeader) {
			t.Errorf("SetHeader: %v; want ErrBadHeader", err)
		}
	}
	if err := c.SetStatus(101); !errors.Is(err, nanonext.ErrStreamStatus) {
		t.Errorf("SetStatus: %v; want ErrStreamStatus", err)
	}
	// Open has returned; the header is sent with the first piece.
	if err := errors.Join(c.SetStatus(http.StatusAccepted), c.SetHeader("X-Kind", "late"), c.Send([]byte("piece"))); err != nil {
		t.Fatalf("status, header, piece: %v", err)
	}
	if err := c.SetStatus(200); !errors.Is(err, nanonext.ErrHeaderSent) {
		t.Errorf("SetStatus after Send: %v; want ErrHeaderSent", err)
	}
	if err := c.SetHeader("X-Kind", "later"); !errors.Is(err, nanonext.ErrHeaderSent) {
		t.Errorf("SetHeader after Send: %v; want ErrHeaderSent", err)
	}
	r := receive(t, "the response", responses)
	defer r.Body.Close()
	if r.StatusCode != http.StatusAccepted || r.Header.Get("X-Kind") != "late" {
		t.Errorf("%s, header %v; want 202, X-Kind late", r.Status, r.Header)
	}
	if err := errors.Join(c.Send([]byte(" and piece")), c.Close()); err != nil {
		t.Errorf("Send and Close: %v", err)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "piece and piece" {
		t.Errorf("body %q, error %v", body, err)
	}
	receive(t, "Close", s.closed)
	<-c.Done()
	for _, err := range []error{c.Send(nil), c.Close(), c.SetStatus(200), c.SetHeader("a", "b")} {
		if !errors.Is(err, handler.ErrClosed) {
			t.Errorf("after the end: %v; want ErrClosed", err)
		}
	}
}

func TestStreamWithoutBody(t *testing.T) {
	s := startStream(t, engine.Options{})
	c, responses := s.open(t)
	if err := errors.Join(c.SetStatus(http.StatusNoContent), c.Close()); err != nil {
		t.Fatalf("status and close: %v", err)
	}
	r := receive(t, "the response", responses)
	defer r.Body.Close()
	if r.StatusCode != http.StatusNoContent {
		t.Errorf("%s; want 204", r.Status)
	}
}

func TestStreamClientLeaves(t *testing.T) {
	s := startStream(t, engine.Options{})
	c, responses := s.open(t)
	if err := c.Send([]byte("x")); err != nil {
		t.Fatalf("Send: %v", err)
	}
	_ = receive(t, "the response", responses).Body.Close()
	if receive(t, "Close", s.closed) != c {
		t.Error("Close of another stream")
	}
}

func TestStreamEndsWithServer(t *testing.T) {
	s := startStream(t, engine.Options{DrainTime: 10 * patience})
	c, responses := s.open(t)
	if err := c.Send([]byte("the last\n")); err != nil {
		t.Fatalf("Send: %v", err)
	}
	r := receive(t, "the response", responses)
	defer r.Body.Close()
	if err := s.Server.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	receive(t, "the Close callback", s.closed)
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "the last\n" {
		t.Errorf("body %q, error %v; want a whole one", body, err)
	}
}

// A reader that stops reading is cut, others go on, and nobody who sends waits.
func TestStreamSlowReader(t *testing.T) {
	s := startStream(t, engine.Options{OutboxHardBytes: 1 << 20, OutboxSoftBytes: 1 << 10, SlowTimeout: time.Second})
	slow, slowResponses := s.open(t)
	piece := make([]byte, 64<<10)
	if err := slow.Send(piece); err != nil {
		t.Fatalf("Send: %v", err)
	}
	slowResponse := receive(t, "the response", slowResponses)
	defer slowResponse.Body.Close()
	quick, responses := s.open(t)
	if err := quick.Send([]byte("hello\n")); err != nil {
		t.Fatalf("Send: %v", err)
	}
	quickResponse := receive(t, "the response", responses)
	defer quickResponse.Body.Close()

	var err error
	for range 1 << 20 {
		if err = slow.Send(piece); err != nil {
			break
		}
	}
	if !errors.Is(err, handler.ErrSlowConsumer) {
		t.Errorf("Send to a reader that does not read: %v; want ErrSlowConsumer", err)
	}
	if err := slow.Send(piece); !errors.Is(err, handler.ErrClosed) {
		t.Errorf("Send after that: %v; want ErrClosed", err)
	}
	if receive(t, "Close", s.closed) != slow {
		t.Error("Close of another stream")
	}
	if _, err := io.Copy(io.Discard, slowResponse.Body); err == nil {
		t.Error("the slow reader takes its response for complete")
	}
	if err := errors.Join(quick.Send([]byte("still there\n")), quick.Close()); err != nil {
		t.Errorf("Send: %v", err)
	}
	expectLines(t, bufio.NewReader(quickResponse.Body), "hello", "still there")
}

func TestStreamIDs(t *testing.T) {
	ids := make(chan uint64, 2)
	s := start(t, engine.Options{},
		nanonext.Stream{Path: "/", Open: func(c *nanonext.StreamConn, _ *http.Request) { ids <- c.ID(); _ = c.Close() }},
		nanonext.WebSocket{Path: "/ws", Open: func(ws nanonext.Conn, _ *handler.Request) error { ids <- ws.ID(); return nil }},
	)
	seen := make(map[uint64]bool)
	for range 3 {
		get(t, s, "/", http.StatusOK)
		dial(t, s, "/ws")
		for range 2 {
			id := receive(t, "Open", ids)
			if seen[id] {
				t.Errorf("id %d twice", id)
			}
			seen[id] = true
		}
	}
}
