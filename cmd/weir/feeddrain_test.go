package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/feed"
)

// A publication whose body comes when the server is draining is refused. The server looked
// whether it was draining before it read the body, and published it when the subscribers had
// been closed.
func TestFeedRefusesABodyThatComesInADrain(t *testing.T) {
	w := serveHere(t, "--address", "127.0.0.1:0", "--feed")
	token := w.stderr.waitFor(t, `(?m)^token +(\S+)$`)
	subscriber := w.dial(t, "/feed/a", nil)
	if _, first, err := subscriber.ReadMessage(); err != nil || !strings.Contains(string(first), `"subscribed"`) {
		t.Errorf("got %s, %v", first, err)
	}
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// The answer 100 says that the body is being read.
	if _, err := fmt.Fprintf(c, "POST /publish/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"+
		"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", token); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v; want 100 Continue", line, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if _, message, err := subscriber.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the subscriber got %s, %v; want 1001", message, err)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the publisher got %s; want 503", response.Status)
	}
}

// Nothing is published once the engine drains: not all subscribers would get it.
func TestFeedIsClosedBeforeTheDrain(t *testing.T) {
	const topics = 10_000 // take time to be closed, one after the other
	for range 5 {
		f, err := newFeed(&feedOptions{on: true})
		if err != nil {
			t.Fatal(err)
		}
		e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: newRoutes(f)})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Start(); err != nil {
			t.Fatal(err)
		}
		for i := range topics {
			if _, err := f.Publish(fmt.Sprint(i), feed.Message{}); err != nil {
				t.Fatal(err)
			}
		}
		var publisher sync.WaitGroup
		publisher.Go(func() {
			for i := 0; ; i++ {
				_, draining := e.Draining()
				_, err := f.Publish(fmt.Sprint(i%topics), feed.Message{})
				if draining && !errors.Is(err, feed.ErrClosed) {
					t.Errorf("publishing in a drain: %v", err)
				}
				if draining {
					return
				}
			}
		})
		signals := make(chan os.Signal, 1)
		signals <- syscall.SIGTERM
		if err := (&server{engine: e, feed: f, said: announcer{w: io.Discard}}).run(t.Context(), signals); err != nil {
			t.Error(err)
		}
		publisher.Wait()
	}
}
