package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// twoPaths is a Mux whose routes / and /other tell each client its id and announce
// nothing else.
func twoPaths() *handler.Mux {
	h := handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error {
		return c.Send(frame.Text, fmt.Append(nil, c.ID()))
	}}
	m := routes(h)
	m.Handle("/other", h)
	return m
}

// dialHub connects n clients to a path and returns them with their ids, once the hub
// has them.
func dialHub(t *testing.T, e *engine.Engine, path string, n int) (clients []*rawClient, ids []uint64) {
	t.Helper()
	for range n {
		c := dialRaw(t, e, path)
		clients, ids = append(clients, c), append(ids, c.readID(t))
	}
	return clients, ids
}

// readID reads a message that tells the client its id.
func (c *rawClient) readID(t *testing.T) (id uint64) {
	t.Helper()
	_, p, err := c.readMessage()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(p), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestBroadcast(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: twoPaths()})
		hub := e.Hub()
		some, ids := dialHub(t, e, "/", 3)
		others, _ := dialHub(t, e, "/other", 2)
		sender, ok := hub.Conn(ids[0])
		if !ok {
			t.Fatal("the hub does not know an open connection")
		}
		tests := []struct {
			to   handler.Audience
			want []*rawClient
		}{
			{handler.Audience{}, slices.Concat(some, others)},
			{handler.Audience{Except: sender}, slices.Concat(some[1:], others)},
			{handler.Audience{Path: "/"}, some},
			{handler.Audience{Path: "/", Except: sender}, some[1:]},
			{handler.Audience{Path: "/other"}, others},
			{handler.Audience{Path: "/other", Except: sender}, others},
			{handler.Audience{Path: "/nobody"}, nil},
		}
		for i, tt := range tests {
			if got := hub.Broadcast(frame.Text, fmt.Append(nil, "number ", i), tt.to); got != len(tt.want) {
				t.Errorf("Broadcast %d reached %d; want %d", i, got, len(tt.want))
			}
		}
		if got := hub.Broadcast(frame.Ping, nil, handler.Audience{}); got != 0 {
			t.Errorf("Broadcast of a ping reached %d; want 0", got)
		}
		hub.Broadcast(frame.Text, []byte("end"), handler.Audience{})
		for _, c := range slices.Concat(some, others) {
			for i, tt := range tests {
				if slices.Contains(tt.want, c) {
					c.expectText(t, fmt.Sprint("number ", i))
				}
			}
			c.expectText(t, "end")
		}
	})
}

// What one connection's handler broadcasts reaches everyone, the sender included, once.
func TestBroadcastFromHandler(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Func(func(c handler.Conn, op frame.Opcode, p []byte) {
			c.Hub().Broadcast(op, p, handler.Audience{})
		}))})
		all := []*rawClient{dialRaw(t, e, "/"), dialRaw(t, e, "/"), dialRaw(t, e, "/")}
		eventually(t, "all are in the hub", func() bool { return e.Hub().Count("") == len(all) })
		for _, word := range []string{"one", "two"} {
			all[0].put(t, text(word))
		}
		for _, c := range all {
			c.expectText(t, "one")
			c.expectText(t, "two")
		}
	})
}

func TestSendTo(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: twoPaths()})
		hub := e.Hub()
		clients, ids := dialHub(t, e, "/", 3)
		for i, id := range ids {
			if err := hub.SendTo(id, frame.Text, fmt.Append(nil, "for ", i)); err != nil {
				t.Errorf("SendTo: %v", err)
			}
		}
		for i, c := range clients {
			c.expectText(t, fmt.Sprint("for ", i))
		}
		if err := hub.SendTo(ids[0], frame.Close, nil); !errors.Is(err, handler.ErrOpcode) {
			t.Errorf("SendTo with a close frame: %v; want ErrOpcode", err)
		}
		_ = clients[0].Close()
		eventually(t, "the connection is gone", func() bool { return hub.Count("") == 2 })
		for _, id := range []uint64{0, ids[0], 1 << 40} {
			if err := hub.SendTo(id, frame.Text, nil); !errors.Is(err, handler.ErrNotFound) {
				t.Errorf("SendTo %d: %v; want ErrNotFound", id, err)
			}
		}
	})
}

// A prepared message goes out as it is; a control frame cannot be sent that way.
func TestSendPrepared(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: twoPaths()})
		clients, ids := dialHub(t, e, "/", 2)
		m := frame.Prepare(frame.Text, []byte("once"), nil)
		for _, id := range ids {
			c, _ := e.Hub().Conn(id)
			for _, op := range []frame.Opcode{frame.Close, frame.Ping, frame.Pong} {
				if err := c.SendPrepared(frame.Prepare(op, nil, nil)); !errors.Is(err, handler.ErrOpcode) {
					t.Errorf("SendPrepared with opcode %d: %v; want ErrOpcode", op, err)
				}
			}
			if err := c.SendPrepared(m); err != nil {
				t.Errorf("SendPrepared: %v", err)
			}
		}
		for _, c := range clients {
			c.expectText(t, "once")
		}
	})
}

