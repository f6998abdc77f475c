package nanonext_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

func TestRow01BinaryEcho(t *testing.T) {
	c := dial(t, start(t, engine.Options{}, nanonext.WebSocket{Path: "/", Message: echo}), "/")
	c.send(websocket.BinaryMessage, "\x01\x00\x02")
	c.expect(websocket.BinaryMessage, "\x01\x00\x02")
}

func TestRow02TextEcho(t *testing.T) {
	c := dial(t, start(t, engine.Options{}, nanonext.WebSocket{Path: "/", Text: true, Message: echo}), "/")
	c.send(websocket.TextMessage, "héllo")
	c.expect(websocket.TextMessage, "héllo")
}

func TestRow03SeveralPaths(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "/echo", Text: true, Message: echo},
		nanonext.WebSocket{Path: "/upper", Text: true, Message: func(ws nanonext.Conn, data []byte) {
			_ = ws.Send([]byte(strings.ToUpper(string(data))))
		}},
	)
	for path, want := range map[string]string{"/echo": "abc", "/upper": "ABC"} {
		c := dial(t, s, path)
		c.send(websocket.TextMessage, "abc")
		c.expect(websocket.TextMessage, want)
	}
}

func TestRow04OnePortForBoth(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "/ws", Text: true, Message: echo},
		nanonext.Inline{Path: "/", Data: []byte("page")},
	)
	c := dial(t, s, "/ws")
	if _, body := get(t, s, "/", http.StatusOK); body != "page" {
		t.Errorf("GET / is %q; want page", body)
	}
	c.send(websocket.TextMessage, "still here")
	c.expect(websocket.TextMessage, "still here")
}

func TestRow05UnknownPath(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Message: echo})
	if r := refused(t, s, "/nope"); r.StatusCode != http.StatusNotFound {
		t.Errorf("upgrade of /nope: %s; want 404", r.Status)
	}
	get(t, s, "/nope", http.StatusNotFound)
}

func TestRow06QueryAndSlash(t *testing.T) {
	uris := make(chan string, 1)
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Open: func(_ nanonext.Conn, r *handler.Request) error {
		uris <- r.URI
		return nil
	}})
	for _, target := range []string{"/ws?x=1", "/ws/", "/%77s/?"} {
		dial(t, s, target)
		if got := receive(t, "Open", uris); got != target {
			t.Errorf("the callback sees %q; want %q", got, target)
		}
	}
}

func TestRow07PrefixDoesNotMatch(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Message: echo})
	for _, path := range []string{"/ws/sub", "/ws//", "/wss", "/w"} {
		if r := refused(t, s, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("upgrade of %s: %s; want 404", path, r.Status)
		}
	}
}

func TestRow08PlainGet(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Message: echo}, nanonext.Directory{Path: "/", Dir: t.TempDir()})
	r := raw(t, s, "GET /ws HTTP/1.1")
	if r.StatusCode != http.StatusUpgradeRequired || !r.Close {
		t.Errorf("%s, close %v; want 426 and a close", r.Status, r.Close)
	}
	if _, err := io.ReadAll(r.Body); err != nil {
		t.Errorf("reading the body: %v", err)
	}
}

func TestRow09BadHandshakes(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Message: echo})
	const version, key = "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	for _, tt := range []struct {
		name, method   string
		version, key   string
		status         int
		versionInReply string
	}{
		{"version 8", "GET", "Sec-WebSocket-Version: 8", key, 426, "13"},
		{"no version", "GET", "X-None: 0", key, 400, "13"},
		{"no key", "GET", version, "X-None: 0", 400, ""},
		{"malformed key", "GET", version, "Sec-WebSocket-Key: short", 400, ""},
		{"POST", "POST", version, key, 405, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := raw(t, s, tt.method+" /ws HTTP/1.1", "Connection: keep-alive, Upgrade", "Upgrade: websocket", tt.version, tt.key)
			if got := r.Header.Get("Sec-WebSocket-Version"); r.StatusCode != tt.status || got != tt.versionInReply {
				t.Errorf("%s, version %q; want %d, %q", r.Status, got, tt.status, tt.versionInReply)
			}
		})
	}
}

func TestRow10AnyHost(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Message: echo})
	_, port, _ := strings.Cut(address(t, s), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "weir.example"} {
		c := dial(t, s, "/ws", "Host: "+host+":"+port)
		c.send(websocket.TextMessage, host)
		c.expect(websocket.TextMessage, host)
	}
}

