package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// startLocal starts an engine on a free port of 127.0.0.1.
func startLocal(t *testing.T, mux *handler.Mux) *Engine {
	t.Helper()
	e, err := New(Options{Mux: mux, Address: "127.0.0.1:0", Mode: OnLoop})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

// An address that refuses connections is followed by the next; if all do, the error is
// the first one's.
func TestDialAddressesInOrder(t *testing.T) {
	mux := handler.NewMux()
	mux.Handle("/", handler.Echo{})
	e := startLocal(t, mux)
	port := netip.MustParseAddrPort(e.Addr().String()).Port()
	here, refusing, refusingToo := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")
	unreachable := netip.MustParseAddr("0.0.0.0").Next() // connect fails at once
	tests := []struct {
		name  string
		addrs []netip.Addr
		want  netip.Addr
		err   error
	}{
		{"first", []netip.Addr{here, refusing}, here, nil},
		{"second", []netip.Addr{refusing, here}, here, nil},
		{"third", []netip.Addr{refusing, refusingToo, here}, here, nil},
		{"mapped", []netip.Addr{netip.AddrFrom16(here.As16())}, here, nil},
		{"behind one that fails at once", []netip.Addr{unreachable, here}, here, nil},
		{"none", []netip.Addr{refusing, refusingToo}, netip.Addr{}, syscall.ECONNREFUSED},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			type outcome struct {
				conn *Conn
				err  error
			}
			outcomes := make(chan outcome, 1)
			d, err := e.newDialing("ws://"+netip.AddrPortFrom(here, port).String(), handler.Echo{}, DialOptions{HandshakeTimeout: time.Hour},
				func(c *Conn, err error) { outcomes <- outcome{c, err} })
			if err != nil {
				t.Fatal(err)
			}
			if err := e.admitDialing(); err != nil {
				t.Fatal(err)
			}
			d.loop = e.loops[0]
			d.start(tt.addrs, nil)
			got := <-outcomes
			if tt.err != nil {
				if !errors.Is(got.err, tt.err) || !strings.Contains(got.err.Error(), tt.addrs[0].String()) {
					t.Errorf("got %v; want %v of %v", got.err, tt.err, tt.addrs[0])
				}
				return
			}
			if got.err != nil || got.conn.RemoteAddr() != netip.AddrPortFrom(tt.want, port) {
				t.Fatalf("got %+v; want a connection to %v", got, tt.want)
			}
			_ = got.conn.Close(frame.CloseNormal, "")
			<-got.conn.Done()
		})
	}
}

// Paths of URLs are forgotten with their connections, in the engine and in its loops,
// also when they end during a broadcast.
func TestDialledPathsAreForgotten(t *testing.T) {
	mux := handler.NewMux()
	mux.Handle("*", handler.Echo{})
	e := startLocal(t, mux)
	conns := make([]*Conn, 0, 100)
	for i := range cap(conns) {
		c, err := e.Dial(t.Context(), fmt.Sprintf("ws://%v/%d", e.Addr(), i/2), handler.Echo{}, DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if n := e.Hub().Count("/7"); n != 2 {
		t.Errorf("%d connections on a path; want 2", n)
	}
	for _, c := range conns {
		e.Hub().Broadcast(frame.Text, []byte("x"), handler.Audience{})
		_ = c.Close(frame.CloseNormal, "")
	}
	for _, c := range conns {
		<-c.Done()
	}
	e.dialled.mu.Lock()
	if n := len(e.dialled.byName); n != 0 {
		t.Errorf("the engine still has %d paths", n)
	}
	e.dialled.mu.Unlock()
	for _, l := range e.loops {
		left := make(chan int)
		l.do(func() { left <- len(l.paths) })
		if n := <-left; n > 1 { // that of the route
			t.Errorf("a loop still has %d paths", n)
		}
	}
}

// A connection that has lasted longer than the bound of the next wait makes that begin
// anew; a shorter one does not.
func TestReconnectBound(t *testing.T) {
	e := startLocal(t, handler.NewMux())
	for lasted, want := range map[time.Duration]time.Duration{9 * time.Hour: 2 * time.Hour, time.Hour: 16 * time.Hour} {
		o := ReconnectOptions{Delay: time.Hour, MaxDelay: 24 * time.Hour}
		r := &Reconnector{
			engine: e, options: o, delay: 8 * time.Hour, conn: new(Conn), since: time.Now().Add(-lasted),
			done: make(chan struct{}), unwatch: func() bool { return true },
		}
		r.down(nil)
		if r.delay != want {
			t.Errorf("after a connection of %v the next bound is %v; want %v", lasted, r.delay, want)
		}
		_ = r.Close(frame.CloseNormal, "")
		<-r.Done()
	}
}
