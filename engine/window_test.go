package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// windows makes the topics that begin with slow wait for so long.
func windows(slow time.Duration) []engine.TopicOptions {
	return []engine.TopicOptions{{Pattern: "slow.none"}, {Pattern: "slow.>", Window: slow}, {Pattern: "slow.none"}}
}

// What is published to a topic with a window waits for its end, whether or not others
// come, also on a loop that has been idle.
func TestWindowEnds(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(subscriber()), Topics: windows(5 * time.Millisecond)})
		a, _ := dialSubscriber(t, e, "slow.a", "slow.b")
		b, _ := dialSubscriber(t, e, "slow.*")
		for n := 1; n <= 8; n++ {
			for i := range n {
				publish(t, e, "slow."+string("ab"[i%2]), fmt.Sprint(n, i), nil)
			}
			for i := range n {
				a.expectText(t, fmt.Sprint(n, i))
				b.expectText(t, fmt.Sprint(n, i))
			}
		}
	})
}

// A window closes early for what must not come before those that wait, or when enough
// wait. The window is longer than any test.
func TestWindowClosesEarly(t *testing.T) {
	tests := []struct {
		name    string
		waiting int
		closing func(t *testing.T, e *engine.Engine) // publishes "end"
	}{
		{"publication without a window", 3, func(t *testing.T, e *engine.Engine) { publish(t, e, "fast", "end", nil) }},
		{"first pattern counts", 3, func(t *testing.T, e *engine.Engine) { publish(t, e, "slow.none", "end", nil) }},
		{"broadcast", 3, func(t *testing.T, e *engine.Engine) {
			e.Hub().Broadcast(frame.Text, []byte("end"), handler.Audience{})
		}},
		{"as many as leave together", 63, func(t *testing.T, e *engine.Engine) { publish(t, e, "slow.x", "end", nil) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode engine.Mode) {
				e := startEngine(t, engine.Options{Mode: mode, Mux: routes(subscriber()), Topics: windows(time.Minute)})
				c, _ := dialSubscriber(t, e, "slow.>", "fast")
				for range 2 { // a window that has closed leaves nothing behind
					for i := range tt.waiting {
						publish(t, e, "slow.x", fmt.Sprint(i), nil)
					}
					tt.closing(t, e)
					for i := range tt.waiting {
						c.expectText(t, fmt.Sprint(i))
					}
					c.expectText(t, "end")
				}
			})
		})
	}
}

// So many bytes do not wait for more.
func TestWindowOfManyBytes(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(subscriber()), Topics: windows(time.Minute)})
	c, _ := dialSubscriber(t, e, "slow.x")
	large := strings.Repeat("x", 128<<10)
	for range 4 {
		publish(t, e, "slow.x", large, nil)
	}
	for range 4 {
		c.expectText(t, large)
	}
}

// A shorter window that opens during a longer one closes both.
func TestShorterWindow(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(subscriber()), Topics: []engine.TopicOptions{
		{Pattern: "short", Window: time.Millisecond}, {Pattern: "*", Window: time.Minute},
	}})
	c, _ := dialSubscriber(t, e, "long", "short")
	for i := range 5 {
		publish(t, e, "long", fmt.Sprint("long ", i), nil)
		publish(t, e, "short", fmt.Sprint("short ", i), nil)
		c.expectText(t, fmt.Sprint("long ", i))
		c.expectText(t, fmt.Sprint("short ", i))
	}
}

// Subscriptions keep their place among publications that wait.
func TestSubscribeDuringWindow(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(subscriber()), Topics: windows(time.Minute)})
	c, conn := dialSubscriber(t, e, "slow.x")
	publish(t, e, "slow.y", "not for c", nil)
	publish(t, e, "slow.x", "1", nil)
	if err := conn.Subscribe("slow.y"); err != nil {
		t.Fatal(err)
	}
	publish(t, e, "slow.y", "2", nil)
	if err := conn.Unsubscribe("slow.x"); err != nil {
		t.Fatal(err)
	}
	publish(t, e, "slow.x", "not for c", nil)
	e.Hub().Broadcast(frame.Text, []byte("end"), handler.Audience{})
	for _, want := range []string{"1", "2", "end"} {
		c.expectText(t, want)
	}
}

