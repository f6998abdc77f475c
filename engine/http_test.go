package engine_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// startHTTP starts an engine that echoes on /ws and serves h elsewhere.
func startHTTP(t *testing.T, h http.Handler) *engine.Engine {
	t.Helper()
	m := handler.NewMux()
	m.Handle("/ws", handler.Echo{})
	return startEngine(t, engine.Options{Mux: m, HTTP: h})
}

// pathEcho answers with the method, the path and the body of a request.
var pathEcho = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
})

// request is an HTTP request without a body, with further header fields in the form
// "Name: value".
func request(method, path string, fields ...string) []byte {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: localhost"}, fields...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// expectBody reads a response with status 200 and this body.
func (c *rawClient) expectBody(t *testing.T, want string) {
	t.Helper()
	if _, body := c.expectStatus(t, http.StatusOK); body != want {
		t.Fatalf("body %.100q; want %.100q", body, want)
	}
}

func TestHTTPKeepAlive(t *testing.T) {
	e := startHTTP(t, pathEcho)
	c := dialTCP(t, e)
	for i := range 3 {
		c.put(t, request("GET", fmt.Sprint("/", i)))
		c.expectBody(t, fmt.Sprintf("GET /%d ", i))
	}
	c.put(t, request("GET", "/last", "Connection: close"))
	c.expectBody(t, "GET /last ")
	c.expectEnd(t)
	eventually(t, "the connection to be counted and to end", func() bool {
		got := e.Counters()
		return got.HandedOff == 1 && got.Sockets == 0
	})
	if got := e.Counters().Opened; got != 0 {
		t.Errorf("%d opened; want 0", got)
	}
}

func TestHTTPPipelined(t *testing.T) {
	c := dialTCP(t, startHTTP(t, pathEcho))
	c.put(t, request("GET", "/1"), request("POST", "/2", "Content-Length: 4"), []byte("body"), request("GET", "/3"))
	c.expectBody(t, "GET /1 ")
	c.expectBody(t, "POST /2 body")
	c.expectBody(t, "GET /3 ")
}

// The body of a request comes behind the header, piece by piece, each when the
// handler has read the one before.
func TestHTTPBodyInPieces(t *testing.T) {
	const pieces, size = 5, 1000
	got := make(chan int)
	c := dialTCP(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, size)
		for range pieces {
			got <- len(piece)
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				t.Errorf("reading the body: %v", err)
			}
		}
		fmt.Fprint(w, "thank you")
	})))
	c.put(t, request("POST", "/", fmt.Sprint("Content-Length: ", pieces*size)))
	for range pieces {
		c.put(t, make([]byte, receive(t, "the handler to want more", got)))
	}
	c.expectBody(t, "thank you")
}

func TestHTTPChunkedBothWays(t *testing.T) {
	proceed := make(chan bool)
	c := dialTCP(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "two chunks" {
			t.Errorf("body %q, error %v; want two chunks", body, err)
		}
		for i := range 3 {
			fmt.Fprintf(w, "piece %d;", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
			<-proceed
		}
	})))
	c.put(t, request("POST", "/", "Transfer-Encoding: chunked"), []byte("4\r\ntwo \r\n6\r\nchunks\r\n0\r\n\r\n"))
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	if len(r.TransferEncoding) != 1 || r.TransferEncoding[0] != "chunked" {
		t.Errorf("transfer encoding %q; want chunked", r.TransferEncoding)
	}
	for i := range 3 { // each piece is here before the handler writes the next
		want := fmt.Sprintf("piece %d;", i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != want {
			t.Fatalf("read %q, error %v; want %q", got, err, want)
		}
		proceed <- true
	}
	if rest, err := io.ReadAll(r.Body); len(rest) > 0 || err != nil {
		t.Errorf("read %q, error %v; want the end of the body", rest, err)
	}
}

