package ambiorix_test

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
	"github.com/weirws/weir/handler/ambiorix"
)

// patience is how long a test waits for what has to come. No test measures time with
// it.
const patience = 30 * time.Second

// newApp makes an App whose log is in the test's output.
func newApp(t testing.TB, o ambiorix.Options) *ambiorix.App {
	o.Logger = logger(t)
	return ambiorix.New(o)
}

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// newEngine makes an engine for the App on a free port. o may say otherwise.
func newEngine(t testing.TB, app *ambiorix.App, o engine.Options) *engine.Engine {
	t.Helper()
	o.Address = cmp.Or(o.Address, "127.0.0.1:0")
	o.Mux, o.HTTP, o.Logger = app.Mux(), app.HTTP(), logger(t)
	e, err := engine.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// start serves the App until the test ends, and returns host:port.
func start(t testing.TB, app *ambiorix.App) string {
	t.Helper()
	e := newEngine(t, app, engine.Options{})
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e.Addr().String()
}

// A peer is a client that is not ours, on one connection.
type peer struct{ *websocket.Conn }

// dial connects to a path. The connection is closed when the test ends.
func dial(t testing.TB, address, path string) peer {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial("ws://"+address+path, nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return peer{c}
}

// join connects and waits until the App knows the client.
func join(t testing.TB, address string) peer {
	t.Helper()
	p := dial(t, address, "/")
	p.say(t, ping)
	p.expect(t, ping)
	return p
}

// ping is a message that the receiver of echo sends back.
const ping = `{"name":"echo","message":"ping","isAmbiorix":true}`

// say sends a text message.
func (p peer) say(t testing.TB, text string) {
	t.Helper()
	if err := p.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatalf("sending %.100q: %v", text, err)
	}
}

// expect reads the next message, which must be this text.
func (p peer) expect(t testing.TB, want string) {
	t.Helper()
	op, got, err := p.ReadMessage()
	if err != nil || op != websocket.TextMessage || string(got) != want {
		t.Fatalf("got opcode %d, %.200q, error %v; want text %.200q", op, got, err, want)
	}
}

// expectNothing makes sure that nothing is on its way: the next message is the answer
// to one sent now.
func (p peer) expectNothing(t testing.TB) {
	t.Helper()
	p.say(t, ping)
	p.expect(t, ping)
}

// expectClose reads the next frame, which must be a close frame with this code.
func (p peer) expectClose(t testing.TB, want int) {
	t.Helper()
	op, got, err := p.ReadMessage()
	closed, ok := errors.AsType[*websocket.CloseError](err)
	if !ok || closed.Code != want {
		t.Fatalf("got opcode %d, %.200q, error %v; want close code %d", op, got, err, want)
	}
}

// eventually fails the test unless ok comes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// receive returns what comes through ch, and fails the test if nothing does.
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

// get requests a path and returns the response and its body.
func get(t testing.TB, address, path string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return request(t, r)
}

// request sends a request on a connection of its own, follows no redirect, and returns
// the response and its body.
func request(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	r.Close = true
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer response.Body.Close()
	var body strings.Builder
	if _, err := io.Copy(&body, response.Body); err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return response, body.String()
}
