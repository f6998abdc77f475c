package engine_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// segments is how many TCP segments with data have arrived at a client.
func (c *rawClient) segments(t *testing.T) (n uint32) {
	t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if controlErr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	return info.Data_segs_in
}

// Publications that wait for a window to close reach each subscriber in one write, and
// none before.
func TestWindowIsOneWrite(t *testing.T) {
	const waiting = 10
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(subscriber()), Topics: windows(time.Minute)})
		var clients []*rawClient
		var before []uint32
		for range 4 {
			c, _ := dialSubscriber(t, e, "slow.>")
			clients, before = append(clients, c), append(before, c.segments(t))
		}
		for i := range waiting {
			publish(t, e, fmt.Sprint("slow.", i%2), fmt.Sprint(i), nil)
			clients[0].put(t, masked(frame.Ping, nil)) // its loop goes on meanwhile
			if op, _, err := clients[0].readFrame(); op != frame.Pong || err != nil {
				t.Fatalf("got %v, %v; want a pong", op, err)
			}
		}
		e.Hub().Broadcast(frame.Text, []byte("end"), handler.Audience{})
		for n, c := range clients {
			for i := range waiting {
				c.expectText(t, fmt.Sprint(i))
			}
			c.expectText(t, "end")
			want := uint32(1)
			if n == 0 {
				want += waiting // the pongs
			}
			if got := c.segments(t) - before[n]; got != want {
				t.Errorf("client %d got %d segments; want %d", n, got, want)
			}
		}
	})
}
