package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// expectEcho connects to an engine and has one message echoed.
func expectEcho(t *testing.T, e *engine.Engine) {
	t.Helper()
	c := dialRaw(t, e, "/")
	c.put(t, text("anyone?"))
	c.expectText(t, "anyone?")
}

func TestAddresses(t *testing.T) {
	tests := []struct{ network, address, prefix string }{
		{"", "", "127.0.0.1:"},
		{"tcp", "127.0.0.1:0", "127.0.0.1:"},
		{"tcp", "localhost:0", ""},
		{"tcp", ":0", "[::]:"},
		{"tcp4", ":0", "0.0.0.0:"},
		{"tcp6", "[::1]:0", "[::1]:"},
		{"unix", filepath.Join(t.TempDir(), "weir.sock"), "/"},
	}
	for _, tt := range tests {
		t.Run(tt.network+" "+tt.address, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode engine.Mode) {
				addrs := make(chan string, 1)
				e := startEngine(t, engine.Options{
					Mode: mode, Network: tt.network, Address: tt.address,
					Mux: routes(handler.Funcs{
						Open: func(c handler.Conn, _ *handler.Request) error {
							addrs <- c.RemoteAddr().String()
							return nil
						},
						Message: handler.Echo{}.OnMessage,
					}),
				})
				addr := e.Addr().String()
				if !strings.HasPrefix(addr, tt.prefix) || strings.HasSuffix(addr, ":0") {
					t.Errorf("Addr is %s; want %s and a port", addr, tt.prefix)
				}
				expectEcho(t, e)
				from := receive(t, "OnOpen", addrs)
				if valid := from != "invalid AddrPort"; valid != (tt.network != "unix") {
					t.Errorf("RemoteAddr is %s", from)
				}
			})
		})
	}
}

// A port that is taken is an error, whoever has it: SO_REUSEPORT, which several
// loops need, must not make two engines share it unnoticed.
func TestPortInUse(t *testing.T) {
	for _, holder := range []int{0, 1, 2} { // loops of the engine that has the port; 0: it is no engine
		var taken string
		if holder == 0 {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			taken = l.Addr().String()
		} else {
			taken = startEngine(t, engine.Options{Loops: holder}).Addr().String()
		}
		for _, o := range []engine.Options{{Loops: 1}, {Loops: 2}} {
			o.Address = taken
			e := newEngine(t, o)
			if err := e.Start(); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("holder with %d loops, Start with %d: %v; want EADDRINUSE", holder, o.Loops, err)
			}
			if err := e.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if err := newEngine(t, o).Run(t.Context()); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("Run: %v; want EADDRINUSE", err)
			}
		}
	}
}

func TestBadAddress(t *testing.T) {
	for _, o := range []engine.Options{
		{Address: "127.0.0.1"},
		{Address: "127.0.0.1:99999"},
		{Address: "192.0.2.1:0"}, // not an address of this machine: RFC 5737
		{Network: "tcp6", Address: "127.0.0.1:0"},
		{Network: "unix", Address: filepath.Join(t.TempDir(), "missing", "weir.sock")},
	} {
		if err := newEngine(t, o).Start(); err == nil {
			t.Errorf("Start on %s %s succeeds", o.Network, o.Address)
		}
	}
}

// Engines that ask for it share a port, and the kernel shares connections out.
func TestReusePort(t *testing.T) {
	one := startEngine(t, engine.Options{ReusePort: true, Loops: 1, Mux: routes(handler.Echo{})})
	two := startEngine(t, engine.Options{ReusePort: true, Address: one.Addr().String(), Mux: routes(handler.Echo{})})
	eventually(t, "both get connections", func() bool {
		expectEcho(t, one)
		return one.Counters().Opened > 0 && two.Counters().Opened > 0
	})
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 { // all of them go to the one that is left
		expectEcho(t, two)
	}
}

func TestUnixSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	options := engine.Options{Network: "unix", Address: path, Mux: routes(handler.Echo{})}

	// One that nobody listens on any more is replaced.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	e := startEngine(t, options)
	expectEcho(t, e)

	// One that is in use is not.
	if err := newEngine(t, options).Start(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Start on a socket in use: %v; want EADDRINUSE", err)
	}
	expectEcho(t, e)

	// It goes away with its engine.
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket file after Close: %v; want none", err)
	}

	// A file that is no socket stays what it is.
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newEngine(t, options).Start(); err == nil {
		t.Error("Start on a regular file succeeds")
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Errorf("the file now has %q, error %v", content, err)
	}
}

func TestNoListen(t *testing.T) {
	e := startEngine(t, engine.Options{NoListen: true})
	if addr := e.Addr(); addr != nil {
		t.Errorf("Addr is %v; want nil", addr)
	}
}

// A unix socket has one listener; its connections are served by all loops.
func TestUnixSocketServesAllLoops(t *testing.T) {
	e := startEngine(t, engine.Options{
		Network: "unix", Address: filepath.Join(t.TempDir(), "weir.sock"), Loops: 3, Mux: routes(handler.Echo{}),
	})
	var all []*rawClient
	for i := range 9 {
		c := dialRaw(t, e, "/")
		c.put(t, text(fmt.Sprint(i)))
		all = append(all, c)
	}
	for i, c := range all {
		c.expectText(t, fmt.Sprint(i))
	}
}
