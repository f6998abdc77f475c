package websockets_test

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/websockets"
)

// The tests that are called TestRow are the checks of the feature checklist of the
// systems that Weir takes over from, under their numbers there. Other rows are in the
// packages nanonext, ambiorix and engine.

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// start starts a server in the background on a free port and closes it when the test
// ends.
func start(t testing.TB, o websockets.Options) *websockets.Server {
	t.Helper()
	s := listen(t, o)
	s.Daemonize()
	return s
}

// listen is start, but nobody calls Service.
func listen(t testing.TB, o websockets.Options) *websockets.Server {
	t.Helper()
	o.Engine = testEngine(t, o.Engine)
	s, err := websockets.NewServer(o)
	if err != nil {
		t.Fatalf("NewServer: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func testEngine(t testing.TB, o engine.Options) engine.Options {
	o.Address = cmp.Or(o.Address, "127.0.0.1:0")
	o.Loops = cmp.Or(o.Loops, 2)
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	return o
}

// echoes makes a server send back what it gets.
func echoes(s *websockets.Server) *websockets.Server {
	s.Receive(func(data []byte, ws *websockets.Conn, _ websockets.Header) {
		_, _ = ws.Write(data) // an error means that the connection is ending
	})
	return s
}

// A client is a WebSocket client that fails its test.
type client struct {
	*websocket.Conn
	t testing.TB
}

// dial opens a connection to /, which is closed when the test ends.
func dial(t testing.TB, s *websockets.Server) *client {
	t.Helper()
	return dialURL(t, "ws://"+s.Addr().String()+"/")
}

func dialURL(t testing.TB, url string) *client {
	t.Helper()
	c, _, err := (&websocket.Dialer{HandshakeTimeout: patience}).Dial(url, nil)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("SetReadDeadline: %v", err)
	}
	return &client{c, t}
}

func (c *client) send(kind int, data string) {
	c.t.Helper()
	if err := c.WriteMessage(kind, []byte(data)); err != nil {
		c.t.Fatalf("sending %.40q: %v", data, err)
	}
}

func (c *client) expect(kind int, want string) {
	c.t.Helper()
	got, data, err := c.ReadMessage()
	if err != nil || got != kind || string(data) != want {
		c.t.Fatalf("got kind %d, %.40q, error %v; want %d, %.40q", got, data, err, kind, want)
	}
}

// expectClose reads the server's close frame, which gorilla answers.
func (c *client) expectClose(code int) {
	c.t.Helper()
	_, data, err := c.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code {
		c.t.Fatalf("got %.40q, %v; want close %d", data, err, code)
	}
}

// get makes a GET request.
func get(t testing.TB, s *websockets.Server, target string) (*http.Response, string) {
	t.Helper()
	return do(t, http.MethodGet, "http://"+s.Addr().String()+target, nil, "")
}

// do makes one HTTP request. The body is read.
func do(t testing.TB, method, url string, body io.Reader, contentType string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatalf("NewRequest: %v", err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer response.Body.Close()
	var got strings.Builder
	if _, err := io.Copy(&got, response.Body); err != nil {
		t.Fatalf("%s %s: reading the body: %v", method, url, err)
	}
	return response, got.String()
}

// receive returns what comes through ch.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("not reached")
	}
}

// eventually fails the test unless ok comes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
