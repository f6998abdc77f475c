package engine_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A scripted server is one whose bytes are the test's own: answer gets the connection
// and the request.
func scripted(t testing.TB, answer func(conn net.Conn, in *bufio.Reader, r *http.Request)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with the listener
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			if r, err := http.ReadRequest(in); err == nil {
				answer(conn, in, r)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

// acceptance is a response of status 101, with ACCEPT where its key belongs.
const acceptance = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"

// respond fills in the key and writes a response.
func respond(conn net.Conn, r *http.Request, response string) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = conn.Write([]byte(strings.Replace(response, "ACCEPT", base64.StdEncoding.EncodeToString(sum[:]), 1)))
}

// awaitEnd waits until the client has ended the connection.
func awaitEnd(in *bufio.Reader) {
	_, _ = in.WriteTo(new(strings.Builder))
}

// with is acceptance with one more field, without is acceptance with one less.
func with(field string) string {
	return strings.TrimSuffix(acceptance, "\r\n") + field + "\r\n\r\n"
}

func without(field string) string {
	before, rest, _ := strings.Cut(acceptance, field)
	_, after, _ := strings.Cut(rest, "\r\n")
	return before + after
}

// refusedResponses are responses that fail the handshake, and what the error says.
var refusedResponses = []struct {
	name, response string
	status         int
	body           string
}{
	{"200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
	{"404 without a body", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, ""},
	{"302 is not followed", "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", 302, ""},
	{"401", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno", 401, "no"},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
	{"chunked body", "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbus\r\n1\r\ny\r\n0\r\n\r\n", 503, "busy"},
	{"empty chunked body", "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 503, ""},
	{"long body", "HTTP/1.1 500 Oops\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000), 500, strings.Repeat("x", 1024)},
	{"HTTP/1.0 refusal", "HTTP/1.0 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "no"},
	{"after an interim response", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", 404, "x"},
	{"HTTP/1.0 101", strings.Replace(acceptance, "1.1", "1.0", 1), 0, ""},
	{"HTTP/2", strings.Replace(acceptance, "/1.1", "/2.0", 1), 0, ""},
	{"no HTTP", "SSH-2.0-OpenSSH_9.6\r\n", 0, ""},
	{"no HTTP, one byte", "S", 0, ""},
	{"bad status line", "HTTP/1.1 1o1 Switching\r\n\r\n", 0, ""},
	{"status of two digits", "HTTP/1.1 99 Odd\r\n\r\n", 0, ""},
	{"no status", "HTTP/1.1\r\n\r\n", 0, ""},
	{"header too large", "HTTP/1.1 101 X\r\nA: " + strings.Repeat("x", 9000), 0, ""},
	{"whole header too large", with("A: " + strings.Repeat("x", 9000)), 0, ""},
	{"no Upgrade", without("Upgrade: "), 101, ""},
	{"other Upgrade", strings.Replace(acceptance, "websocket", "h2c", 1), 101, ""},
	{"list of Upgrades", strings.Replace(acceptance, "websocket", "websocket, h2c", 1), 101, ""},
	{"Upgrade beyond ASCII", strings.Replace(acceptance, "websocket", "web\u017focket", 1), 101, ""},
	{"no Connection", without("Connection: "), 101, ""},
	{"other Connection", strings.Replace(acceptance, "Connection: Upgrade", "Connection: keep-alive", 1), 101, ""},
	{"no accept", without("Sec-WebSocket-Accept: "), 101, ""},
	{"wrong accept", strings.Replace(acceptance, "ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 1), 101, ""},
	{"two accepts", with("Sec-WebSocket-Accept: x"), 101, ""},
	{"sub-protocol not offered", with("Sec-WebSocket-Protocol: other"), 101, ""},
	{"sub-protocol in another case", with("Sec-WebSocket-Protocol: CHAT"), 101, ""},
	{"two sub-protocols", with("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat"), 101, ""},
	{"list of sub-protocols", with("Sec-WebSocket-Protocol: chat, superchat"), 101, ""},
	{"extension not offered", with("Sec-WebSocket-Extensions: x-webkit-deflate-frame"), 101, ""},
	{"parameter not offered", with("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; x=1"), 101, ""},
	{"context kept", with("Sec-WebSocket-Extensions: permessage-deflate"), 101, ""},
	{"extension twice", with("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"), 101, ""},
	{"folded line", with("A: b\r\n c"), 101, ""},
	{"space before colon", with("A : b"), 101, ""},
}

func TestDialRefusesResponse(t *testing.T) {
	callers := startCallers(t, engine.Options{Deflate: frame.DeflateOptions{Enabled: true}})
	for _, tt := range refusedResponses {
		t.Run(tt.name, func(t *testing.T) {
			// In one segment, and byte by byte as far as a system call is a segment.
			for _, step := range []int{len(tt.response) + 100, 1} {
				address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
					whole := new(recordedConn)
					respond(whole, r, tt.response)
					for rest := whole.written; len(rest) > 0; rest = rest[min(step, len(rest)):] {
						if _, err := conn.Write(rest[:min(step, len(rest))]); err != nil {
							return
						}
					}
					awaitEnd(in)
				})
				h := handler.Funcs{Open: func(handler.Conn, *handler.Request) error {
					t.Error("OnOpen called")
					return nil
				}}
				_, err := callers.Dial(t.Context(), "ws://"+address+"/", h, engine.DialOptions{Subprotocols: []string{"chat", "superchat"}})
				failure, ok := errors.AsType[*engine.HandshakeError](err)
				if !ok {
					t.Fatalf("Dial: %v; want a *HandshakeError", err)
				}
				if failure.Status != tt.status || string(failure.Body) != tt.body || failure.Reason == "" {
					t.Errorf("got %v, body %.50q; want status %d, body %.50q", failure, failure.Body, tt.status, tt.body)
				}
				if tt.status == 401 && failure.Header.Get("WWW-Authenticate") != "Basic" {
					t.Errorf("header %v", failure.Header)
				}
			}
		})
	}
	eventually(t, "all sockets are gone", func() bool { return callers.Counters().Sockets == 0 })
}

// A recordedConn keeps what is written.
type recordedConn struct {
	net.Conn
	written []byte
}

func (c *recordedConn) Write(p []byte) (int, error) {
	c.written = append(c.written, p...)
	return len(p), nil
}

func TestDialAcceptsResponse(t *testing.T) {
	const chat = "Sec-WebSocket-Protocol: chat\r\n"
	tests := []struct{ name, old, new string }{
		{"as it is", "", ""},
		{"without a reason", " Switching Protocols", ""},
		{"case", "Upgrade: websocket\r\nConnection: Upgrade", "upgrade: WebSocket\r\nCONNECTION: upgrade"},
		{"list", "Connection: Upgrade", "Connection: keep-alive,\tUpgrade"},
		{"two fields", "Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"},
		{"spaces around the key", "ACCEPT", "  ACCEPT \t"},
		{"chosen sub-protocol", "Upgrade: ", chat + "Upgrade: "},
		{"compression", "Upgrade: ", "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_max_window_bits=12\r\nUpgrade: "},
		{"interim responses", "HTTP/1.1 101", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101"},
		{"later version", "HTTP/1.1", "HTTP/1.2"},
	}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		callers := startCallers(t, engine.Options{Mode: mode, Deflate: frame.DeflateOptions{Enabled: true}})
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
					// Frames in the same segment as the response.
					hello := frame.AppendMessage(nil, frame.Text, []byte("hello"))
					bye := frame.AppendMessage(nil, frame.Close, frame.AppendClosePayload(nil, 4000, "bye"))
					respond(conn, r, strings.Replace(acceptance, tt.old, tt.new, 1)+string(hello)+string(bye))
					awaitClose(in)
				})
				h := newCaller()
				c := dial(t, callers, "ws://"+address+"/", h, engine.DialOptions{Subprotocols: []string{"chat"}})
				if want := strings.Contains(tt.new, chat); (c.Subprotocol() == "chat") != want {
					t.Errorf("sub-protocol %q", c.Subprotocol())
				}
				if m := receive(t, "the message", h.messages); m != "hello" {
					t.Errorf("got %q; want hello", m)
				}
				want := handler.CloseStatus{Code: 4000, Reason: "bye", Clean: true}
				if s := receive(t, "OnClose", h.ends); s != want {
					t.Errorf("OnClose got %+v; want %+v", s, want)
				}
			})
		}
	})
}

func TestDialRefusesArguments(t *testing.T) {
	header := func(name, value string) engine.DialOptions {
		return engine.DialOptions{Header: http.Header{name: {value}}}
	}
	tests := []struct {
		name, url string
		o         engine.DialOptions
		err       error
	}{
		{"no URL", "", engine.DialOptions{}, engine.ErrBadURL},
		{"no scheme", "127.0.0.1:80", engine.DialOptions{}, engine.ErrBadURL},
		{"http", "http://127.0.0.1/", engine.DialOptions{}, engine.ErrBadURL},
		{"no host", "ws:///path", engine.DialOptions{}, engine.ErrBadURL},
		{"opaque", "ws:127.0.0.1", engine.DialOptions{}, engine.ErrBadURL},
		{"user", "ws://me:secret@127.0.0.1/", engine.DialOptions{}, engine.ErrBadURL},
		{"fragment", "ws://127.0.0.1/#a", engine.DialOptions{}, engine.ErrBadURL},
		{"empty fragment", "ws://127.0.0.1/#", engine.DialOptions{}, engine.ErrBadURL},
		{"port 0", "ws://127.0.0.1:0/", engine.DialOptions{}, engine.ErrBadURL},
		{"port too large", "ws://127.0.0.1:65536/", engine.DialOptions{}, engine.ErrBadURL},
		{"port is a name", "ws://127.0.0.1:http/", engine.DialOptions{}, engine.ErrBadURL},
		{"host beyond ASCII", "ws://b\u00fccher.example/", engine.DialOptions{}, engine.ErrBadURL},
		{"line break", "ws://127.0.0.1/\r\nA: b", engine.DialOptions{}, engine.ErrBadURL},
		{"header of the handshake", "ws://127.0.0.1/", header("connection", "close"), engine.ErrBadDialOptions},
		{"key", "ws://127.0.0.1/", header("Sec-WebSocket-Key", "x"), engine.ErrBadDialOptions},
		{"length", "ws://127.0.0.1/", header("Content-Length", "3"), engine.ErrBadDialOptions},
		{"origin among the fields", "ws://127.0.0.1/", header("origin", "x"), engine.ErrBadDialOptions},
		{"line break in a field", "ws://127.0.0.1/", header("A", "b\r\nC: d"), engine.ErrBadDialOptions},
		{"bad name of a field", "ws://127.0.0.1/", header("A b", "c"), engine.ErrBadDialOptions},
		{"bad host", "ws://127.0.0.1/", header("Host", "a\r\nb"), engine.ErrBadDialOptions},
		{"two hosts", "ws://127.0.0.1/", engine.DialOptions{Header: http.Header{"Host": {"a", "b"}}}, engine.ErrBadDialOptions},
		{"hosts in two cases", "ws://127.0.0.1/", engine.DialOptions{Header: http.Header{"Host": {"a"}, "host": {"b"}}}, engine.ErrBadDialOptions},
		{"host that is none", "ws://127.0.0.1/", header("Host", "a b"), engine.ErrBadURL},
		{"sub-protocol", "ws://127.0.0.1/", engine.DialOptions{Subprotocols: []string{"a b"}}, engine.ErrBadDialOptions},
		{"empty sub-protocol", "ws://127.0.0.1/", engine.DialOptions{Subprotocols: []string{""}}, engine.ErrBadDialOptions},
		{"sub-protocol twice", "ws://127.0.0.1/", engine.DialOptions{Subprotocols: []string{"a", "a"}}, engine.ErrBadDialOptions},
		{"origin", "ws://127.0.0.1/", engine.DialOptions{Origin: "a\nb"}, engine.ErrBadDialOptions},
		{"timeout", "ws://127.0.0.1/", engine.DialOptions{HandshakeTimeout: -1}, engine.ErrBadDialOptions},
		{"timeout beyond the clock", "ws://127.0.0.1/", engine.DialOptions{HandshakeTimeout: 30 * 24 * time.Hour}, engine.ErrBadDialOptions},
	}
	callers := startCallers(t, engine.Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := callers.Dial(t.Context(), tt.url, handler.Echo{}, tt.o)
			if !errors.Is(err, tt.err) {
				t.Errorf("Dial(%q): %v; want %v", tt.url, err, tt.err)
			}
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("the error tells a secret: %v", err)
			}
			if want := tt.o.Header == nil && errors.Is(tt.err, engine.ErrBadURL); errors.Is(engine.CheckURL(tt.url), engine.ErrBadURL) != want {
				t.Errorf("CheckURL(%q): %v", tt.url, engine.CheckURL(tt.url))
			}
		})
	}
	if _, err := callers.Dial(t.Context(), "ws://127.0.0.1/", nil, engine.DialOptions{}); !errors.Is(err, handler.ErrNilHandler) {
		t.Errorf("Dial without a handler: %v", err)
	}
	if n := callers.Counters().Sockets; n != 0 {
		t.Errorf("%d sockets", n)
	}
}
