package nanonext_test

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

// The tests that are called TestRow are the checks of the feature checklist of the
// systems that Weir takes over from, under their numbers there. Other rows are in the
// packages websockets, ambiorix and engine.

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// start starts a server on a free port and closes it when the test ends.
func start(t testing.TB, o engine.Options, handlers ...nanonext.Handler) *nanonext.Server {
	t.Helper()
	s := newServer(t, o, handlers...)
	if err := s.Start(); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, nanonext.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// newServer makes the server of start and does not start it.
func newServer(t testing.TB, o engine.Options, handlers ...nanonext.Handler) *nanonext.Server {
	t.Helper()
	o.Loops = cmp.Or(o.Loops, 2)
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	url := "http://127.0.0.1:0"
	if o.TLS != nil {
		url = "https://127.0.0.1:0"
	}
	s, err := nanonext.NewServer(url, o, handlers...)
	if err != nil {
		t.Fatalf("NewServer: %v", err)
	}
	return s
}

// echo sends back what it gets.
func echo(ws nanonext.Conn, data []byte) { _ = ws.Send(data) }

// address is where a server listens.
func address(t testing.TB, s *nanonext.Server) string {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatalf("URL: %v", err)
	}
	return u.Host
}

// A client is a WebSocket client that fails its test.
type client struct {
	*websocket.Conn
	t testing.TB
}

// dial opens a connection, with header fields in the form "Name: value", and closes it
// when the test ends.
func dial(t testing.TB, s *nanonext.Server, path string, fields ...string) *client {
	t.Helper()
	return dialURL(t, "ws://"+address(t, s)+path, fields...)
}

func dialURL(t testing.TB, rawURL string, fields ...string) *client {
	t.Helper()
	c, _, err := (&websocket.Dialer{HandshakeTimeout: patience}).Dial(rawURL, header(fields))
	if err != nil {
		t.Fatalf("dial %s: %v", rawURL, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("SetReadDeadline: %v", err)
	}
	return &client{c, t}
}

// refused tries to open a connection and returns the response that refuses it.
func refused(t testing.TB, s *nanonext.Server, path string, fields ...string) *http.Response {
	t.Helper()
	c, r, err := websocket.DefaultDialer.Dial("ws://"+address(t, s)+path, header(fields))
	if err == nil {
		_ = c.Close()
		t.Fatalf("%s was accepted", path)
	}
	if r == nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r
}

func header(fields []string) http.Header {
	h := make(http.Header)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
	return h
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
func (c *client) expectClose(code int, reason string) {
	c.t.Helper()
	_, data, err := c.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code || closed.Text != reason {
		c.t.Fatalf("got %.40q, %v; want close %d %q", data, err, code, reason)
	}
}

// closeWith sends a close frame.
func (c *client) closeWith(code int, reason string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)); err != nil {
		c.t.Fatalf("sending the close frame: %v", err)
	}
}

// do makes one HTTP request, and follows no redirect. The body is read.
func do(t testing.TB, method, rawURL string, body io.Reader, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, rawURL, body)
	if err != nil {
		t.Fatalf("NewRequest: %v", err)
	}
	r.Header = header(fields)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, rawURL, err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the body: %v", method, rawURL, err)
	}
	return response, string(got)
}

// get makes a GET request that must have this status.
func get(t testing.TB, s *nanonext.Server, target string, status int) (*http.Response, string) {
	t.Helper()
	r, body := do(t, http.MethodGet, s.URL()+target, nil)
	if r.StatusCode != status {
		t.Fatalf("GET %s: %s, %.80q; want %d", target, r.Status, body, status)
	}
	return r, body
}

// raw sends bytes as they are, and returns the response.
func raw(t testing.TB, s *nanonext.Server, lines ...string) *http.Response {
	t.Helper()
	_, r := rawConn(t, s, lines...)
	return r
}

func rawConn(t testing.TB, s *nanonext.Server, lines ...string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", address(t, s))
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("SetDeadline: %v", err)
	}
	lines = append(slices.Clone(lines), "Host: localhost", "", "")
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")); err != nil {
		t.Fatalf("write: %v", err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: reading the response: %v", lines[0], err)
	}
	t.Cleanup(func() { _ = r.Body.Close() })
	return conn, r
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

// ended is what a Close callback was told.
type ended struct {
	id     uint64
	status handler.CloseStatus
}
