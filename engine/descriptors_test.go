package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// While another part of the process has taken every descriptor, connections go on
// and new ones wait; once descriptors are free again the waiting ones get in. It is
// said once.
func TestDescriptorsExhausted(t *testing.T) {
	const connected, more = 10, 20
	server := startProcess(t, "exhausted server")
	address := server.ask(t, "start")
	var clients, late []*rawClient
	for range connected {
		clients = append(clients, dialAddress(t, address))
	}
	for _, c := range clients {
		c.put(t, upgrade("/"))
		c.expectStatus(t, http.StatusSwitchingProtocols)
	}

	server.ask(t, "exhaust")
	for range more {
		c := dialAddress(t, address) // the kernel accepts it
		c.put(t, upgrade("/"))
		late = append(late, c)
	}
	eventually(t, "accepting to be tried again and again", func() bool {
		return pausesOf(t, server) >= 3
	})
	for i, c := range clients {
		c.put(t, text(fmt.Sprint("still here ", i)))
		c.expectText(t, fmt.Sprint("still here ", i))
	}

	// The descriptor of a connection that ends is free for one that waits.
	clients[0].kill(t)
	late[0].expectStatus(t, http.StatusSwitchingProtocols)

	server.ask(t, "free")
	for _, c := range late[1:] {
		c.expectStatus(t, http.StatusSwitchingProtocols)
	}
	for i, c := range append(clients[1:], late...) {
		c.put(t, text(fmt.Sprint("all of us ", i)))
		c.expectText(t, fmt.Sprint("all of us ", i))
	}
	if got := server.ask(t, "records"); got != "accepting paused" {
		t.Errorf("logged %q; want one record", got)
	}

	// The next shortage is another one to be told of.
	server.ask(t, "exhaust")
	before := pausesOf(t, server)
	last := dialAddress(t, address)
	eventually(t, "accepting to pause", func() bool { return pausesOf(t, server) > before })
	server.ask(t, "free")
	last.put(t, upgrade("/"))
	last.expectStatus(t, http.StatusSwitchingProtocols)
	if got := server.ask(t, "records"); got != "accepting paused,accepting paused" {
		t.Errorf("logged %q; want two records", got)
	}
}

// A request that is no upgrade, or that comes on a connection of the HTTP server, takes
// further descriptors. Without any it is answered 503.
func TestDescriptorsExhaustedForHTTP(t *testing.T) {
	server := startProcess(t, "exhausted server")
	address := server.ask(t, "start")
	page := []byte("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
	plain, kept := dialAddress(t, address), dialAddress(t, address)
	upgraded := dialAddress(t, address)
	upgraded.put(t, upgrade("/"))
	upgraded.expectStatus(t, http.StatusSwitchingProtocols)
	kept.put(t, page)
	kept.expectStatus(t, http.StatusNotFound)

	server.ask(t, "exhaust")
	plain.put(t, page)
	kept.put(t, upgrade("/"))
	for _, c := range []*rawClient{plain, kept} {
		if r, _ := c.expectStatus(t, http.StatusServiceUnavailable); r.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	upgraded.put(t, text("still here"))
	upgraded.expectText(t, "still here")
	server.ask(t, "free")
	again := dialAddress(t, address)
	again.put(t, page)
	again.expectStatus(t, http.StatusNotFound)
}

func pausesOf(t *testing.T, server *process) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(server.ask(t, "pauses"), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// newExhaustedServerRole is a process with an engine and few descriptors. Its
// commands are "start", which answers with the address, "exhaust" and "free" for the
// descriptors, "pauses", how often accepting has stopped, and "records", the messages
// that the engine has logged.
func newExhaustedServerRole() role {
	const limit = 512
	var (
		e       *engine.Engine
		records loggedMessages
		taken   []int
	)
	start := func() (string, error) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return "", fmt.Errorf("setrlimit: %w", err)
		}
		var err error
		e, err = engine.New(engine.Options{
			Mux: routes(handler.Echo{}), HTTP: http.NotFoundHandler(), Address: "127.0.0.1:0", Loops: 1, Logger: slog.New(&records),
		})
		if err != nil {
			return "", err
		}
		if err := e.Start(); err != nil {
			return "", err
		}
		return e.Addr().String(), nil
	}
	exhaust := func() (string, error) {
		for {
			fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if errors.Is(err, unix.EMFILE) {
				return fmt.Sprint(len(taken), " taken"), nil
			}
			if err != nil {
				return "", err
			}
			taken = append(taken, fd)
		}
	}
	free := func() (string, error) {
		for _, fd := range taken {
			_ = unix.Close(fd)
		}
		taken = nil
		return "freed", nil
	}
	return func(command string) (string, error) {
		switch command {
		case "start":
			return start()
		case "exhaust":
			return exhaust()
		case "free":
			return free()
		case "pauses":
			return fmt.Sprint(e.Counters().AcceptPauses), nil
		case "records":
			return records.String(), nil
		}
		return "", fmt.Errorf("unknown command %q", command)
	}
}

// loggedMessages is a slog.Handler that keeps the messages of what is logged.
type loggedMessages struct {
	mu       sync.Mutex
	messages []string
}

func (l *loggedMessages) Enabled(context.Context, slog.Level) bool { return true }
func (l *loggedMessages) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *loggedMessages) WithGroup(string) slog.Handler            { return l }

func (l *loggedMessages) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, r.Message)
	return nil
}

// String joins the messages with commas.
func (l *loggedMessages) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.messages, ",")
}
