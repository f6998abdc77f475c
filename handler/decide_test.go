package handler_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/weirws/weir/handler"
)

// handshake is a good opening handshake for /echo. edits are pairs of a line in
// it and what stands in its place; an empty line stands for the end.
func handshake(t *testing.T, edits ...string) *handler.Request {
	t.Helper()
	head := "GET /echo HTTP/1.1\r\n" +
		"Host: example.com\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"\r\n"
	for i := 0; i < len(edits); i += 2 {
		line := edits[i] + "\r\n"
		if !strings.Contains(head, line) {
			t.Fatalf("handshake has no line %q", edits[i])
		}
		head = strings.Replace(head, line, edits[i+1], 1)
	}
	return request(t, head)
}

func echoMux(t *testing.T, route handler.Route) *handler.Mux {
	t.Helper()
	route.Path, route.Handler = "/echo", handler.Echo{}
	m := handler.NewMux()
	if err := m.Add(route); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecideAccepts(t *testing.T) {
	const version, key = "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	tests := []struct {
		name  string
		edits []string
	}{
		{"as it is", nil},
		{"trailing slash", []string{"GET /echo HTTP/1.1", "GET /echo/ HTTP/1.1\r\n"}},
		{"query", []string{"GET /echo HTTP/1.1", "GET /echo?a=b HTTP/1.1\r\n"}},
		{"percent-encoded path", []string{"GET /echo HTTP/1.1", "GET /%65cho HTTP/1.1\r\n"}},
		{"absolute URI", []string{"GET /echo HTTP/1.1", "GET http://example.com/echo HTTP/1.1\r\n"}},
		{"length 0", []string{version, version + "\r\nContent-Length: 0\r\n"}},
		{"case of names", []string{key, strings.ToLower(key[:17]) + key[17:] + "\r\n"}},
		{"same origin", []string{version, version + "\r\nOrigin: https://example.com\r\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			route, refusal := echoMux(t, handler.Route{}).Decide(handshake(t, tt.edits...), handler.Policy{})
			if refusal != nil || route == nil || route.Path != "/echo" {
				t.Errorf("Decide = %+v, %v; want /echo", route, refusal)
			}
		})
	}
}