func TestEachAndCount(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: twoPaths()})
		hub := e.Hub()
		clients, ids := dialHub(t, e, "/", 40)
		_, otherIDs := dialHub(t, e, "/other", 10)
		visited := func(path string) (seen []uint64) {
			hub.Each(path, func(c handler.Conn) bool {
				seen = append(seen, c.ID())
				return true
			})
			slices.Sort(seen)
			return seen
		}
		for path, want := range map[string][]uint64{
			"": slices.Concat(ids, otherIDs), "/": ids, "/other": otherIDs, "/nobody": nil,
		} {
			if got := visited(path); !slices.Equal(got, want) {
				t.Errorf("Each(%q) visits %d; want %d", path, got, want)
			}
			if got := hub.Count(path); got != len(want) {
				t.Errorf("Count(%q) = %d; want %d", path, got, len(want))
			}
		}
		n := 0
		hub.Each("", func(handler.Conn) bool { n++; return n < 3 })
		if n != 3 {
			t.Errorf("Each went on to %d connections; want 3", n)
		}
		hub.Each("/", func(c handler.Conn) bool { return c.Close(4000, "all out") == nil })
		for _, c := range clients {
			c.expectClose(t, 4000)
		}
		eventually(t, "those of one path have left", func() bool { return hub.Count("") == len(otherIDs) })
	})
}

// A connection is in the hub from when its OnOpen returned nil until its end begins.
func TestCountsAfterChurn(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Open: func(c handler.Conn, r *handler.Request) error {
				if r.RawQuery == "refuse" {
					return handler.Refuse(403, "")
				}
				if _, ok := c.Hub().Conn(c.ID()); ok {
					t.Error("the hub has a connection whose OnOpen runs")
				}
				return nil
			},
			Close: func(c handler.Conn, _ handler.CloseStatus) {
				if _, ok := c.Hub().Conn(c.ID()); ok {
					t.Error("the hub has a connection whose OnClose runs")
				}
			},
		})})
		for i := range 100 {
			c := dialTCP(t, e)
			switch i % 5 {
			case 0:
				c.put(t, upgrade("/?refuse"))
			case 1:
				c.put(t, upgrade("/"))
				c.kill(t)
			case 2:
				c.put(t, upgrade("/"), closeFrame(frame.CloseNormal, ""))
			case 3:
				c.put(t, upgrade("/"), []byte("not a frame"))
			default:
				c.put(t, upgrade("/"))
				c.expectStatus(t, 101)
			}
			_ = c.Close()
		}
		eventually(t, "everybody has left", func() bool {
			return e.Hub().Count("") == 0 && e.Hub().Count("/") == 0 && e.Counters().Sockets == 0
		})
		e.Hub().Each("", func(c handler.Conn) bool {
			t.Errorf("connection %d is left", c.ID())
			return true
		})
	})
}

// Several publishers, subscribers that stay and others that come and go: everyone
// gets the messages of each publisher in order and without a gap.
func TestBroadcastOrderDuringChurn(t *testing.T) {
	const publishers, messages, stable, churning, rounds = 3, 1000, 8, 4, 25
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, OutboxHardBytes: 64 << 20, Mux: twoPaths()})
		clients, _ := dialHub(t, e, "/", stable)
		var work errgroup.Group
		for p := range publishers {
			work.Go(func() error {
				for i := range messages {
					e.Hub().Broadcast(frame.Text, fmt.Appendf(nil, "%d %d", p, i), handler.Audience{})
				}
				return nil
			})
		}
		for _, c := range clients {
			work.Go(func() error { return readInOrder(c, publishers*messages) })
		}
		passers := make([]*rawClient, churning*rounds)
		for i := range passers {
			passers[i] = dialTCP(t, e)
		}
		for i := range churning {
			work.Go(func() error {
				for _, c := range passers[i*rounds:][:rounds] {
					if err := passBy(c); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := work.Wait(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "only those that stay are left", func() bool { return e.Hub().Count("") == stable })
	})
}

// passBy connects, takes what comes at once, and hangs up in the middle of it.
func passBy(c *rawClient) error {
	if _, err := c.Write(upgrade("/")); err != nil {
		return err
	}
	for { // the response
		line, err := c.in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	if _, _, err := c.readMessage(); err != nil { // its id
		return err
	}
	if c.in.Buffered() > 0 {
		if err := readInOrder(c, 1); err != nil {
			return err
		}
	}
	return c.Close()
}

// readInOrder reads n messages of the form "publisher number": those of one publisher
// must follow upon each other.
func readInOrder(c *rawClient, n int) error {
	next := make(map[int]int)
	for range n {
		_, payload, err := c.readMessage()
		if err != nil {
			return err
		}
		var publisher, number int
		if _, err := fmt.Sscan(string(payload), &publisher, &number); err != nil {
			return err
		}
		if want, ok := next[publisher]; ok && number != want {
			return fmt.Errorf("publisher %d: message %d follows; want %d", publisher, number, want)
		}
		next[publisher] = number + 1
	}
	return nil
}

func TestHubsOfTwoEngines(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		one := startEngine(t, engine.Options{Mode: mode, Mux: twoPaths()})
		two := startEngine(t, engine.Options{Mode: mode, Mux: twoPaths()})
		ones, _ := dialHub(t, one, "/", 1)
		twos, _ := dialHub(t, two, "/", 1)
		one.Hub().Broadcast(frame.Text, []byte("to one"), handler.Audience{})
		two.Hub().Broadcast(frame.Text, []byte("to two"), handler.Audience{})
		ones[0].expectText(t, "to one")
		twos[0].expectText(t, "to two")
	})
}
