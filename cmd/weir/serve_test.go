package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestServeEchoesAndBroadcasts(t *testing.T) {
	for _, handlers := range []string{"workers", "service", "loop"} {
		t.Run(handlers, func(t *testing.T) {
			w := serveHere(t, "--address", "127.0.0.1:0", "--handlers", handlers)
			echo := w.dial(t, "/echo", nil)
			one := w.dial(t, "/broadcast", nil)
			write(t, one, "alone")
			wantMessage(t, one, "alone")
			two := w.dial(t, "/broadcast", nil)
			write(t, two, "together") // its answer says that the second one is in the hub
			wantMessage(t, one, "together")
			wantMessage(t, two, "together")

			write(t, echo, "to myself")
			write(t, one, "to all")
			wantMessage(t, echo, "to myself")
			wantMessage(t, one, "to all")
			wantMessage(t, two, "to all")
			for _, c := range []*websocket.Conn{echo, one, two} {
				c.Close()
			}
			if code := w.end(t); code != exitOK {
				t.Errorf("exit code %d; it said: %s", code, w.stderr)
			}
		})
	}
}

func TestServeAnswersHTTP(t *testing.T) {
	w := serveHere(t, "--address", "127.0.0.1:0")
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	for path, want := range map[string]int{"/": 200, "/healthz": 200, "/readyz": 200, "/none": 404, "/echo": 426} {
		response, err := client.Get("http://" + w.address + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, response.StatusCode, want)
		}
	}
}

func TestServeHeedsItsFlags(t *testing.T) {
	w := serveHere(t, "--address", "127.0.0.1:0", "--loops", "2", "--max-connections", "1", "--max-message", "1000",
		"--origin", "example.com", "--subprotocol", "b", "--compression")
	dialer := websocket.Dialer{Subprotocols: []string{"a", "b"}, EnableCompression: true}
	dial := func(origin string) (*websocket.Conn, *http.Response) {
		c, response, err := dialer.Dial("ws://"+w.address+"/echo", http.Header{"Origin": {origin}})
		if response == nil {
			t.Fatal(err)
		}
		return c, response
	}
	c, response := dial("https://example.com")
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", response.Status)
	}
	defer c.Close()
	if c.Subprotocol() != "b" || !strings.HasPrefix(response.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate") {
		t.Errorf("agreed on %q, %q", c.Subprotocol(), response.Header)
	}
	if _, response := dial("https://example.com"); response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("one connection too many: %s, %v", response.Status, response.Header)
	}
	if _, response := dial("https://example.org"); response.StatusCode != http.StatusForbidden {
		t.Errorf("foreign origin: %s", response.Status)
	}
	write(t, c, strings.Repeat("x", 1001))
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("a message too large: %v", err)
	}
}

func TestServeOnAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir")
	w := serveHere(t, "--network", "unix", "--address", path)
	dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return net.Dial("unix", path) }}
	c, _, err := dialer.Dial("ws://weir/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c, "hello")
	wantMessage(t, c, "hello")
	c.Close()
	if code := w.end(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestServeCannotListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tests := []struct {
		name    string
		address string
		loops   string
		want    string
	}{
		{"port in use", l.Addr().String(), "1", ": the address is in use; choose another one with --address\n"},
		{"port in use, two loops", l.Addr().String(), "2", ": the address is in use; choose another one with --address\n"},
		{"not an address of ours", "192.0.2.1:7681", "1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := call(t, "serve", "--address", tt.address, "--loops", tt.loops)
			if code != exitFailed || !strings.HasPrefix(stderr, "weir: cannot listen on "+tt.address+tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, said %q; want %d and one line that ends with %q", code, stderr, exitFailed, tt.want)
			}
		})
	}
}

func TestServeTellsItsLimits(t *testing.T) {
	w := serveHere(t, "--address", "127.0.0.1:0", "--max-connections", "16777216", "--workers", "7", "--loops", "2",
		"--max-message", "2048", "--inbox", "1000", "--outbox-soft", "3145728", "--compression")
	for _, pattern := range []string{
		`(?m)^page         http://127\.0\.0\.1:\d+/$`,
		`(?m)^echo         ws://127\.0\.0\.1:\d+/echo$`,
		`(?m)^broadcast    ws://127\.0\.0\.1:\d+/broadcast$`,
		`(?m)^handlers     on at most 7 workers; event loops: 2$`,
		`(?m)^connections  at most \d+$`,
		`(?m)^message      at most 2 KiB; compression on$`,
		`(?m)^queues       inbox 1000 bytes; outbox 3 MiB, at most 4 MiB$`,
		`(?m)^warning      the descriptor limit leaves room for \d+ connections, not 16777216: raise it \(ulimit -Hn\)$`,
	} {
		w.stderr.waitFor(t, pattern)
	}
	w = serveHere(t, "--address", "0.0.0.0:0", "--handlers", "loop")
	w.stderr.waitFor(t, `(?m)^page         http://localhost:\d+/$`)
	w.stderr.waitFor(t, `(?m)^handlers     on the loops; event loops: \d+$`)
}

// What the server says in JSON does not depend on the level of the log. With --log-level warn
// there was no address, and no token of the feed.
func TestServeSpeaksJSON(t *testing.T) {
	for _, level := range []string{"debug", "info", "warn", "error"} {
		t.Run(level, func(t *testing.T) {
			var out bytes.Buffer
			code := run(cancelled(t), []string{"serve", "--address", "127.0.0.1:0", "--feed", "--max-connections", "16777216",
				"--log-format", "json", "--log-level", level}, io.Discard, &out)
			if code != exitOK {
				t.Errorf("exit code %d", code)
			}
			var said []string
			for decoder := json.NewDecoder(&out); decoder.More(); {
				var record map[string]any
				if err := decoder.Decode(&record); err != nil {
					t.Fatalf("%v in what is left: %s", err, &out)
				}
				said = append(said, fmt.Sprint(record["level"], " ", record["msg"]))
				if record["msg"] != "listening" {
					continue
				}
				if page, _ := record["page"].(string); !strings.HasPrefix(page, "http://127.0.0.1:") || record["token"] == nil {
					t.Errorf("it said %v", record)
				}
			}
			if want := []string{"INFO listening", "WARN descriptor limit is low", "INFO draining", "INFO stopped"}; !slices.Equal(said, want) {
				t.Errorf("said %q, want %q", said, want)
			}
		})
	}
}

func TestServeRaisesTheDescriptorLimit(t *testing.T) {
	w := serveApart(t, "ulimit -S -n 256;", "--address", "127.0.0.1:0", "--max-connections", "200")
	w.stderr.waitFor(t, `(?m)^connections  at most 200$`) // 256 less the reserve would be 128
	w.end(t)
}
