package websockets_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/websockets"
)

// newClient makes a client and closes it when the test ends.
func newClient(t testing.TB, o websockets.ClientOptions) *websockets.Client {
	t.Helper()
	o.Engine = testEngine(t, o.Engine)
	c, err := websockets.NewClient(o)
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// dialOut opens a connection of a client.
func dialOut(t testing.TB, c *websockets.Client, url string, o engine.DialOptions) *websockets.Conn {
	t.Helper()
	ws, err := c.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	return ws
}

func TestRow47Client(t *testing.T) {
	identity := httptest.NewTLSServer(nil) // has a certificate, and clients that trust it
	defer identity.Close()
	trust := identity.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	for scheme, o := range map[string]*engine.TLSOptions{
		"ws": nil, "wss": {Config: &tls.Config{Certificates: identity.TLS.Certificates}},
	} {
		t.Run(scheme, func(t *testing.T) { testClient(t, scheme, o, trust) })
	}
}

// testClient connects, sends, receives and closes.
func testClient(t *testing.T, scheme string, serverTLS *engine.TLSOptions, trust *tls.Config) {
	s := echoes(start(t, websockets.Options{Engine: engine.Options{Subprotocols: []string{"chat"}, TLS: serverTLS}}))
	c := newClient(t, websockets.ClientOptions{})
	var trace []string // callbacks run on the goroutine that calls Service: this one
	c.Established(func(ws *websockets.Conn) { trace = append(trace, "established "+ws.Subprotocol()) })
	c.Receive(func(data []byte, _ *websockets.Conn, h websockets.Header) {
		trace = append(trace, h.Opcode.String()+" "+string(data))
	})
	c.Closed(func(_ *websockets.Conn, s handler.CloseStatus) { trace = append(trace, s.Code.String()) })

	ws := dialOut(t, c, scheme+"://"+s.Addr().String()+"/any?x=1", engine.DialOptions{
		Subprotocols: []string{"none", "chat"}, TLSConfig: trust,
	})
	if wire, err := ws.Write([]byte("hello")); err != nil || wire != 11 {
		t.Errorf("Write: %d bytes, error %v; want 11: two for the header, four for the masking key", wire, err)
	}
	for len(trace) < 2 {
		c.Service(patience)
	}
	if err := ws.Close(frame.CloseNormal, "bye"); err != nil {
		t.Errorf("Close: %v", err)
	}
	for len(trace) < 3 {
		c.Service(patience)
	}
	const want = "established chat, text hello, 1000 normal closure"
	if got := strings.Join(trace, ", "); got != want {
		t.Errorf("callbacks: %s; want %s", got, want)
	}
	if len(c.Conns()) != 0 {
		t.Errorf("%d connections left", len(c.Conns()))
	}
}

func TestClientWithManyConnections(t *testing.T) {
	s := echoes(start(t, websockets.Options{Binary: true}))
	c := newClient(t, websockets.ClientOptions{Binary: true})
	c.Daemonize()
	got := make(chan uint64, 100)
	c.Receive(func(data []byte, ws *websockets.Conn, _ websockets.Header) {
		if string(data) == "hi\xff" {
			got <- ws.ID()
		}
	})
	for range cap(got) {
		dialOut(t, c, "ws://"+s.Addr().String(), engine.DialOptions{})
	}
	if results := c.Broadcast([]byte("hi\xff")); results.Delivered() != cap(got) || results[0].Wire != 9 {
		t.Errorf("delivered to %d connections, %d bytes each; want %d, 9", results.Delivered(), results[0].Wire, cap(got))
	}
	seen := make(map[uint64]bool)
	for range cap(got) {
		seen[receive(t, "an echo", got)] = true
	}
	if len(seen) != cap(got) {
		t.Errorf("echoes on %d connections; want %d", len(seen), cap(got))
	}
}

func TestDialFails(t *testing.T) {
	c := newClient(t, websockets.ClientOptions{})
	c.Daemonize()
	refuses := start(t, websockets.Options{Engine: engine.Options{MaxConnections: 1}})
	dialOut(t, c, "ws://"+refuses.Addr().String(), engine.DialOptions{})
	var refused *engine.HandshakeError
	if _, err := c.Dial(t.Context(), "ws://"+refuses.Addr().String(), engine.DialOptions{}); !errors.As(err, &refused) ||
		refused.Status != http.StatusServiceUnavailable {
		t.Errorf("a server that is full: %v; want a HandshakeError with 503", err)
	}
	gone := listen(t, websockets.Options{})
	if err := gone.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if _, err := c.Dial(t.Context(), "ws://"+gone.Addr().String(), engine.DialOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v; want ECONNREFUSED", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Dial(ctx, "ws://"+refuses.Addr().String(), engine.DialOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v; want Canceled", err)
	}
	c.Established(func(*websockets.Conn) { panic("as told") })
	other := start(t, websockets.Options{})
	if _, err := c.Dial(t.Context(), "ws://"+other.Addr().String(), engine.DialOptions{}); !errors.Is(err, handler.ErrPanic) {
		t.Errorf("an established callback that panics: %v; want ErrPanic", err)
	}
	if n := len(c.Conns()); n != 1 {
		t.Errorf("%d connections; want the first alone", n)
	}
}

// A callback may have a further connection opened.
func TestDialFromCallback(t *testing.T) {
	s := echoes(start(t, websockets.Options{}))
	c := newClient(t, websockets.ClientOptions{})
	answers, dialled := make(chan string, 2), make(chan error, 1)
	c.Receive(func(data []byte, _ *websockets.Conn, _ websockets.Header) {
		answers <- string(data)
		if string(data) == "second" {
			return
		}
		go func() { // ends with the dial, for which the test waits
			ws, err := c.Dial(t.Context(), "ws://"+s.Addr().String(), engine.DialOptions{})
			if err == nil {
				_, err = ws.Write([]byte("second"))
			}
			dialled <- err
		}()
	})
	ws := dialOut(t, c, "ws://"+s.Addr().String(), engine.DialOptions{})
	if _, err := ws.Write([]byte("first")); err != nil {
		t.Fatalf("Write: %v", err)
	}
	eventually(t, "both answers", func() bool {
		c.Service(0)
		return len(answers) == 2
	})
	if err := receive(t, "Dial", dialled); err != nil {
		t.Errorf("Dial: %v", err)
	}
	if first, second := <-answers, <-answers; first != "first" || second != "second" {
		t.Errorf("answers %q and %q", first, second)
	}
}

func TestServerClosesClient(t *testing.T) {
	s := start(t, websockets.Options{})
	c := newClient(t, websockets.ClientOptions{})
	ends := make(chan handler.CloseStatus, 1)
	c.Closed(func(_ *websockets.Conn, s handler.CloseStatus) { ends <- s })
	c.Daemonize()
	dialOut(t, c, "ws://"+s.Addr().String(), engine.DialOptions{})
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := receive(t, "closed", ends); got.Code != frame.CloseGoingAway || !got.Clean {
		t.Errorf("status %+v; want 1001, clean", got)
	}
}
