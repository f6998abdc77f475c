package engine_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// patience is how long a test waits for what has to come. No test measures time with
// it: it is far above what the slowest machine takes.
const patience = 30 * time.Second

// eachMode runs a test once for each way of running handlers, as subtests. The test
// puts mode into the Options that it gives to startEngine.
func eachMode(t *testing.T, test func(t *testing.T, mode engine.Mode)) {
	t.Helper()
	for _, mode := range []engine.Mode{engine.Workers, engine.Service, engine.OnLoop} {
		t.Run(mode.String(), func(t *testing.T) { test(t, mode) })
	}
}

// startEngine starts an engine with two loops on a free port of the loopback
// interface, where o does not say otherwise, and closes it when the test ends. In
// mode Service two goroutines call Service meanwhile. What the engine logs is in the
// test's output.
func startEngine(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	e := startUnserved(t, o)
	if o.Mode == engine.Service {
		serve(t, e, 2)
	}
	return e
}

// startUnserved is startEngine, but in mode Service nobody calls Service.
func startUnserved(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	e := newEngine(t, o)
	if err := e.Start(); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		e.Service(0)
	})
	return e
}

// newEngine makes the engine of startEngine and does not start it.
func newEngine(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	if o.Network != "unix" {
		o.Address = cmp.Or(o.Address, "127.0.0.1:0")
	}
	o.Loops = cmp.Or(o.Loops, 2)
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	e, err := engine.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return e
}

// serve calls Service on n goroutines until the test ends. They end before the engine
// is closed, since cleanups run in reverse order; startUnserved runs what is left.
func serve(t testing.TB, e *engine.Engine, n int) {
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range n {
		callers.Go(func() {
			for {
				pause := time.Duration(0)
				if e.Service(10*time.Millisecond) == 0 {
					pause = time.Millisecond // an engine that has closed does not wait
				}
				select {
				case <-stop:
					return
				case <-time.After(pause):
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		callers.Wait()
	})
}

// routes returns a Mux with one handler on /.
func routes(h handler.Handler) *handler.Mux {
	m := handler.NewMux()
	m.Handle("/", h)
	return m
}

// eventually fails the test unless ok comes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !pollUntil(patience, ok) {
		t.Fatalf("waited in vain: %s", what)
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

// A rawClient is one connection to an engine: the bytes it sends are the test's own,
// and the frames it gets are parsed by gobwas/ws, not by the code under test. Methods
// that take no testing.TB return errors, and may be called from any goroutine.
type rawClient struct {
	net.Conn
	in *bufio.Reader
}

// dialTCP connects and sends nothing. The connection is closed when the test ends.
func dialTCP(t testing.TB, e *engine.Engine) *rawClient {
	t.Helper()
	conn, err := net.Dial(e.Addr().Network(), e.Addr().String())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		t.Fatalf("SetDeadline: %v", err)
	}
	return &rawClient{Conn: conn, in: bufio.NewReader(conn)}
}

// dialRaw connects to a path and completes the opening handshake.
func dialRaw(t testing.TB, e *engine.Engine, path string, fields ...string) *rawClient {
	t.Helper()
	c := dialTCP(t, e)
	c.put(t, upgrade(path, fields...))
	c.expectStatus(t, http.StatusSwitchingProtocols)
	return c
}

// upgrade is an opening handshake, with further header fields in the form "Name: value".
func upgrade(path string, fields ...string) []byte {
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, fields...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// masked is one whole frame as a client sends it.
func masked(op frame.Opcode, payload []byte) []byte {
	f := ws.NewFrame(ws.OpCode(op), true, payload)
	return ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{0x12, 0x34, 0x56, 0x78}))
}

// closeFrame is a close frame as a client sends it.
func closeFrame(code frame.CloseCode, reason string) []byte {
	return masked(frame.Close, ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}

// text is a text message as a client sends it.
func text(s string) []byte { return masked(frame.Text, []byte(s)) }

// put writes bytes, and fails the test if that fails.
func (c *rawClient) put(t testing.TB, p ...[]byte) {
	t.Helper()
	if _, err := c.Write(bytes.Join(p, nil)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// expectStatus reads an HTTP response with this status and returns it with its body
// read, and closed.
func (c *rawClient) expectStatus(t testing.TB, status int) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	if r.StatusCode == http.StatusSwitchingProtocols {
		if status != r.StatusCode {
			t.Fatalf("status %s; want %d", r.Status, status)
		}
		return r, "" // what follows are frames
	}
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil || r.StatusCode != status {
		t.Fatalf("status %s, body %q, error %v; want %d", r.Status, body, err, status)
	}
	return r, string(body)
}

var errFrame = errors.New("not a frame that a server may send")

// readFrame reads one whole frame.
func (c *rawClient) readFrame() (frame.Opcode, []byte, error) {
	h, err := ws.ReadHeader(c.in)
	if err != nil {
		return 0, nil, err
	}
	if h.Masked || !h.Fin || h.Rsv != 0 {
		return 0, nil, fmt.Errorf("%w: %+v", errFrame, h)
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(c.in, payload)
	return frame.Opcode(h.OpCode), payload, err
}

// readMessage reads frames up to the next text or binary message. It answers pings
// and skips pongs. A close frame is the error peerClosed.
func (c *rawClient) readMessage() (frame.Opcode, []byte, error) {
	for {
		op, payload, err := c.readFrame()
		switch {
		case err != nil:
			return 0, nil, err
		case op == frame.Ping:
			if _, err := c.Write(masked(frame.Pong, payload)); err != nil {
				return 0, nil, err
			}
		case op == frame.Pong:
		case op == frame.Close:
			code, reason := ws.ParseCloseFrameData(payload)
			return 0, nil, peerClosed{cmp.Or(frame.CloseCode(code), frame.CloseNoStatus), reason}
		default:
			return op, payload, nil
		}
	}
}

// peerClosed is the error of readMessage for a close frame.
type peerClosed struct {
	code   frame.CloseCode
	reason string
}

func (p peerClosed) Error() string { return fmt.Sprintf("close frame %d %q", p.code, p.reason) }

// expectText reads the next message, which must be this text.
func (c *rawClient) expectText(t testing.TB, want string) {
	t.Helper()
	op, payload, err := c.readMessage()
	if err != nil || op != frame.Text || string(payload) != want {
		t.Fatalf("got opcode %d, %.100q, error %v; want text %.100q", op, payload, err, want)
	}
}

// expectClose reads the next frame that is no ping or pong, which must be a close
// frame with this code, and returns its reason.
func (c *rawClient) expectClose(t testing.TB, want frame.CloseCode) string {
	t.Helper()
	op, payload, err := c.readMessage()
	var closed peerClosed
	if !errors.As(err, &closed) || closed.code != want {
		t.Fatalf("got opcode %d, %.100q, error %v; want a close frame with %d", op, payload, err, want)
	}
	return closed.reason
}

// expectEnd reads the end of the stream: no bytes, and no reset.
func (c *rawClient) expectEnd(t testing.TB) {
	t.Helper()
	if b, err := c.in.ReadByte(); err != io.EOF {
		t.Fatalf("got byte %#x, error %v; want the end of the stream", b, err)
	}
}

// kill ends the TCP connection with a reset.
func (c *rawClient) kill(t testing.TB) {
	t.Helper()
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			t.Fatalf("SetLinger: %v", err)
		}
	}
	_ = c.Close()
}
