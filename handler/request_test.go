package handler_test

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weirws/weir/handler"
)

// browserHead is an opening handshake as a browser sends it.
const browserHead = "GET /chat%20room/?name=J%C3%BCrgen&x=1&x=2 HTTP/1.1\r\n" +
	"Host: server.example.com:8080\r\n" +
	"Connection: keep-alive, Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: http://server.example.com:8080\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
	"sec-websocket-protocol: chat, superchat\r\n\r\n"

func TestParseRequest(t *testing.T) {
	r, err := handler.ParseRequest([]byte(browserHead))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"Method", r.Method, "GET"},
		{"URI", r.URI, "/chat%20room/?name=J%C3%BCrgen&x=1&x=2"},
		{"Path", r.Path, "/chat room/"},
		{"RawQuery", r.RawQuery, "name=J%C3%BCrgen&x=1&x=2"},
		{"Host", r.Host, "server.example.com:8080"},
		{"Subprotocols", strings.Join(r.Subprotocols, "|"), "chat|superchat"},
		{"Subprotocol", r.Subprotocol, ""},
		{"Query name", r.Query().Get("name"), "Jürgen"},
		{"Query x", strings.Join(r.Query()["x"], "|"), "1|2"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if r.ProtoMinor != 1 || !r.IsUpgrade() || r.RemoteAddr.IsValid() || r.ResponseHeader() != nil {
		t.Errorf("ParseRequest = %+v, want HTTP/1.1, an upgrade, no address, no response header", r)
	}
}

func TestParseRequestCopies(t *testing.T) {
	head := []byte(browserHead)
	r, err := handler.ParseRequest(head)
	if err != nil {
		t.Fatal(err)
	}
	clear(head)
	if r.Path != "/chat room/" || r.Header.Get("Upgrade") != "websocket" {
		t.Errorf("after the input was overwritten: path %q, header %q", r.Path, r.Header)
	}
}

func TestParseRequestTarget(t *testing.T) {
	tests := []struct {
		name, line, path, query, host string
	}{
		{"root", "GET / HTTP/1.1", "/", "", "h"},
		{"query alone", "GET /?a HTTP/1.1", "/", "a", "h"},
		{"empty query", "GET /a? HTTP/1.1", "/a", "", "h"},
		{"second question mark", "GET /a?b?c HTTP/1.1", "/a", "b?c", "h"},
		{"encoded question mark", "GET /a%3Fb HTTP/1.1", "/a?b", "", "h"},
		{"encoded slash", "GET /a%2fb HTTP/1.1", "/a/b", "", "h"},
		{"plus is no space in a path", "GET /a+b HTTP/1.1", "/a+b", "", "h"},
		{"percent in the query", "GET /?100% HTTP/1.1", "/", "100%", "h"},
		{"bytes above ASCII", "GET /ü HTTP/1.1", "/ü", "", "h"},
		{"two slashes are no authority", "GET //x/y HTTP/1.1", "//x/y", "", "h"},
		{"dots stay", "GET /a/../b HTTP/1.1", "/a/../b", "", "h"},
		{"absolute", "GET http://x:81/a?b HTTP/1.1", "/a", "b", "x:81"},
		{"absolute, websocket, upper case", "GET WSS://X/a HTTP/1.1", "/a", "", "X"},
		{"absolute without path", "GET http://x HTTP/1.1", "/", "", "x"},
		{"absolute, query without path", "GET http://x?b HTTP/1.1", "/", "b", "x"},
		{"absolute, IPv6", "GET http://[::1]:81/a HTTP/1.1", "/a", "", "[::1]:81"},
		{"asterisk", "OPTIONS * HTTP/1.1", "*", "", "h"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := handler.ParseRequest([]byte(tt.line + "\r\nHost: h\r\n\r\n"))
			if err != nil {
				t.Fatalf("ParseRequest(%q): %v", tt.line, err)
			}
			if r.Path != tt.path || r.RawQuery != tt.query || r.Host != tt.host {
				t.Errorf("ParseRequest(%q) = path %q, query %q, host %q; want %q, %q, %q",
					tt.line, r.Path, r.RawQuery, r.Host, tt.path, tt.query, tt.host)
			}
		})
	}
}

