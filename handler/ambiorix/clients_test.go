package ambiorix_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/ambiorix"
)

// A chat is an App that hands on what it receives: under "all" to everyone, under
// "others" to all but the sender, under "room" and "roommates" to the group r, which
// "join" and "leave" are about.
type chat struct {
	*ambiorix.App
	sent chan int // what each broadcast returned
}

func newChat(t testing.TB) chat {
	app := chat{withEcho(newApp(t, ambiorix.Options{})), make(chan int, 1000)}
	relay := func(name string, to func(c ambiorix.Client) ambiorix.Audience) {
		app.ReceiveFrom(name, func(m json.RawMessage, c ambiorix.Client) error {
			n, err := app.Broadcast(name, m, to(c))
			app.sent <- n
			return err
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

// said waits until the App has handed on a message, and fails the test if that was not
// for this many.
func (a chat) said(t testing.TB, want int) {
	t.Helper()
	if got := receive(t, "a broadcast", a.sent); got != want {
		t.Errorf("Broadcast returned %d; want %d", got, want)
	}
}

// expectNoMore makes sure that no broadcast is on its way to any of them: what comes
// next is one that is sent now.
func (a chat) expectNoMore(t testing.TB, peers ...peer) {
	t.Helper()
	if _, err := a.Broadcast("end", nil, ambiorix.Audience{}); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		p.expect(t, named("end", "null"))
	}
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
	app := newChat(t)
	address := start(t, app.App)
	peers := []peer{join(t, address), join(t, address), join(t, address)}
	peers[0].say(t, named("all", `["one copy",1e20]`))
	for _, p := range peers {
		p.expect(t, named("all", `["one copy",1e20]`))
	}
	app.said(t, 3)
	app.expectNoMore(t, peers...)
}

func TestRow25BroadcastExceptSenderOrByGroup(t *testing.T) {
	app := newChat(t)
	address := start(t, app.App)
	in, also, out := join(t, address), join(t, address), join(t, address)
	all := []peer{in, also, out}
	in.send(t, "join")
	in.send(t, "join") // again, to no effect
	also.send(t, "join")
	eventually(t, "two in the group", func() bool { return app.Count("r") == 2 })

	for _, tt := range []struct {
		name     string
		from     peer
		received []peer
		sent     int
	}{
		{"others", in, []peer{also, out}, 2},
		{"room", in, []peer{in, also}, 2},
		{"room", out, []peer{in, also}, 2},
		{"roommates", in, []peer{also}, 2},
		{"roommates", out, []peer{in, also}, 2},
	} {
		tt.from.say(t, named(tt.name, `"x"`))
		app.said(t, tt.sent)
		for _, p := range tt.received {
			p.expect(t, named(tt.name, `"x"`))
		}
		app.expectNoMore(t, all...)
	}

	also.send(t, "leave")
	also.send(t, "leave")
	eventually(t, "one in the group", func() bool { return app.Count("r") == 1 })
	out.say(t, named("room", `"y"`))
	app.said(t, 1)
	in.expect(t, named("room", `"y"`))
	app.expectNoMore(t, all...)
}

// TestGroupNames: any text names a group, and "" is everyone.
func TestGroupNames(t *testing.T) {
	app := newChat(t)
	address := start(t, app.App)
	names := []string{"a", "a.b", "*", ">", "a.>", " ", "héllo 𝄞", "\xff", strings.Repeat("long", 1000)}
	peers := make([]peer, len(names))
	for i, name := range names {
		peers[i] = join(t, address)
		c := app.Clients()[i]
		if err := errors.Join(c.Join(name), c.Join("")); err != nil {
			t.Fatal(err)
		}
		c.Leave("")
	}
	for i, name := range names {
		if n, err := app.Broadcast("for", i, ambiorix.Audience{Group: name}); n != 1 || err != nil {
			t.Errorf("group %.10q: %d, %v; want 1", name, n, err)
		}
		peers[i].expect(t, named("for", strconv.Itoa(i)))
	}
	app.expectNoMore(t, peers...)
	if n, err := app.Broadcast("for", 0, ambiorix.Audience{Group: "nobody"}); n != 0 || err != nil {
		t.Errorf("a group that nobody has joined: %d, %v", n, err)
	}
}

func TestRow27RegistryDropsClosedClients(t *testing.T) {
	app := newChat(t)
	address := start(t, app.App)
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
	eventually(t, "no clients", func() bool { return app.Count("") == 0 && app.Count("r") == 0 && len(app.Clients()) == 0 })
}

func TestRow28EnumerateClients(t *testing.T) {
	app := newChat(t)
	address := start(t, app.App)
	var peers []peer
	for i := range 20 {
		peers = append(peers, join(t, address))
		if got := app.Count(""); got != i+1 {
			t.Fatalf("Count = %d with %d open", got, i+1)
		}
	}
	clients := app.Clients()
	if len(clients) != len(peers) {
		t.Fatalf("%d clients; want %d", len(clients), len(peers))
	}
	for i, c := range clients { // what is sent to the nth reaches the nth to connect
		if err := c.Send("you", i); err != nil {
			t.Error(err)
		}
		peers[i].expect(t, named("you", strconv.Itoa(i)))
	}
}

func TestClientThatHasClosed(t *testing.T) {
	app := newChat(t)
	p := join(t, start(t, app.App))
	c := app.Clients()[0]
	_ = p.Close()
	receive(t, "the end", c.Conn().Done())
	if err := c.Send("x", 1); !errors.Is(err, handler.ErrClosed) {
		t.Errorf("Send: %v; want ErrClosed", err)
	}
	if err := c.Join("r"); err != nil {
		t.Errorf("Join: %v", err)
	}
	c.Leave("r")
	eventually(t, "nobody in the group", func() bool { return app.Count("") == 0 && app.Count("r") == 0 })
	if n, err := app.Broadcast("x", 1, ambiorix.Audience{Except: c}); n != 0 || err != nil {
		t.Errorf("Broadcast: %d, %v; want 0", n, err)
	}
}

// TestBroadcastOverSeveralEngines has an App that serves two ports. The first client of
// each has the same number.
func TestBroadcastOverSeveralEngines(t *testing.T) {
	app := newChat(t)
	one, two := join(t, start(t, app.App)), join(t, start(t, app.App))
	one.send(t, "join")
	two.send(t, "join")
	eventually(t, "two in the group", func() bool { return app.Count("r") == 2 })
	for _, tt := range []struct {
		name     string
		received []peer
		sent     int
	}{
		{"all", []peer{one, two}, 2}, {"others", []peer{two}, 1}, {"room", []peer{one, two}, 2}, {"roommates", []peer{two}, 2},
	} {
		one.say(t, named(tt.name, "1"))
		app.said(t, tt.sent)
		for _, p := range tt.received {
			p.expect(t, named(tt.name, "1"))
		}
		app.expectNoMore(t, one, two)
	}
	if n, all := app.Count(""), app.Clients(); n != 2 || len(all) != 2 {
		t.Errorf("Count %d, %d clients; want 2", n, len(all))
	}
}

// TestAppsOnOneEngine: two Apps on paths of their own, and one App on two paths.
func TestAppsOnOneEngine(t *testing.T) {
	app, other := newChat(t), newChat(t)
	mux := handler.NewMux()
	mux.Handle("/a", app.Handler())
	mux.Handle("/b", app.Handler())
	mux.Handle("/other", other.Handler())
	mux.Handle("/echo", handler.Echo{})
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: mux, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var peers []peer
	for _, path := range []string{"/a", "/b", "/other"} {
		p := dial(t, e.Addr().String(), path)
		p.send(t, "join")
		peers = append(peers, p)
	}
	stranger := dial(t, e.Addr().String(), "/echo")
	stranger.expectNothing(t)
	for _, name := range []string{"all", "room"} {
		peers[0].say(t, named(name, "1"))
		app.said(t, 2)
		peers[0].expect(t, named(name, "1"))
		peers[1].expect(t, named(name, "1"))
	}
	app.expectNoMore(t, peers[:2]...)
	other.expectNoMore(t, peers[2])
	stranger.expectNothing(t)
}

// TestOrderOfBroadcasts: what one receiver broadcasts arrives in order, to whichever
// audience.
func TestOrderOfBroadcasts(t *testing.T) {
	app := newChat(t)
	app.ReceiveFrom("go", func(_ json.RawMessage, c ambiorix.Client) error {
		for i := range 300 {
			to := []ambiorix.Audience{{}, {Group: "r"}, {Except: c}}[i%3]
			if _, err := app.Broadcast("n", i, to); err != nil {
				return err
			}
		}
		return nil
	})
	address := start(t, app.App)
	p, other := join(t, address), join(t, address)
	p.send(t, "join")
	p.say(t, named("go", "null"))
	for i := range 300 {
		if i%3 != 2 {
			p.expect(t, named("n", strconv.Itoa(i)))
		}
		if i%3 != 1 {
			other.expect(t, named("n", strconv.Itoa(i)))
		}
	}
}

// TestClientsComeAndGo joins, leaves, broadcasts and closes from many goroutines at
// once: in the end nobody is left anywhere.
func TestClientsComeAndGo(t *testing.T) {
	app := newChat(t)
	e := newEngine(t, app.App, engine.Options{})
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
				for _, c := range app.Clients() {
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
