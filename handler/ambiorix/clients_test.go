package ambiorix_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/ambiorix"
)

// newChat makes an App that hands on what it receives: under "all" to everyone, under
// "others" to all but the sender, under "room" and "roommates" to the group r, which
// "join" and "leave" are about.
func newChat(t testing.TB) *ambiorix.App {
	app := withEcho(newApp(t, ambiorix.Options{}))
	relay := func(name string, to func(c ambiorix.Client) ambiorix.Audience) {
		app.ReceiveFrom(name, func(m json.RawMessage, c ambiorix.Client) error {
			n, err := app.Broadcast(name, m, to(c))
			return errors.Join(err, c.Send("sent", n))
		})
	}
	relay("all", func(ambiorix.Client) ambiorix.Audience { return ambiorix.Audience{} })
	relay("others", func(c ambiorix.Client) ambiorix.Audience { return ambiorix.Audience{Except: c} })
	relay("room", func(ambiorix.Client) ambiorix.Audience { return ambiorix.Audience{Group: "r"} })
	relay("roommates", func(c ambiorix.Client) ambiorix.Audience { return ambiorix.Audience{Group: "r", Except: c} })
	app.ReceiveFrom("join", func(_ json.RawMessage, c ambiorix.Client) error { return c.Join("r") })
	app.ReceiveFrom("leave", func(_ json.RawMessage, c ambiorix.Client) error {
		c.Leave("r")
		return nil
	})
	return app
}

// named is a message on the wire.
func named(name, message string) string {
	return fmt.Sprintf(`{"name":%q,"message":%s,"isAmbiorix":true}`, name, message)
}

// send sends a message and waits until the server is done with it.
func (p peer) send(t testing.TB, name string) {
	t.Helper()
	p.say(t, named(name, "1"))
	p.expectNothing(t)
}

func TestRow24BroadcastToAllSenderIncluded(t *testing.T) {
	address := start(t, newChat(t))
	peers := []peer{join(t, address), join(t, address), join(t, address)}
	peers[0].say(t, named("all", `["one copy",1e20]`))
	for i, p := range peers {
		p.expect(t, named("all", `["one copy",1e20]`))
		if i == 0 {
			p.expect(t, named("sent", "3")) // in the order sent
		}
		p.expectNothing(t)
	}
}

func TestRow25BroadcastExceptSenderOrByGroup(t *testing.T) {
	address := start(t, newChat(t))
	in, also, out := join(t, address), join(t, address), join(t, address)
	in.send(t, "join")
	in.send(t, "join") // again, to no effect
	also.send(t, "join")

	for _, tt := range []struct {
		name     string
		from     peer
		received []peer
		sent     string
	}{
		{"others", in, []peer{also, out}, "2"},
		{"room", in, []peer{in, also}, "2"},
		{"room", out, []peer{in, also}, "2"},
		{"roommates", in, []peer{also}, "1"},
		{"roommates", out, []peer{in, also}, "2"},
	} {
		tt.from.say(t, named(tt.name, `"x"`))
		for _, p := range []peer{in, also, out} {
			if slices.Contains(tt.received, p) {
				p.expect(t, named(tt.name, `"x"`))
			}
			if p == tt.from {
				p.expect(t, named("sent", tt.sent))
			}
			p.expectNothing(t)
		}
	}

	also.send(t, "leave")
	also.send(t, "leave")
	out.say(t, named("room", `"y"`))
	in.expect(t, named("room", `"y"`))
	out.expect(t, named("sent", "1"))
	also.expectNothing(t)
}

func TestRow27RegistryDropsClosedClients(t *testing.T) {
	app := newChat(t)
	address := start(t, app)
	const clients = 100
	peers := make([]peer, clients)
	for i := range peers {
		peers[i] = join(t, address)
		peers[i].send(t, "join")
	}
	if all, room := app.Count(""), app.Count("r"); all != clients || room != clients {
		t.Fatalf("%d clients, %d in the group; want %d", all, room, clients)
	}
	for i, p := range peers {
		if i%2 == 0 { // with a close frame, and without
			if err := p.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "")); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Close()
	}
	eventually(t, "no clients", func() bool { return app.Count("") == 0 })
	if n, all, room := app.Count("r"), app.Clients(""), app.Clients("r"); n != 0 || len(all) != 0 || len(room) != 0 {
		t.Errorf("left in the group: %d; clients: %d, %d", n, len(all), len(room))
	}
}

