package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A client with a rate gets no more than that allows, the newest value of each key at
// the end, and the rest is counted as conflated, whatever the policy. Without the
// rate it gets everything again.
func TestSetRate(t *testing.T) {
	for _, limit := range []handler.Rate{{Messages: 20}, {Bytes: 20 * bulk}} {
		eachMode(t, func(t *testing.T, mode engine.Mode) {
			const published, keys, perSecond = 400, 5, 20
			a := newAccountant(t)
			e := startFeed(t, engine.Options{Mode: mode, Mux: routes(a)})
			client, conn := dialSubscriber(t, e, "feed")
			watch, _ := dialSubscriber(t, e, "feed")
			start := time.Now()
			if err := conn.SetRate(limit); err != nil {
				t.Fatal(err)
			}
			for i := range published {
				publishTo(t, e, "feed", i)
				watch.expectNews(t, i)
			}
			keyOf := make([]int, published)
			for i := range keyOf {
				keyOf[i] = i % keys
			}
			var got []int
			for newest := 0; newest < keys; {
				i, more := client.nextNews(t)
				if !more {
					t.Fatal("the feed has ended")
				}
				got = append(got, i)
				if i >= published-keys {
					newest++
				}
			}
			passed := time.Since(start) + time.Millisecond // which the engine's clock counts
			if most := int((passed.Seconds()+0.25)*perSecond) + 1; len(got) > most {
				t.Errorf("%d messages; want at most %d", len(got), most)
			}
			checkConflated(t, keyOf, got)
			eventually(t, "the handler is told of what was missed", func() bool { return a.totals()["feed"] == published-len(got) })
			if n := e.Counters().Missed[engine.Missed{Policy: handler.Conflate, Topic: "feed"}]; int(n) != published-len(got) {
				t.Errorf("%d counted as conflated; want %d", n, published-len(got))
			}

			if err := conn.SetRate(handler.Rate{}); err != nil {
				t.Fatal(err)
			}
			for i := range published {
				publishTo(t, e, "feed", i)
				watch.expectNews(t, i)
				client.expectNews(t, i)
			}
		})
	}
}

// What waits for its time when the connection is closed is sent before the close
// frame, and what waits when the rate ends is sent at once.
func TestRateEnds(t *testing.T) {
	const published = 10
	for name, end := range map[string]func(handler.Conn) error{
		"close": func(c handler.Conn) error { return c.Close(frame.CloseNormal, "") },
		"rate": func(c handler.Conn) error {
			return errors.Join(c.SetRate(handler.Rate{}), c.Close(frame.CloseNormal, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := startFeed(t, engine.Options{})
			client, conn := dialSubscriber(t, e, "feed")
			watch, _ := dialSubscriber(t, e, "feed")
			if err := conn.SetRate(handler.Rate{Messages: 1}); err != nil {
				t.Fatal(err)
			}
			for i := range published {
				publishKey(t, e, i, string(rune('a'+i)))
				watch.expectNews(t, i)
			}
			if err := end(conn); err != nil {
				t.Fatal(err)
			}
			if got := client.readAll(t); len(got) != published {
				t.Errorf("got %v; want %d messages", got, published)
			}
		})
	}
	e := startFeed(t, engine.Options{})
	_, conn := dialSubscriber(t, e)
	if err := conn.SetRate(handler.Rate{Bytes: -1}); !errors.Is(err, handler.ErrRate) {
		t.Errorf("SetRate with a negative rate: %v; want ErrRate", err)
	}
}

// With TLS, too, all that waits follows when a rate ends, and not only what one write takes.
func TestRateEndsWithTLS(t *testing.T) {
	const published = 500
	ca := newAuthority(t)
	e := startFeed(t, engine.Options{TLS: withCertificate(ca.issue(t, "server")), PingInterval: -1})
	client, conn := dialSecureSubscriber(t, e, ca, "feed")
	watch, _ := dialSecureSubscriber(t, e, ca, "feed")
	if err := conn.SetRate(handler.Rate{Messages: 1}); err != nil {
		t.Fatal(err)
	}
	for i := range published {
		text := fmt.Sprint(i)
		if _, err := e.Hub().Publish("feed", frame.Text, []byte(text), handler.PublishOptions{Key: text}); err != nil {
			t.Fatal(err)
		}
		watch.expectText(t, text)
	}
	if err := conn.SetRate(handler.Rate{}); err != nil {
		t.Fatal(err)
	}
	for i := range published {
		client.expectText(t, fmt.Sprint(i))
	}
}

// SetRate takes its place among what the same goroutine publishes.
func TestSetRateBehindPublications(t *testing.T) {
	e := startEngine(t, engine.Options{
		Mux: routes(subscriber()), Topics: []engine.TopicOptions{{Pattern: "a", Window: 50 * time.Millisecond}},
	})
	client, conn := dialSubscriber(t, e, "a")
	publish(t, e, "a", "1", nil)
	publish(t, e, "a", "2", nil)
	if err := conn.SetRate(handler.Rate{Messages: 1}); err != nil {
		t.Fatal(err)
	}
	client.expectText(t, "1")
	client.expectText(t, "2")
}
