package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	stormPublishers = 8
	stormWindow     = 32 // messages of a publisher that are under way at most
	stormEnd        = -1 // the number of a publisher's last message
)

// Eight goroutines publish while 10,000 connections come, change their policies
// and rates, and leave, most of them without reading: those that stay get every message
// of every publisher in order, and nothing is left of those that have gone.
func TestPublishStorm(t *testing.T) {
	const churners, visits = 8, 1250
	mux := routes(subscriber())
	mux.Handle("/visit", visitor())
	e := startEngine(t, engine.Options{Loops: 2, OutboxSoftBytes: 4 << 10, SlowTimeout: -1, MaxQueuedBytes: 16 << 20, Mux: mux})
	subscribed := []string{"storm.x", "storm.*", "storm.>"}
	var acks [stormPublishers]chan struct{} // room for what is under way
	for p := range acks {
		acks[p] = make(chan struct{}, stormWindow)
	}
	var publishers, visitors errgroup.Group
	residents, ctx := errgroup.WithContext(t.Context())
	for i, topic := range subscribed {
		c, _ := dialSubscriber(t, e, topic)
		residents.Go(func() error { return reside(c, &acks, i == 0) })
	}
	var over atomic.Bool
	for p := range stormPublishers {
		publishers.Go(func() error { return storm(ctx, e.Hub(), p, acks[p], &over) })
	}
	for range churners {
		visitors.Go(func() error {
			for i := range visits {
				if err := visit(e, i); err != nil {
					return fmt.Errorf("visit %d: %w", i, err)
				}
			}
			return nil
		})
	}
	for _, err := range []error{visitors.Wait(), endStorm(&over, &publishers), residents.Wait()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the visitors are gone", func() bool { return e.Counters().Sockets == int64(len(subscribed)) })
	if got := maps.Collect(e.Hub().Topics()); len(got) != len(subscribed) || e.Hub().Subscriptions("storm.x") != 1 {
		t.Errorf("subscriptions left: %v; want one each of %v", got, subscribed)
	}
}

// visitor is a handler whose connections differ in what they subscribe to, their
// policy and their rate.
func visitor() handler.Handler {
	var turn atomic.Uint64
	change := func(c handler.Conn) error {
		n := turn.Add(1)
		rate := handler.Rate{}
		if n%5 == 0 {
			rate.Messages = 3
		}
		if err := c.SetRate(rate); err != nil {
			return err
		}
		return c.SetSlowPolicy(handler.SlowPolicy(n % 5))
	}
	return handler.Funcs{
		Open: func(c handler.Conn, _ *handler.Request) error {
			if err := change(c); err != nil {
				return err
			}
			return c.Subscribe([]string{"storm.x", "storm.*", ">"}[c.ID()%3])
		},
		Message: func(c handler.Conn, _ frame.Opcode, _ []byte) { _ = change(c) }, // fails once the engine has ended
	}
}

// storm publishes until it is over, and then the last message, unless nobody reads any
// more.
func storm(ctx context.Context, hub handler.Hub, p int, room chan<- struct{}, over *atomic.Bool) error {
	for i := 0; !over.Load(); i++ {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		o := handler.PublishOptions{Key: fmt.Sprint(i % 3)}
		if _, err := hub.Publish("storm.x", frame.Text, fmt.Appendf(nil, "%d %d", p, i), o); err != nil {
			return err
		}
	}
	_, err := hub.Publish("storm.x", frame.Text, fmt.Appendf(nil, "%d %d", p, stormEnd), handler.PublishOptions{})
	return err
}

func endStorm(over *atomic.Bool, publishers *errgroup.Group) error {
	over.Store(true)
	return publishers.Wait()
}

// reside reads what all publishers publish, to the last message of each, and makes room
// for more if it is the one to do so.
func reside(c *rawClient, acks *[stormPublishers]chan struct{}, makesRoom bool) error {
	var next [stormPublishers]int
	for left := stormPublishers; left > 0; {
		_, got, err := c.readMessage()
		if err != nil {
			return err
		}
		var p, i int
		if _, err := fmt.Sscan(string(got), &p, &i); err != nil {
			return err
		}
		switch i {
		case stormEnd:
			left--
		case next[p]:
			next[p]++
			if makesRoom {
				<-acks[p]
			}
		default:
			return fmt.Errorf("message %d of publisher %d; want %d", i, p, next[p])
		}
	}
	return nil
}

// visit opens a connection and leaves in one of several ways.
func visit(e *engine.Engine, i int) error {
	conn, err := net.Dial(e.Addr().Network(), e.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &rawClient{Conn: conn, in: bufio.NewReader(conn)}
	// Closing resets the connection, so that its port is free at once.
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(upgrade("/visit")); err != nil || i%4 == 0 {
		return err
	}
	if _, err := http.ReadResponse(c.in, nil); err != nil || i%4 == 1 {
		return err
	}
	for range i % 4 {
		if _, err := c.Write(text("change")); err != nil {
			return err
		}
		if _, _, err := c.readFrame(); err != nil {
			return err
		}
	}
	_, err = c.Write(closeFrame(frame.CloseNormal, ""))
	return err
}
