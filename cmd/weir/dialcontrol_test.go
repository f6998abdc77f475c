package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// controlServer sends pings and pongs between two messages, expects the pongs, and closes.
func controlServer(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		var pongs []string
		c.SetPongHandler(func(payload string) error {
			pongs = append(pongs, payload)
			return nil
		})
		deadline := time.Now().Add(time.Minute)
		err = c.WriteMessage(websocket.TextMessage, []byte("a"))
		for _, payload := range []string{"", "é\x1b", "\xff\x00"} {
			for _, op := range []int{websocket.PingMessage, websocket.PongMessage} {
				if err == nil {
					err = c.WriteControl(op, []byte(payload), deadline)
				}
			}
		}
		if err == nil {
			err = c.WriteMessage(websocket.BinaryMessage, []byte("b"))
		}
		if err == nil {
			err = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), deadline)
		}
		if err != nil {
			t.Error(err)
		}
		_, _, err = c.ReadMessage()
		if got := strings.Join(pongs, ","); !websocket.IsCloseError(err, 1000) || got != ",é\x1b,\xff\x00" {
			t.Errorf("the server got the pongs %q, then %v", got, err)
		}
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func TestDialPrintsControlFrames(t *testing.T) {
	url := controlServer(t)
	code, stdout, stderr := dialWith(t, "", "--wait", "0", url)
	if got, want := contents(stdout), "text   a\nbinary 62\n"; code != exitOK || got != want {
		t.Errorf("exit code %d, printed %q; want %q", code, got, want)
	}
	want := "open   " + strings.TrimPrefix(url, "ws://") + "\n" +
		"ping   \npong   \nping   é\\x1b\npong   é\\x1b\nping   ff00\npong   ff00\nclose  1000 normal closure\n"
	if got := contents(stderr); got != want {
		t.Errorf("noted %q; want %q", got, want)
	}

	code, stdout, stderr = dialWith(t, "", "--wait", "0", "--json", url)
	got := regexp.MustCompile(`(?m)"time":"[^"]*",`).ReplaceAllString(stdout, "")
	_, got, _ = strings.Cut(got, "\n") // open
	want = `{"event":"message","kind":"text","text":"a"}
{"event":"ping","text":""}
{"event":"pong","text":""}
{"event":"ping","text":"é\u001b"}
{"event":"pong","text":"é\u001b"}
{"event":"ping","base64":"/wA="}
{"event":"pong","base64":"/wA="}
{"event":"message","kind":"binary","base64":"Yg=="}
{"event":"close","code":1000,"reason":"","clean":true}
`
	if code != exitOK || stderr != "" || got != want {
		t.Errorf("exit code %d, noted %q, printed %s; want %s", code, stderr, got, want)
	}
}

// Pings do not put off the end of a silence, and are no answer to wait for.
func TestDialOnceWithPingsAlone(t *testing.T) {
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.SetPongHandler(func(string) error { return c.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Minute)) })
		_ = c.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Minute)) // reading tells
		_, _, _ = c.ReadMessage()                                                   // until the client leaves
	}))
	t.Cleanup(s.Close)
	code, stdout, stderr := dialWith(t, "", "--once", "--timeout", "200ms", "ws"+strings.TrimPrefix(s.URL, "http"))
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "no message came within 200ms") {
		t.Errorf("exit code %d, printed %q, noted %.500q; want %d and that no message came", code, stdout, stderr, exitFailed)
	}
	<-done
}
