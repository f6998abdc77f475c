package engine_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// subscriber subscribes to the topics in its path's query, says that it is ready, and
// changes its subscriptions as its messages tell: "+topic" or "-topic", answered "ok".
func subscriber() handler.Handler {
	return handler.Funcs{
		Open: func(c handler.Conn, r *handler.Request) error {
			for _, topic := range r.Query()["topic"] {
				if err := c.Subscribe(topic); err != nil {
					return err
				}
			}
			return c.Send(frame.Text, fmt.Append(nil, c.ID()))
		},
		Message: func(c handler.Conn, op frame.Opcode, p []byte) {
			change := c.Subscribe
			if p[0] == '-' {
				change = c.Unsubscribe
			}
			if err := change(string(p[1:])); err != nil {
				_ = c.Send(frame.Text, []byte(err.Error()))
				return
			}
			_ = c.Send(frame.Text, []byte("ok"))
		},
	}
}

func dialSubscriber(t *testing.T, e *engine.Engine, topics ...string) (*rawClient, handler.Conn) {
	t.Helper()
	all, ids := dialHub(t, e, "/?"+url.Values{"topic": topics}.Encode(), 1)
	c, ok := e.Hub().Conn(ids[0])
	if !ok {
		t.Fatal("the hub does not know an open connection")
	}
	return all[0], c
}

func publish(t *testing.T, e *engine.Engine, topic, message string, except handler.Conn) int {
	t.Helper()
	n, err := e.Hub().Publish(topic, frame.Text, []byte(message), handler.PublishOptions{Except: except})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPublish(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Loops: 2, Mux: routes(subscriber())})
		a, ca := dialSubscriber(t, e, "orders.eu")
		b, _ := dialSubscriber(t, e, "orders.eu", "orders.us")
		star, _ := dialSubscriber(t, e, "orders.*")
		tail, _ := dialSubscriber(t, e, "orders.>", "orders.*", "orders.eu") // gets each once
		none, _ := dialSubscriber(t, e, "orders", "orders.eu.new")

		if got := publish(t, e, "orders.eu", "1", nil); got != 6 {
			t.Errorf("Publish counts %d subscriptions; want 6", got)
		}
		publish(t, e, "orders.us", "2", nil)
		publish(t, e, "orders.eu", "3", ca)
		publish(t, e, "orders.eu.new", "4", nil)
		publish(t, e, "nobody", "5", nil)
		e.Hub().Broadcast(frame.Text, []byte("end"), handler.Audience{})
		for _, tt := range []struct {
			client *rawClient
			want   string
		}{{a, "1"}, {b, "1 2 3"}, {star, "1 2 3"}, {tail, "1 2 3 4"}, {none, "4"}} {
			for _, message := range append(strings.Fields(tt.want), "end") {
				tt.client.expectText(t, message)
			}
		}
	})
}

func TestUnsubscribe(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(subscriber())})
		c, conn := dialSubscriber(t, e)
		for _, step := range []struct{ say, want string }{
			{"+a", "ok"}, {"+a", "ok"}, {"-a", "ok"}, {"-a", "ok"}, {"+b.*", "ok"}, {"-b.x", "ok"},
			{"+a..b", handler.ErrTopic.Error()}, {"+a.>.b", handler.ErrTopic.Error()}, {"+", handler.ErrTopic.Error()}, {"- ", handler.ErrTopic.Error()},
		} {
			c.put(t, text(step.say))
			c.expectText(t, step.want)
		}
		publish(t, e, "a", "not for us", nil)
		publish(t, e, "b.x", "for us", nil)
		c.expectText(t, "for us")
		if got := maps.Collect(e.Hub().Topics()); len(got) != 1 || got["b.*"] != 1 || e.Hub().Subscriptions("b.*") != 1 {
			t.Errorf("Topics() = %v; want b.* with 1", got)
		}
		c.Close()
		eventually(t, "nothing is left of the subscriptions", func() bool { return len(maps.Collect(e.Hub().Topics())) == 0 })
		<-conn.Done()
		if _, err := e.Hub().Publish("a.*", frame.Text, nil, handler.PublishOptions{}); !errors.Is(err, handler.ErrTopic) {
			t.Errorf("Publish to a pattern: %v; want ErrTopic", err)
		}
		if _, err := e.Hub().Publish("a", frame.Ping, nil, handler.PublishOptions{}); !errors.Is(err, handler.ErrOpcode) {
			t.Errorf("Publish of a ping: %v; want ErrOpcode", err)
		}
	})
}

// A connection with very many topics leaves none of them behind.
func TestManyTopics(t *testing.T) {
	const topics = 5000
	e := startEngine(t, engine.Options{Mux: routes(subscriber())})
	c, conn := dialSubscriber(t, e)
	for i := range topics {
		if err := conn.Subscribe(fmt.Sprint("topic.", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range topics {
		publish(t, e, fmt.Sprint("topic.", i), fmt.Sprint(i), nil)
	}
	for i := range topics {
		c.expectText(t, fmt.Sprint(i))
	}
	for i := range topics - 1 {
		if err := conn.Unsubscribe(fmt.Sprint("topic.", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one topic is left", func() bool { return len(maps.Collect(e.Hub().Topics())) == 1 })
	c.Close()
	eventually(t, "none is left", func() bool { return len(maps.Collect(e.Hub().Topics())) == 0 })
}

// Publishers on several goroutines, while connections come, go and change their
// topics: everyone gets each publisher's messages in order and without a gap.
func TestPublishOrder(t *testing.T) {
	const publishers, messages = 4, 500
	e := startEngine(t, engine.Options{Loops: 2, Mux: routes(subscriber())})
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for range 2 {
		churn.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					c, _ := dialSubscriber(t, e, "feed.x", "other")
					c.Close()
				}
			}
		})
	}
	var steady []*rawClient
	for _, topics := range [][]string{{"feed.x"}, {"feed.*"}, {"feed.>", "feed.x"}} {
		c, _ := dialSubscriber(t, e, topics...)
		steady = append(steady, c)
	}
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() {
			for i := range messages {
				publish(t, e, "feed.x", fmt.Sprintf("%d %d", p, i), nil)
			}
		})
	}
	for _, c := range steady {
		group.Go(func() {
			var next [publishers]int
			for range publishers * messages {
				_, got, err := c.readMessage()
				var p, i int
				if _, scanErr := fmt.Sscan(string(got), &p, &i); err != nil || scanErr != nil || next[p] != i {
					t.Errorf("got %q, %v; want message %d of publisher %d", got, err, next[p], p)
					return
				}
				next[p]++
			}
		})
	}
	group.Wait()
	close(stop)
	churn.Wait()
}