// Several publishers to topics with and without windows: everybody gets each publisher's
// messages in order and without a gap.
func TestWindowKeepsOrder(t *testing.T) {
	const publishers, messages = 4, 300
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(subscriber()), Topics: windows(time.Millisecond)})
		var group sync.WaitGroup
		for range 3 {
			c, _ := dialSubscriber(t, e, "slow.*", "fast")
			group.Go(func() { expectEachInOrder(t, c, publishers, messages) })
		}
		for p := range publishers {
			group.Go(func() {
				random := rand.New(rand.NewPCG(uint64(p), 1))
				for i := range messages {
					topic := "slow.x"
					if random.IntN(10) == 0 {
						topic = "fast"
					}
					publish(t, e, topic, fmt.Sprintf("%d %d", p, i), nil)
				}
			})
		}
		group.Wait()
	})
}

// expectEachInOrder reads messages of the form "publisher number".
func expectEachInOrder(t *testing.T, c *rawClient, publishers, messages int) {
	next := make([]int, publishers)
	for range publishers * messages {
		_, got, err := c.readMessage()
		var p, i int
		if _, scanErr := fmt.Sscan(string(got), &p, &i); err != nil || scanErr != nil || next[p] != i {
			t.Errorf("got %q, %v; want message %d of publisher %d", got, err, next[p], p)
			return
		}
		next[p]++
	}
}

// A drain does not wait for a window, and what waits comes ahead of the close frame.
func TestDrainClosesWindow(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(subscriber()), Topics: windows(time.Minute)})
		cancel, ended := running(t, e)
		c, _ := dialSubscriber(t, e, "slow.x")
		for i := range 3 {
			publish(t, e, "slow.x", fmt.Sprint(i), nil)
		}
		cancel()
		for i := range 3 {
			c.expectText(t, fmt.Sprint(i))
		}
		c.expectClose(t, frame.CloseGoingAway)
		c.put(t, closeFrame(frame.CloseGoingAway, ""))
		expectNil(t, "Run", ended)
	})
}

// Close does not wait for a window either. What waits for it may go out or not.
func TestCloseDuringWindow(t *testing.T) {
	e := startEngine(t, engine.Options{Mux: routes(subscriber()), Topics: windows(time.Minute)})
	c, _ := dialSubscriber(t, e, "slow.x")
	publish(t, e, "slow.x", "waits", nil)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.readMessage(); err == nil && string(p) == "waits" {
		c.expectEnd(t)
	} else if !errors.Is(err, io.EOF) {
		t.Errorf("got %q, error %v; want what waited or nothing, and then the end", p, err)
	}
}

// What is subscribed to behind a window when the engine ends does not stay counted.
func TestSubscribeBehindWindowAtClose(t *testing.T) {
	e := startEngine(t, engine.Options{Loops: 1, Mux: routes(subscriber()), Topics: windows(time.Minute)})
	_, conn := dialSubscriber(t, e, "slow.x")
	publish(t, e, "slow.x", "waits", nil)
	if err := conn.Subscribe("other"); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := e.Hub().Subscriptions("other"); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

// Prices may wait for each other for 20 ms, and then leave in one write. A client that is slow
// to read gets the latest of each topic; one that is too slow for trades is closed.
func ExampleTopicOptions() {
	mux := handler.NewMux()
	mux.Handle("/", handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error { return c.Subscribe("price.*") }})
	server, err := engine.New(engine.Options{
		Address: "127.0.0.1:0",
		Mux:     mux,
		Topics: []engine.TopicOptions{
			{Pattern: "price.>", Window: 20 * time.Millisecond, SlowPolicy: handler.Conflate},
			{Pattern: "trade.>", SlowPolicy: handler.Disconnect},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	prices := make(chan string)
	client := handler.Funcs{Message: func(_ handler.Conn, _ frame.Opcode, p []byte) { prices <- string(p) }}
	if _, err := server.Dial(context.Background(), "ws://"+server.Addr().String()+"/", client, engine.DialOptions{}); err != nil {
		log.Fatal(err)
	}
	for _, topic := range []string{"price.acme", "price.weir"} {
		if _, err := server.Hub().Publish(topic, frame.Text, []byte(topic+" 42"), handler.PublishOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(<-prices)
	fmt.Println(<-prices)
	// Output:
	// price.acme 42
	// price.weir 42
}