func TestDecideRefuses(t *testing.T) {
	const (
		line       = "GET /echo HTTP/1.1"
		upgrade    = "Upgrade: websocket"
		connection = "Connection: Upgrade"
		version    = "Sec-WebSocket-Version: 13"
		key        = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	)
	tests := []struct {
		name   string
		edits  []string
		status int
		header string // a line the response must have
	}{
		{"unknown path", []string{line, "GET /none HTTP/1.1\r\n"}, 404, ""},
		{"path below", []string{line, "GET /echo/x HTTP/1.1\r\n"}, 404, ""},
		{"unknown path goes before method", []string{line, "POST /none HTTP/1.1\r\n"}, 404, ""},
		{"POST", []string{line, "POST /echo HTTP/1.1\r\n"}, 405, "Allow: GET"},
		{"HEAD", []string{line, "HEAD /echo HTTP/1.1\r\n"}, 405, "Allow: GET"},
		{"case of method", []string{line, "get /echo HTTP/1.1\r\n"}, 405, "Allow: GET"},
		{"POST that is no upgrade", []string{line, "POST /echo HTTP/1.1\r\n", upgrade, ""}, 405, "Allow: GET"},
		{"no Upgrade", []string{upgrade, ""}, 426, "Upgrade: websocket"},
		{"no Connection", []string{connection, ""}, 426, "Connection: Upgrade"},
		{"plain HTTP/1.0", []string{line, "GET /echo HTTP/1.0\r\n", upgrade, ""}, 426, "Upgrade: websocket"},
		{"HTTP/1.0", []string{line, "GET /echo HTTP/1.0\r\n"}, 505, ""},
		{"length", []string{key, key + "\r\nContent-Length: 5\r\n"}, 400, ""},
		{"two lengths", []string{key, key + "\r\nContent-Length: 0\r\nContent-Length: 0\r\n"}, 400, ""},
		{"chunked body", []string{key, key + "\r\nTransfer-Encoding: chunked\r\n"}, 400, ""},
		{"no version", []string{version, ""}, 400, "Sec-Websocket-Version: 13"},
		{"empty version", []string{version, "Sec-WebSocket-Version:\r\n"}, 400, "Sec-Websocket-Version: 13"},
		{"two versions", []string{version, version + "\r\n" + version + "\r\n"}, 400, "Sec-Websocket-Version: 13"},
		{"version 8", []string{version, "Sec-WebSocket-Version: 8\r\n"}, 426, "Sec-Websocket-Version: 13"},
		{"version 8 names the protocol", []string{version, "Sec-WebSocket-Version: 8\r\n"}, 426, "Upgrade: websocket"},
		{"version is no number", []string{version, "Sec-WebSocket-Version: x\r\n"}, 426, "Sec-Websocket-Version: 13"},
		{"list of versions", []string{version, "Sec-WebSocket-Version: 13, 8\r\n"}, 426, "Sec-Websocket-Version: 13"},
		{"version goes before key", []string{version, "Sec-WebSocket-Version: 8\r\n", key, ""}, 426, ""},
		{"no key", []string{key, ""}, 400, ""},
		{"empty key", []string{key, "Sec-WebSocket-Key:\r\n"}, 400, ""},
		{"two keys", []string{key, key + "\r\n" + key + "\r\n"}, 400, ""},
		{"key of 15 bytes", []string{key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n"}, 400, ""},
		{"key of 17 bytes", []string{key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n"}, 400, ""},
		{"key of 18 bytes", []string{key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA\r\n"}, 400, ""},
		{"key without padding", []string{key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n"}, 400, ""},
		{"key is not base64", []string{key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n"}, 400, ""},
		{"foreign origin", []string{version, version + "\r\nOrigin: http://evil.example\r\n"}, 403, ""},
		{"null origin", []string{version, version + "\r\nOrigin: null\r\n"}, 403, ""},
		{"two origins", []string{version, version + "\r\nOrigin: http://example.com\r\nOrigin: http://evil.example\r\n"}, 400, ""},
		{"key goes before origin", []string{key, "Origin: http://evil.example\r\n"}, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := handshake(t, tt.edits...)
			route, refusal := echoMux(t, handler.Route{}).Decide(r, handler.Policy{})
			if route != nil || refusal == nil {
				t.Fatalf("Decide = %+v, %v; want a refusal", route, refusal)
			}
			if refusal.Status != tt.status || len(refusal.Body) == 0 {
				t.Errorf("Decide: %v, want status %d and a body", refusal, tt.status)
			}
			var header bytes.Buffer
			if err := refusal.Header.Write(&header); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{tt.header, "Content-Type: text/plain; charset=utf-8"} {
				if want != "" && !strings.Contains(header.String(), want+"\r\n") {
					t.Errorf("Decide: header %q, want %q in it", &header, want)
				}
			}
		})
	}
}

func TestDecideOrigin(t *testing.T) {
	partner := []string{"partner.example"}
	tests := []struct {
		name   string
		route  []string
		policy []string
		origin string
		want   bool
	}{
		{"policy", nil, partner, "http://partner.example", true},
		{"policy says any", nil, []string{"*"}, "http://evil.example", true},
		{"route", partner, nil, "http://partner.example", true},
		{"route replaces policy", partner, []string{"*"}, "http://evil.example", false},
		{"empty route replaces policy", []string{}, []string{"*"}, "http://partner.example", false},
		{"same origin stays", []string{}, nil, "http://example.com", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const version = "Sec-WebSocket-Version: 13"
			r := handshake(t, version, version+"\r\nOrigin: "+tt.origin+"\r\n")
			_, refusal := echoMux(t, handler.Route{Origins: tt.route}).Decide(r, handler.Policy{Origins: tt.policy})
			if (refusal == nil) != tt.want {
				t.Errorf("Decide of origin %q: %v, want accepted %v", tt.origin, refusal, tt.want)
			}
		})
	}
}

func TestDecideSubprotocol(t *testing.T) {
	tests := []struct {
		name          string
		offer         string
		route, policy []string
		want          string
	}{
		{"none offered", "", []string{"a"}, nil, ""},
		{"none spoken", "a", nil, nil, ""},
		{"none in common", "a, b", []string{"c"}, nil, ""},
		{"the client's order counts", "b, a", []string{"a", "b"}, nil, "b"},
		{"first in common", "x, b, a", []string{"a", "b"}, nil, "b"},
		{"case counts", "A, b", []string{"a", "b"}, nil, "b"},
		{"two fields", "x\r\nSec-WebSocket-Protocol: a", []string{"a"}, nil, "a"},
		{"policy", "a, b", nil, []string{"b"}, "b"},
		{"route replaces policy", "a, b", []string{"a"}, []string{"b"}, "a"},
		{"empty route replaces policy", "b", []string{}, []string{"b"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const version = "Sec-WebSocket-Version: 13"
			r := handshake(t, version, version+"\r\nSec-WebSocket-Protocol: "+tt.offer+"\r\n")
			_, refusal := echoMux(t, handler.Route{Subprotocols: tt.route}).Decide(r, handler.Policy{Subprotocols: tt.policy})
			if refusal != nil || r.Subprotocol != tt.want {
				t.Errorf("Decide of offer %q: %q, %v; want %q", tt.offer, r.Subprotocol, refusal, tt.want)
			}
		})
	}
}

func TestPolicyCheck(t *testing.T) {
	good := handler.Policy{Origins: []string{"*", "null", "*.example.com"}, Subprotocols: []string{"v1.chat"}}
	if err := good.Check(); err != nil {
		t.Errorf("Check of %+v = %v, want nil", good, err)
	}
	bad := handler.Policy{Origins: []string{"a/b"}, Subprotocols: []string{"a,b"}}
	if err := bad.Check(); !errors.Is(err, handler.ErrBadOrigin) || !errors.Is(err, handler.ErrBadSubprotocol) {
		t.Errorf("Check of %+v = %v, want both errors", bad, err)
	}
}

func TestRefusal(t *testing.T) {
	var err error = handler.Refuse(403, "members only")
	var refusal *handler.Refusal
	if !errors.As(err, &refusal) || refusal.Status != 403 || string(refusal.Body) != "members only" {
		t.Errorf("Refuse = %+v, want 403 with its body", refusal)
	}
	if got, want := err.Error(), "handler: refused with 403: members only"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
