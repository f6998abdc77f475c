package feed_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/feed"
)

// A feed that is closed goes on serving subscribers, and publishes nothing whoever asks.
func TestClose(t *testing.T) {
	s := start(t, withPublishKey(t), engine.Options{})
	tok := token(t, may(">", ""))
	c := s.dial(t, "/feed/a?token="+tok)
	c.expect(`{"type":"subscribed","topic":"a","offset":0}`)
	s.publish(t, "a", "1")
	c.expect(`{"type":"message","topic":"a","offset":1,"data":1}`)
	s.Close()
	s.Close()
	for _, topic := range []string{"a", "new"} {
		if p, err := s.Publish(topic, feed.Message{}); !errors.Is(err, feed.ErrClosed) || p.Count != 0 {
			t.Errorf("publishing to %s: %+v, %v; want ErrClosed", topic, p, err)
		}
		if status, answer := s.post(t, topic, "text/plain", tok, "x"); status != http.StatusServiceUnavailable {
			t.Errorf("POST to %s: %d %s; want 503", topic, status, answer)
		}
		c.send(`{"op":"publish","topic":"` + topic + `","data":1}`)
		c.expect(`{"type":"error","op":"publish","topic":"` + topic + `","code":"closing"}`)
	}
	late := s.dial(t, "/feed/a")
	late.expect(`{"type":"subscribed","topic":"a","offset":1}`, `{"type":"message","topic":"a","offset":1,"data":1}`)
}

// A request that waits for its body while the feed is closed publishes nothing: it was asked
// before the body was read, whether that is welcome.
func TestCloseWhileABodyIsRead(t *testing.T) {
	s := start(t, withPublishKey(t), engine.Options{})
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// The answer 100 says that the body is being read.
	if _, err := fmt.Fprintf(c, "POST /publish/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"+
		"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", token(t, may("a", ""))); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v; want 100 Continue", line, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %s; want 503", response.Status)
	}
}

// What is published before Close has returned, or while it runs, is whole and has the offsets
// up to some number; what is published afterwards has none.
func TestCloseWhileOthersPublish(t *testing.T) {
	for range 50 {
		f, err := feed.New(feed.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var publishers, first sync.WaitGroup
		var mu sync.Mutex
		published, last := make(map[string]int), make(map[string]uint64)
		for n := range 4 {
			first.Add(1)
			publishers.Go(func() {
				for i := n; ; i++ {
					name := fmt.Sprint("t", i%20)
					p, err := f.Publish(name, feed.Message{}, feed.Message{})
					mu.Lock()
					published[name] += p.Count
					if err == nil {
						last[name] = max(last[name], p.Offset)
					}
					mu.Unlock()
					if err != nil {
						if !errors.Is(err, feed.ErrClosed) || p.Count != 0 {
							t.Errorf("%s: %+v, %v; want ErrClosed", name, p, err)
						}
						return
					}
					if i == n {
						first.Done()
					}
				}
			})
		}
		first.Wait()
		f.Close()
		p, err := f.Publish("t0", feed.Message{})
		if !errors.Is(err, feed.ErrClosed) {
			t.Errorf("after Close: %+v, %v", p, err)
		}
		publishers.Wait()
		for name, n := range published {
			if last[name] != uint64(n) {
				t.Errorf("%s: %d messages were published, up to offset %d", name, n, last[name])
			}
		}
		if p.Offset != last["t0"] {
			t.Errorf("t0 went on after Close: %d, then %d", p.Offset, last["t0"])
		}
	}
}