func TestRow28EnumerateClients(t *testing.T) {
	app := newChat(t)
	address := start(t, app)
	var peers []peer
	for i := range 20 {
		peers = append(peers, join(t, address))
		if got := app.Count(""); got != i+1 {
			t.Fatalf("Count = %d with %d open", got, i+1)
		}
		if i%3 == 0 {
			peers[i].send(t, "join")
		}
	}
	ids := func(group string) (ids []uint64) {
		for _, c := range app.Clients(group) {
			ids = append(ids, c.Conn().ID())
		}
		return ids
	}
	if got := ids(""); len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("clients %d; want 20 in the order of connection", got)
	}
	if got := ids("r"); len(got) != 7 || !slices.IsSorted(got) || app.Count("r") != 7 {
		t.Errorf("in the group: %d, Count %d; want 7 in the order of connection", got, app.Count("r"))
	}
	if got := ids("nobody"); len(got) != 0 {
		t.Errorf("in a group that nobody has joined: %d", got)
	}
	for i, c := range app.Clients("") { // what is sent to the nth reaches the nth
		if err := c.Send("you", i); err != nil {
			t.Error(err)
		}
		peers[i].expect(t, named("you", strconv.Itoa(i)))
	}
}

func TestClientThatHasClosed(t *testing.T) {
	app := newChat(t)
	address := start(t, app)
	p := join(t, address)
	c := app.Clients("")[0]
	_ = p.Close()
	receive(t, "the end", c.Conn().Done())
	eventually(t, "no clients", func() bool { return app.Count("") == 0 })
	if err := c.Send("x", 1); !errors.Is(err, handler.ErrClosed) {
		t.Errorf("Send: %v; want ErrClosed", err)
	}
	if err := c.Join("r"); !errors.Is(err, handler.ErrClosed) {
		t.Errorf("Join: %v; want ErrClosed", err)
	}
	c.Leave("r")
	if n := app.Count("r"); n != 0 {
		t.Errorf("%d in the group", n)
	}
}

// TestBroadcastOverSeveralEngines has an App that serves two ports.
func TestBroadcastOverSeveralEngines(t *testing.T) {
	app := newChat(t)
	one, two := join(t, start(t, app)), join(t, start(t, app))
	one.say(t, named("all", "1"))
	one.expect(t, named("all", "1"))
	one.expect(t, named("sent", "2"))
	two.expect(t, named("all", "1"))
	one.say(t, named("others", "2"))
	one.expect(t, named("sent", "1"))
	two.expect(t, named("others", "2"))
}

// TestOrderOfSendAndBroadcast: what one receiver sends, either way, arrives in order.
func TestOrderOfSendAndBroadcast(t *testing.T) {
	app := withEcho(newApp(t, ambiorix.Options{}))
	app.ReceiveFrom("go", func(_ json.RawMessage, c ambiorix.Client) error {
		for i := 0; i < 300; i += 3 {
			if err := c.Join("r"); err != nil {
				return err
			}
			_, err := app.Broadcast("n", i, ambiorix.Audience{})
			_, groupErr := app.Broadcast("n", i+1, ambiorix.Audience{Group: "r"})
			if err := errors.Join(err, groupErr, c.Send("n", i+2)); err != nil {
				return err
			}
		}
		return nil
	})
	address := start(t, app)
	p, other := join(t, address), join(t, address)
	p.say(t, named("go", "null"))
	for i := range 300 {
		p.expect(t, named("n", strconv.Itoa(i)))
		if i%3 == 0 {
			other.expect(t, named("n", strconv.Itoa(i)))
		}
	}
}

// TestClientsComeAndGo joins, leaves, broadcasts and closes from many goroutines at
// once: in the end nobody is left anywhere.
func TestClientsComeAndGo(t *testing.T) {
	app := newChat(t)
	e := newEngine(t, app, engine.Options{})
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for range 20 {
				c, _, err := websocket.DefaultDialer.Dial("ws://"+e.Addr().String(), nil)
				if err != nil {
					t.Errorf("dial: %v", err)
					return
				}
				for _, name := range []string{"join", "room", "all", "leave", "join"}[i%3:] {
					if err := c.WriteMessage(websocket.TextMessage, []byte(named(name, "1"))); err != nil {
						t.Errorf("write: %v", err)
					}
				}
				_ = c.Close()
			}
		})
		work.Go(func() {
			for range 100 {
				for _, c := range app.Clients("r") {
					c.Leave("r")
				}
				if _, err := app.Broadcast("tick", i, ambiorix.Audience{Group: "r"}); err != nil {
					t.Errorf("Broadcast: %v", err)
				}
			}
		})
	}
	work.Wait()
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if all, room := app.Count(""), app.Count("r"); all != 0 || room != 0 {
		t.Errorf("%d clients, %d in the group; want none", all, room)
	}
}