func TestHTTPExpectContinue(t *testing.T) {
	c := dialTCP(t, startHTTP(t, pathEcho))
	c.put(t, request("PUT", "/x", "Content-Length: 4", "Expect: 100-continue"))
	c.expectStatus(t, http.StatusContinue)
	c.put(t, []byte("body"))
	c.expectBody(t, "PUT /x body")
}

func TestHTTPHead(t *testing.T) {
	c := dialTCP(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
	})))
	for range 2 {
		c.put(t, request("HEAD", "/"))
		r, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodHead})
		if err != nil || r.StatusCode != http.StatusOK || r.ContentLength != 1000 {
			t.Fatalf("response %+v, error %v; want 200 with a length of 1000", r, err)
		}
	}
}

// A header that the loop passed on whole, and one that only net/http sees, may be as
// large as the limit says.
func TestHTTPLargeHeader(t *testing.T) {
	large := "Cookie: " + strings.Repeat("c", 7<<10)
	c := dialTCP(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.Header.Get("Cookie")))
	})))
	for range 2 {
		c.put(t, request("GET", "/", large))
		c.expectBody(t, fmt.Sprint(7<<10))
	}
}

// A proxy may use a connection for other requests before it upgrades it.
func TestUpgradeOnUsedConnection(t *testing.T) {
	message := text("sent with the handshake")
	tests := []struct {
		name   string
		writes [][]byte // one segment each; a response is read after the first
	}{
		{"frames in the segment of the upgrade", [][]byte{request("GET", "/"), bytes.Join([][]byte{upgrade("/ws"), message, message}, nil)}},
		{"half a frame in it", [][]byte{request("GET", "/"), append(upgrade("/ws"), message[:9]...), append(message[9:], message...)}},
		{"all in one segment", [][]byte{bytes.Join([][]byte{request("GET", "/"), upgrade("/ws"), message, message}, nil)}},
		{"a body before it", [][]byte{append(request("POST", "/", "Content-Length: 3"), "abc"...), upgrade("/ws"), message, message}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startHTTP(t, pathEcho)
			c := dialTCP(t, e)
			c.put(t, tt.writes[0])
			c.expectStatus(t, http.StatusOK)
			for _, w := range tt.writes[1:] {
				c.put(t, w)
			}
			c.expectStatus(t, http.StatusSwitchingProtocols)
			for range 2 {
				c.expectText(t, "sent with the handshake")
			}
			c.put(t, text("later"))
			c.expectText(t, "later")
			c.put(t, closeFrame(frame.CloseNormal, ""))
			c.expectClose(t, frame.CloseNormal)
			c.expectEnd(t)
			eventually(t, "the connection to end", func() bool { return e.Counters().Sockets == 0 })
		})
	}
}

// On the path of a WebSocket handler later requests of a connection are answered as
// the first would be.
func TestRefusedOnUsedConnection(t *testing.T) {
	c := dialTCP(t, startHTTP(t, pathEcho))
	c.put(t, request("GET", "/"))
	c.expectStatus(t, http.StatusOK)
	c.put(t, request("GET", "/ws"))
	c.expectStatus(t, http.StatusUpgradeRequired)
	c.put(t, request("POST", "/ws"))
	c.expectStatus(t, http.StatusMethodNotAllowed)
	c.put(t, upgrade("/nowhere"))
	c.expectStatus(t, http.StatusNotFound)
	c.put(t, request("GET", "/"))
	c.expectBody(t, "GET / ")
}

// An engine that closes does not wait for HTTP connections that are idle.
func TestCloseWithIdleHTTP(t *testing.T) {
	e := startHTTP(t, pathEcho)
	c := dialTCP(t, e)
	c.put(t, request("GET", "/"))
	c.expectStatus(t, http.StatusOK)
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	c.expectEnd(t)
}