func TestRow11OpenSeesRequest(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws", Text: true, Open: func(ws nanonext.Conn, r *handler.Request) error {
		return ws.Send([]byte(r.URI + " " + r.Header.Get("x-test") + "\n" + r.Header.String()))
	}})
	_, r := rawConn(t, s, "GET /ws?a=%20b HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "x-TEST: one")
	if r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", r.Status)
	}
	c := dial(t, s, "/ws?a=%20b", "X-Test: one")
	_, got, err := c.ReadMessage()
	if want := "/ws?a=%20b one\nHost: " + address(t, s) + "\r\n"; err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("got %q, error %v; want %q and the other fields in order", got, err, want)
	}
}

func TestRow12RefuseAtOpen(t *testing.T) {
	calls := make(chan string, 2)
	s := start(t, engine.Options{}, nanonext.WebSocket{
		Path: "/ws", Text: true,
		Open: func(_ nanonext.Conn, r *handler.Request) error {
			if r.Header.Get("Authorization") != "Bearer open sesame" {
				return handler.Refuse(http.StatusUnauthorized, "who are you?")
			}
			return nil
		},
		Message: func(ws nanonext.Conn, data []byte) { calls <- "message"; echo(ws, data) },
		Close:   func(nanonext.Conn, handler.CloseStatus) { calls <- "close" },
	})
	r := refused(t, s, "/ws")
	if body, err := io.ReadAll(r.Body); r.StatusCode != http.StatusUnauthorized || string(body) != "who are you?" {
		t.Errorf("%s, %q, %v; want 401", r.Status, body, err)
	}
	c := dial(t, s, "/ws", "Authorization: Bearer open sesame")
	c.send(websocket.TextMessage, "hi")
	c.expect(websocket.TextMessage, "hi")
	c.closeWith(1000, "")
	if got := []string{receive(t, "a callback", calls), receive(t, "a callback", calls)}; got[0] != "message" || got[1] != "close" {
		t.Errorf("callbacks %q; want those of the second connection alone", got)
	}
}

func TestRow13Origin(t *testing.T) {
	s := start(t, engine.Options{},
		nanonext.WebSocket{Path: "/same", Message: echo},
		nanonext.WebSocket{Path: "/partner", Origins: []string{"https://partner.example"}, Message: echo},
		nanonext.WebSocket{Path: "/any", Origins: []string{"*"}, Message: echo},
	)
	const foreign = "Origin: https://evil.example"
	for _, path := range []string{"/same", "/partner"} {
		if r := refused(t, s, path, foreign); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s from a foreign origin: %s; want 403", path, r.Status)
		}
	}
	dial(t, s, "/same", "Origin: "+s.URL())
	dial(t, s, "/partner", "Origin: https://partner.example")
	dial(t, s, "/any", foreign)
}

func TestRow14Subprotocol(t *testing.T) {
	s := start(t, engine.Options{Subprotocols: []string{"chat"}}, nanonext.WebSocket{Path: "/ws", Message: echo})
	for _, tt := range []struct {
		offer []string
		want  string
	}{
		{[]string{"Sec-WebSocket-Protocol: x, chat"}, "chat"},
		{[]string{"Sec-WebSocket-Protocol: x"}, ""},
		{nil, ""},
	} {
		lines := append([]string{"GET /ws HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, tt.offer...)
		r := raw(t, s, lines...)
		got, present := r.Header["Sec-Websocket-Protocol"]
		if r.StatusCode != http.StatusSwitchingProtocols || strings.Join(got, "|") != tt.want || present != (tt.want != "") {
			t.Errorf("offer %q: %s, answer %q; want %q", tt.offer, r.Status, got, tt.want)
		}
	}
}

func TestRow50ManyServers(t *testing.T) {
	handlers := nanonext.WebSocket{Path: "/ws", Text: true, Message: func(ws nanonext.Conn, data []byte) {
		ws.Hub().Broadcast(1, data, handler.Audience{})
	}}
	servers := []*nanonext.Server{start(t, engine.Options{}, handlers), start(t, engine.Options{}, handlers)}
	clients := []*client{dial(t, servers[0], "/ws"), dial(t, servers[1], "/ws")}
	for i, c := range clients {
		for n := range 3 {
			c.send(websocket.TextMessage, fmt.Sprintf("server %d, message %d", i, n))
		}
	}
	for i, c := range clients {
		for n := range 3 {
			c.expect(websocket.TextMessage, fmt.Sprintf("server %d, message %d", i, n))
		}
	}
}

func TestRow52MissingCallbacks(t *testing.T) {
	s := start(t, engine.Options{}, nanonext.WebSocket{Path: "/ws"})
	c := dial(t, s, "/ws")
	c.send(websocket.TextMessage, "nobody listens")
	c.closeWith(1000, "")
	c.expectClose(1000, "")
}