func TestParseRequestAccepts(t *testing.T) {
	tests := []struct{ name, head string }{
		{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"},
		{"minor version above 1", "GET / HTTP/1.2\r\nHost: h\r\n\r\n"},
		{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
		{"IPv4 Host", "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"},
		{"IPv6 Host", "GET / HTTP/1.1\r\nHost: [fe80::1]\r\n\r\n"},
		{"underscore in Host", "GET / HTTP/1.1\r\nHost: my_service:80\r\n\r\n"},
		{"empty value", "GET / HTTP/1.1\r\nHost: h\r\nA:\r\n\r\n"},
		{"tab in value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\tc\r\n\r\n"},
		{"colon in value", "GET / HTTP/1.1\r\nHost: h\r\nA: b:c\r\n\r\n"},
		{"bytes above ASCII in value", "GET / HTTP/1.1\r\nHost: h\r\nA: \xff\r\n\r\n"},
		{"empty list elements", "GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Protocol: ,a,, b ,\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := handler.ParseRequest([]byte(tt.head)); err != nil {
				t.Errorf("ParseRequest(%q): %v", tt.head, err)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	const host = "Host: h\r\n"
	tests := []struct {
		name, head string
		status     int
	}{
		{"nothing", "", 400},
		{"empty line alone", "\r\n\r\n", 400},
		{"no empty line", "GET / HTTP/1.1\r\n" + host, 400},
		{"no header at all", "GET / HTTP/1.1", 400},
		{"bytes behind the header", "GET / HTTP/1.1\r\n" + host + "\r\nA: b\r\n\r\n", 400},
		{"lines end in LF", "GET / HTTP/1.1\nHost: h\n\n", 400},
		{"one line ends in LF", "GET / HTTP/1.1\r\nA: b\n" + host + "\r\n", 400},
		{"CR in value", "GET / HTTP/1.1\r\nA: b\rc\r\n" + host + "\r\n", 400},
		{"NUL in value", "GET / HTTP/1.1\r\nA: \x00\r\n" + host + "\r\n", 400},
		{"DEL in value", "GET / HTTP/1.1\r\nA: \x7f\r\n" + host + "\r\n", 400},
		{"folded line", "GET / HTTP/1.1\r\nA: b\r\n c\r\n" + host + "\r\n", 400},
		{"folded first line", "GET / HTTP/1.1\r\n A: b\r\n" + host + "\r\n", 400},
		{"space before colon", "GET / HTTP/1.1\r\nA : b\r\n" + host + "\r\n", 400},
		{"space in name", "GET / HTTP/1.1\r\nA B: c\r\n" + host + "\r\n", 400},
		{"byte above ASCII in name", "GET / HTTP/1.1\r\nÄ: b\r\n" + host + "\r\n", 400},
		{"empty name", "GET / HTTP/1.1\r\n: b\r\n" + host + "\r\n", 400},
		{"no colon", "GET / HTTP/1.1\r\nA\r\n" + host + "\r\n", 400},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
		{"two Hosts, HTTP/1.0", "GET / HTTP/1.0\r\n" + host + host + "\r\n", 400},
		{"absolute URI and no Host", "GET http://h/ HTTP/1.1\r\n\r\n", 400},
		{"list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
		{"user in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
		{"path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"percent in Host", "GET / HTTP/1.1\r\nHost: a%20b\r\n\r\n", 400},
		{"bad port", "GET / HTTP/1.1\r\nHost: h:8o\r\n\r\n", 400},
		{"two ports", "GET / HTTP/1.1\r\nHost: h:1:2\r\n\r\n", 400},
		{"IPv6 without brackets", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400},
		{"IPv6 without closing bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
		{"IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", 400},
		{"zone", "GET / HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n", 400},
		{"no target", "GET HTTP/1.1\r\n" + host + "\r\n", 400},
		{"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"space at the end", "GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
		{"space in front", " GET / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"space in target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"tab in target", "GET /a\tb HTTP/1.1\r\n" + host + "\r\n", 400},
		{"fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
		{"relative target", "GET a HTTP/1.1\r\n" + host + "\r\n", 400},
		{"asterisk", "GET * HTTP/1.1\r\n" + host + "\r\n", 400},
		{"authority", "CONNECT h:80 HTTP/1.1\r\n" + host + "\r\n", 400},
		{"bad percent-encoding", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400},
		{"cut percent-encoding", "GET /%2 HTTP/1.1\r\n" + host + "\r\n", 400},
		{"other scheme", "GET ftp://h/ HTTP/1.1\r\n" + host + "\r\n", 400},
		{"absolute without host", "GET http:///a HTTP/1.1\r\n" + host + "\r\n", 400},
		{"user in absolute target", "GET http://u@h/ HTTP/1.1\r\n" + host + "\r\n", 400},
		{"method is no token", "G(T / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"no method", " / HTTP/1.1\r\n" + host + "\r\n", 400},
		{"no version", "GET /\r\n" + host + "\r\n", 400},
		{"lower case version", "GET / http/1.1\r\n" + host + "\r\n", 400},
		{"version of one digit", "GET / HTTP/1\r\n" + host + "\r\n", 400},
		{"version is no number", "GET / HTTP/1.x\r\n" + host + "\r\n", 400},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", 505},
		{"HTTP/2.0", "GET / HTTP/2.0\r\n" + host + "\r\n", 505},
		{"HTTP/0.9", "GET / HTTP/0.9\r\n" + host + "\r\n", 505},
		{"sub-protocol is no token", "GET / HTTP/1.1\r\n" + host + "Sec-WebSocket-Protocol: a b\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := handler.ParseRequest([]byte(tt.head))
			var refusal *handler.Refusal
			if r != nil || !errors.As(err, &refusal) {
				t.Fatalf("ParseRequest(%q) = %+v, %v; want a *Refusal", tt.head, r, err)
			}
			if refusal.Status != tt.status || len(refusal.Body) == 0 {
				t.Errorf("ParseRequest(%q): %v, want status %d and a body", tt.head, refusal, tt.status)
			}
		})
	}
}

func TestIsUpgrade(t *testing.T) {
	tests := []struct {
		name, fields string
		want         bool
	}{
		{"plain", "Upgrade: websocket\r\nConnection: Upgrade\r\n", true},
		{"case", "UPGRADE: WebSocket\r\nconnection: UPGRADE\r\n", true},
		{"lists", "Upgrade: h2c, websocket\r\nConnection: keep-alive ,\tUpgrade\r\n", true},
		{"several fields", "Upgrade: h2c\r\nConnection: close\r\nUpgrade: websocket\r\nConnection: upgrade\r\n", true},
		{"no Connection", "Upgrade: websocket\r\n", false},
		{"no Upgrade", "Connection: Upgrade\r\n", false},
		{"other protocol", "Upgrade: h2c\r\nConnection: Upgrade\r\n", false},
		{"letters that fold to these", "Upgrade: web\u017foc\u212aet\r\nConnection: Upgrade\r\n", false},
		{"part of a token", "Upgrade: websockets\r\nConnection: Upgrade\r\n", false},
		{"Connection lists something else", "Upgrade: websocket\r\nConnection: upgrade-insecure\r\n", false},
		{"two tokens without comma", "Upgrade: websocket\r\nConnection: keep-alive Upgrade\r\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, "GET / HTTP/1.1\r\nHost: h\r\n"+tt.fields+"\r\n")
			if got := r.IsUpgrade(); got != tt.want {
				t.Errorf("IsUpgrade with %q = %v, want %v", tt.fields, got, tt.want)
			}
		})
	}
}

func TestResponseHeader(t *testing.T) {
	r := request(t, browserHead)
	for _, set := range []error{
		r.SetHeader("x-node", "a"),
		r.SetHeader("X-Node", "b"),
		r.AddHeader("Set-Cookie", "a=1; Path=/"),
		r.AddHeader("Set-Cookie", "b=2"),
		r.SetHeader("Empty", ""),
	} {
		if set != nil {
			t.Error(set)
		}
	}
	want := http.Header{"X-Node": {"b"}, "Set-Cookie": {"a=1; Path=/", "b=2"}, "Empty": {""}}
	if got := r.ResponseHeader(); !reflect.DeepEqual(got, want) {
		t.Errorf("ResponseHeader() = %v, want %v", got, want)
	}
}

func TestResponseHeaderRefuses(t *testing.T) {
	tests := []struct{ test, name, value string }{
		{"empty name", "", "a"},
		{"space in name", "A B", "a"},
		{"colon in name", "A:", "a"},
		{"line break in name", "A\r\nB", "a"},
		{"CR in value", "A", "a\rb"},
		{"LF in value", "A", "a\nB: c"},
		{"NUL in value", "A", "\x00"},
		{"Connection", "connection", "close"},
		{"Upgrade", "Upgrade", "h2c"},
		{"accept", "sec-websocket-accept", "a"},
		{"sub-protocol", "Sec-WebSocket-Protocol", "a"},
		{"extension", "SEC-WEBSOCKET-EXTENSIONS", "a"},
		{"length", "Content-Length", "0"},
		{"encoding", "Transfer-Encoding", "chunked"},
		{"trailer", "Trailer", "A"},
	}
	for _, tt := range tests {
		t.Run(tt.test, func(t *testing.T) {
			r := request(t, browserHead)
			if err := r.SetHeader(tt.name, tt.value); !errors.Is(err, handler.ErrBadHeader) {
				t.Errorf("SetHeader(%q, %q) = %v, want ErrBadHeader", tt.name, tt.value, err)
			}
			if err := r.AddHeader(tt.name, tt.value); !errors.Is(err, handler.ErrBadHeader) {
				t.Errorf("AddHeader(%q, %q) = %v, want ErrBadHeader", tt.name, tt.value, err)
			}
			if got := r.ResponseHeader(); len(got) != 0 {
				t.Errorf("ResponseHeader() = %v, want nothing", got)
			}
		})
	}
}

func TestParseRequestAllocs(t *testing.T) {
	head := []byte(browserHead)
	// The string, the Request, the unescaped path, and the list of sub-protocols,
	// which grows from one to two.
	if got := testing.AllocsPerRun(100, func() { mustParse(t, head) }); got > 5 {
		t.Errorf("ParseRequest: %v allocations, want at most 5", got)
	}
	plain := []byte("GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	if got := testing.AllocsPerRun(100, func() { mustParse(t, plain) }); got > 2 {
		t.Errorf("ParseRequest without sub-protocol: %v allocations, want at most 2", got)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	head := []byte(browserHead)
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		mustParse(b, head)
	}
}

// FuzzParseRequest checks that an accepted head is what its parts say, that it
// means the same when parsed again, and that net/http reads the same from it.
func FuzzParseRequest(f *testing.F) {
	line, fields, _ := strings.Cut(strings.TrimSuffix(browserHead, "\r\n"), "\r\n")
	f.Add(line, fields)
	f.Add("GET http://[::1]:81?a=%20 HTTP/1.0", "")
	f.Add("OPTIONS * HTTP/1.1", "hOst: h\r\nA:\tb \r\na: c\r\nPragma: no-cache\r\n")
	f.Add("POST //a/%2e%2E/b HTTP/1.1", "Host: a_b.c:80\r\nSec-WebSocket-Protocol: a, ,b\r\n")
	f.Add("GET wss://h/?? HTTP/1.9", "Host:\r\n: b\r\n c\r\nd\r\n")
	f.Fuzz(func(t *testing.T, line, fields string) {
		head := line + "\r\n" + fields + "\r\n"
		r, err := handler.ParseRequest([]byte(head))
		if err != nil {
			return
		}
		again := fmt.Sprintf("%s %s HTTP/1.%d\r\n%s\r\n", r.Method, r.URI, r.ProtoMinor, r.Header)
		if again != head {
			t.Errorf("accepted %q, which reads %q", head, again)
		}
		if got := request(t, again); !reflect.DeepEqual(got, r) {
			t.Errorf("parsed again: %+v, want %+v", got, r)
		}
		if !isFramed(r) && r.Method != http.MethodConnect {
			compareNetHTTP(t, r, head)
		}
	})
}

// isFramed reports whether the request has fields that net/http interprets, and
// may refuse, as the length of a body.
func isFramed(r *handler.Request) bool {
	return len(r.Header.Values("Content-Length"))+len(r.Header.Values("Transfer-Encoding")) > 0
}

func compareNetHTTP(t *testing.T, r *handler.Request, head string) {
	t.Helper()
	want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		t.Fatalf("accepted %q, but net/http says %v", head, err)
	}
	if want.URL.Path == "" { // an absolute URI without a path
		want.URL.Path = "/"
	}
	if r.Method != want.Method || r.URI != want.RequestURI || r.Path != want.URL.Path ||
		r.RawQuery != want.URL.RawQuery || r.Host != want.Host || r.ProtoMinor != want.ProtoMinor {
		t.Errorf("ParseRequest(%q) = %+v, net/http has %+v", head, r, want)
	}
	got := make(http.Header)
	for name, value := range r.Header.All() {
		got.Add(name, value)
	}
	got.Del("Host") // net/http has it in Request.Host alone
	if got.Get("Cache-Control") == "" && got.Get("Pragma") == "no-cache" {
		want.Header.Del("Cache-Control") // net/http derives it from Pragma
		got.Del("Cache-Control")
	}
	if !maps.EqualFunc(got, want.Header, slices.Equal) {
		t.Errorf("ParseRequest(%q): header %v, net/http has %v", head, got, want.Header)
	}
}

// request parses a head that has no fault.
func request(t testing.TB, head string) *handler.Request {
	t.Helper()
	return mustParse(t, []byte(head))
}

func mustParse(t testing.TB, head []byte) *handler.Request {
	t.Helper()
	r, err := handler.ParseRequest(head)
	if err != nil {
		t.Fatalf("ParseRequest(%q): %v", head, err)
	}
	return r
}