// What the engine itself answers, with and without an http.Handler beside it. The
// connection ends behind the response, without a reset.
func TestRefusals(t *testing.T) {
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	with := func(fields ...string) []byte {
		return request("GET", "/ws", append([]string{"Connection: Upgrade", "Upgrade: websocket"}, fields...)...)
	}
	tests := []struct {
		name   string
		send   []byte
		status int
		fields map[string]string
	}{
		{"plain GET", request("GET", "/ws"), 426, map[string]string{"Upgrade": "websocket"}},
		{"Upgrade without Connection", request("GET", "/ws", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key), 426, nil},
		{"other upgrade", request("GET", "/ws", "Connection: Upgrade", "Upgrade: h2c"), 426, nil},
		{"POST", request("POST", "/ws"), 405, map[string]string{"Allow": "GET"}},
		{"POST with a body", append(request("POST", "/ws", "Content-Length: 4"), "body"...), 405, nil},
		{"version 12", with("Sec-WebSocket-Version: 12", key), 426, map[string]string{"Sec-WebSocket-Version": "13"}},
		{"no version", with(key), 400, map[string]string{"Sec-WebSocket-Version": "13"}},
		{"no key", with("Sec-WebSocket-Version: 13"), 400, nil},
		{"empty key", with("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "), 400, nil},
		{"short key", with("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: c2hvcnQ="), 400, nil},
		{"key not base64", with("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400, nil},
		{"unknown path", upgrade("/nowhere"), 404, nil},
		{"path below", upgrade("/ws/below"), 404, nil},
		{"two slashes at the end", upgrade("/ws//"), 404, nil},
		{"bad percent-encoding", upgrade("/w%7"), 400, nil},
		{"foreign origin", upgrade("/ws", "Origin: https://evil.example"), 403, nil},
		{"origin null", upgrade("/ws", "Origin: null"), 403, nil},
		{"body announced", upgrade("/ws", "Content-Length: 5"), 400, nil},
		{"no Host", []byte("GET /ws HTTP/1.1\r\n\r\n"), 400, nil},
		{"HTTP/1.0", bytes.Replace(upgrade("/ws"), []byte("HTTP/1.1"), []byte("HTTP/1.0"), 1), 505, nil},
		{"HTTP/2 preface", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, nil},
		{"no HTTP", []byte("EHLO localhost\r\n\r\n"), 400, nil},
		{"binary", []byte{0, 1, 2, 3}, 400, nil},
		{"TLS ClientHello", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400, nil},
		{"header above 8 KiB", upgrade("/ws", "Cookie: "+strings.Repeat("c", 8<<10)), 431, nil},
		{"header without end", append(request("GET", "/ws")[:20], bytes.Repeat([]byte("x"), 1<<20)...), 431, nil},
	}
	beside := map[string]http.Handler{"without HTTP": nil, "with HTTP": pathEcho}
	for name, h := range beside {
		t.Run(name, func(t *testing.T) {
			e := startHTTP(t, h)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					c := dialTCP(t, e)
					c.put(t, tt.send)
					r, _ := c.expectStatus(t, tt.status)
					if want := fmt.Sprintf("%d %s", tt.status, http.StatusText(tt.status)); r.Status != want || r.Proto != "HTTP/1.1" {
						t.Errorf("status line %s %s; want HTTP/1.1 %s", r.Proto, r.Status, want)
					}
					if !r.Close {
						t.Error("the response does not announce the end of the connection")
					}
					for field, want := range tt.fields {
						if got := r.Header.Get(field); got != want {
							t.Errorf("%s is %q; want %q", field, got, want)
						}
					}
					c.expectEnd(t)
				})
			}
		})
	}
}

func TestNotFoundWithoutHTTP(t *testing.T) {
	e := startHTTP(t, nil)
	for _, send := range [][]byte{request("GET", "/"), request("POST", "/other"), upgrade("/other")} {
		c := dialTCP(t, e)
		c.put(t, send)
		c.expectStatus(t, http.StatusNotFound)
		c.expectEnd(t)
	}
	if got := e.Counters().HandshakesRefused[http.StatusNotFound]; got != 3 {
		t.Errorf("%d counted; want 3", got)
	}
}

// The response to a HEAD request has no body (RFC 9110 section 9.3.2).
func TestRefusedHead(t *testing.T) {
	c := dialTCP(t, startHTTP(t, nil))
	c.put(t, request("HEAD", "/ws"))
	r, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodHead})
	if err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Fatalf("response %+v, error %v; want 405", r, err)
	}
	c.expectEnd(t)
}

func TestAcceptedPaths(t *testing.T) {
	paths := []string{"/ws", "/ws/", "/ws?query=1&x", "/ws/?q", "/%77s", "/w%73/", "http://localhost/ws"}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			c := dialRaw(t, startHTTP(t, pathEcho), path)
			c.put(t, text("hello"))
			c.expectText(t, "hello")
		})
	}
}

func TestAcceptedOrigins(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), Origins: []string{"*.example.com"}})
	for _, origin := range []string{"http://localhost", "https://www.example.com"} {
		dialRaw(t, e, "/", "Origin: "+origin)
	}
}

// The server chooses the first of the client's offer that it speaks.
func TestSubprotocols(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		want   []string // values of Sec-WebSocket-Protocol in the response
	}{
		{"none offered", nil, nil},
		{"none in common", []string{"Sec-WebSocket-Protocol: a, b"}, nil},
		{"one", []string{"Sec-WebSocket-Protocol: chat"}, []string{"chat"}},
		{"the client's preference", []string{"Sec-WebSocket-Protocol: a, feed, chat"}, []string{"feed"}},
		{"two fields", []string{"Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: chat"}, []string{"chat"}},
		{"other case", []string{"Sec-WebSocket-Protocol: CHAT"}, nil},
	}
	chosen := make(chan string, 1)
	e := startEngine(t, engine.Options{
		Subprotocols: []string{"chat", "feed"},
		Mux: routes(handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error {
			chosen <- c.Subprotocol()
			return nil
		}}),
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dialTCP(t, e)
			c.put(t, upgrade("/", tt.fields...))
			r, _ := c.expectStatus(t, http.StatusSwitchingProtocols)
			want := strings.Join(tt.want, ",")
			if got := strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","); got != want {
				t.Errorf("response has %q; want %q", got, want)
			}
			if got := receive(t, "OnOpen", chosen); got != want {
				t.Errorf("Conn.Subprotocol is %q; want %q", got, want)
			}
		})
	}
}

func TestHeaderAtTheLimit(t *testing.T) {
	const limit = 1000
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), MaxHeaderBytes: limit})
	fill := limit - len(upgrade("/", "X: "))
	dialRaw(t, e, "/", "X: "+strings.Repeat("x", fill))
	c := dialTCP(t, e)
	c.put(t, upgrade("/", "X: "+strings.Repeat("x", fill+1)))
	c.expectStatus(t, http.StatusRequestHeaderFieldsTooLarge)
	c.expectEnd(t)
}

// Frames behind a header within the limit do not count against it.
func TestFramesBehindHeader(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	c := dialTCP(t, e)
	large := strings.Repeat("m", 100<<10)
	c.put(t, upgrade("/"), text(large), text("and more"))
	c.expectStatus(t, http.StatusSwitchingProtocols)
	c.expectText(t, large)
	c.expectText(t, "and more")
}

func TestHeaderByteByByte(t *testing.T) {
	c := dialTCP(t, startHTTP(t, nil))
	for _, b := range append(upgrade("/ws"), text("hello")...) {
		c.put(t, []byte{b})
	}
	c.expectStatus(t, http.StatusSwitchingProtocols)
	c.expectText(t, "hello")
}

// Whoever does not finish the header in time is told so, whether anything has come
// or not.
func TestHeaderTimeout(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), HeaderTimeout: 50 * time.Millisecond})
	for _, send := range []string{"", "G", "GET / HTTP/1.1\r\nHost: localhost\r\n"} {
		c := dialTCP(t, e)
		c.put(t, []byte(send))
		c.expectStatus(t, http.StatusRequestTimeout)
		c.expectEnd(t)
	}
}
