package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench/peers/result"
)

// answers tells an echo server what to answer to its message number n.
type answers func(n int, message []byte) [][]byte

func echoed(_ int, message []byte) [][]byte { return [][]byte{message} }

// wrongAt makes number n of every connection go wrong.
func wrongAt(n int, wrong ...[]byte) answers {
	return func(i int, message []byte) [][]byte {
		if i == n {
			return wrong
		}
		return [][]byte{message}
	}
}

// serveEcho starts a server whose answers may be wrong, and returns its address.
// A nil message closes the connection.
func serveEcho(t *testing.T, answer answers) string {
	upgrader := websocket.Upgrader{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for n := 0; ; n++ {
			kind, message, err := c.ReadMessage()
			if err != nil {
				return
			}
			for _, m := range answer(n, message) {
				if m == nil || c.WriteMessage(kind, m) != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// serveBroadcast starts a server that hands every message to everyone.
func serveBroadcast(t *testing.T) string {
	upgrader := websocket.Upgrader{}
	var mu sync.Mutex
	var all []*websocket.Conn
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock() // until it has joined: nobody publishes before everyone has
		c, err := upgrader.Upgrade(w, r, nil)
		if err == nil {
			all = append(all, c)
		}
		mu.Unlock()
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, message, err := c.ReadMessage()
			if err != nil {
				return
			}
			mu.Lock()
			for _, subscriber := range all {
				subscriber.WriteMessage(kind, message)
			}
			mu.Unlock()
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// short is the part of the arguments that makes a run short.
func short(address string, args ...string) []string {
	return append([]string{"--address", address, "--warm-up", "10ms", "--duration", "50ms"}, args...)
}

func TestRun(t *testing.T) {
	echo, broadcast := serveEcho(t, echoed), serveBroadcast(t)
	tests := []struct {
		name, address string
		args          []string
	}{
		{"echo", echo, []string{"--connections", "4"}},
		{"echo, empty messages", echo, []string{"--payload", "0"}},
		{"echo, many in flight", echo, []string{"--in-flight", "100", "--connections", "3"}},
		{"echo, large", echo, []string{"--payload", "1000000", "--in-flight", "2", "--connections", "2"}},
		{"echo, few active", echo, []string{"--connections", "50", "--active", "7"}},
		{"opening", echo, []string{"--mode", "connect", "--connections", "300"}},
		{"fixed rate", echo, []string{"--mode", "rate", "--rate", "1000"}},
		{"broadcast", broadcast, []string{"--mode", "broadcast", "--connections", "20"}},
		{"broadcast, several under way", broadcast, []string{"--mode", "broadcast", "--connections", "20", "--in-flight", "8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(short(tt.address, tt.args...), &out); err != nil {
				t.Fatal(err)
			}
			var r result.Result
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			if r.Messages == 0 || r.Wall <= 0 {
				t.Errorf("%+v", r)
			}
			if measured := r.Latency != nil; measured != (tt.name == "fixed rate") {
				t.Errorf("latency %+v", r.Latency)
			}
		})
	}
}

func TestRunNoticesWrongReplies(t *testing.T) {
	message := content(128, 2)
	spoilt := bytes.Clone(message)
	spoilt[127] ^= 1
	for name, answer := range map[string]answers{
		"spoilt":  wrongAt(2, spoilt),
		"short":   wrongAt(2, message[:127]),
		"other":   wrongAt(2, content(128, 3)),
		"lost":    wrongAt(2),
		"doubled": wrongAt(2, message, message),
		"closed":  wrongAt(2, nil),
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(short(serveEcho(t, answer), "--in-flight", "3"), &out); err == nil {
				t.Errorf("no error; printed %s", out.Bytes())
			}
		})
	}
}

// TestPollNoticesSilence waits for a reply that never comes.
func TestPollNoticesSilence(t *testing.T) {
	c := dialTest(t, serveEcho(t, wrongAt(0)))
	if err := c.send(0, 1); err != nil {
		t.Fatal(err)
	}
	nothing := func(_, n int) error { return fmt.Errorf("%d replies", n) }
	if err := c.poll(1, nothing); err != nil {
		t.Errorf("at first: %v", err)
	}
	c.heard = c.heard.Add(-patience)
	if err := c.poll(1, nothing); !errors.Is(err, errSilent) {
		t.Errorf("after a long silence: %v, want errSilent", err)
	}
}

func TestRunNoticesClosedIdleConnection(t *testing.T) {
	c := dialTest(t, serveEcho(t, wrongAt(0, nil)))
	if err := c.checkIdle(); err != nil {
		t.Fatalf("before: %v", err)
	}
	fd := c.conns[0].fd
	if _, err := unix.Write(fd, c.stream.from(0, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); err != nil {
		t.Fatal(err)
	}
	if err := c.checkIdle(); err == nil {
		t.Error("after: no error")
	}
}

func dialTest(t *testing.T, address string) *client {
	t.Helper()
	c, err := dialAll(options{address: netip.MustParseAddrPort(address), path: "/", connections: 1, active: 1, inFlight: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestDialFromSeveralSources(t *testing.T) {
	o := options{address: netip.MustParseAddrPort(serveEcho(t, echoed)), path: "/"}
	for i, want := range map[int][4]byte{
		0:                          {127, 0, 0, 1},
		connectionsPerSource - 1:   {127, 0, 0, 1},
		connectionsPerSource:       {127, 0, 0, 2},
		3*connectionsPerSource + 1: {127, 0, 0, 4},
	} {
		fd, err := dial(o, source(i))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		address, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		if got := address.(*unix.SockaddrInet4).Addr; got != want {
			t.Errorf("connection %d comes from %v, want %v", i, got, want)
		}
		unix.Close(fd)
	}
}

func TestDialRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if err := run(short(strings.TrimPrefix(s.URL, "http://")), &bytes.Buffer{}); err == nil {
		t.Error("a 404 is no error")
	}
}

func TestParse(t *testing.T) {
	if o, err := parse([]string{"--connections", "10"}); err != nil || o.active != 10 {
		t.Errorf("active %d, %v; want all 10", o.active, err)
	}
	for _, args := range [][]string{
		{"--address", "[::1]:80"},
		{"--address", "nowhere"},
		{"--mode", "other"},
		{"--mode", "idle"},
		{"--protocol", "other"},
		{"--connections", "0"},
		{"--connections", "5", "--active", "6"},
		{"--mode", "broadcast", "--connections", "5", "--active", "4"},
		{"--in-flight", "0"},
		{"--payload", "-1"},
		{"--rate", "0"},
		{"--duration", "0s"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if _, err := parse([]string{"--help"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
}

func TestPercentiles(t *testing.T) {
	var latencies []time.Duration
	for i := range 101 {
		latencies = append(latencies, time.Duration(100-i))
	}
	want := result.Latency{P50: 50, P99: 99, Max: 100}
	if got := percentiles(latencies); *got != want {
		t.Errorf("%+v, want %+v", *got, want)
	}
	if got := percentiles(nil); got != nil {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestProcessTime(t *testing.T) {
	if d, err := processTime("self"); err != nil || d <= 0 {
		t.Errorf("own: %v, %v", d, err)
	}
	if _, err := processTime("0"); err == nil {
		t.Error("no error for a process that does not exist")
	}
}

func TestIdle(t *testing.T) {
	var out bytes.Buffer
	err := run([]string{"--address", serveEcho(t, echoed), "--mode", "idle", "--connections", "100", "--settle", "1ms",
		"--server-pid", strconv.Itoa(os.Getpid())}, &out)
	var r result.Result
	if err = errors.Join(err, json.Unmarshal(out.Bytes(), &r)); err != nil {
		t.Fatal(err)
	}
	if r.Messages != 100 { // what they take may be nothing that was not there before
		t.Errorf("%+v, want 100 connections", r)
	}
	if held, err := residentBytes(os.Getpid()); err != nil || held <= 0 {
		t.Errorf("this process holds %d bytes, %v", held, err)
	}
}

// TestCentrifuge has a server that speaks the protocol of centrifuge, puts three
// replies into each message but the last, and cuts its frames.
func TestCentrifuge(t *testing.T) {
	for name, good := range map[string]bool{"right": true, "wrong": false} {
		t.Run(name, func(t *testing.T) {
			address := serveLines(t, good)
			var out bytes.Buffer
			err := run(short(address, "--protocol", "centrifuge", "--in-flight", "3", "--connections", "4"), &out)
			if good != (err == nil) {
				t.Errorf("error %v, printed %s", err, out.Bytes())
			}
		})
	}
}

// serveLines answers three messages at a time, each in a line. If it is not good, the
// hundredth answer is one that was not due.
func serveLines(t *testing.T, good bool) string {
	upgrader := websocket.Upgrader{WriteBufferSize: 100}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		if _, _, err := c.ReadMessage(); err != nil {
			return
		}
		reply := []byte(`{"id":1,"connect":{}}`)
		for n := 0; c.WriteMessage(websocket.TextMessage, reply) == nil; n++ {
			var lines []string
			for range 3 {
				_, message, err := c.ReadMessage()
				if err != nil {
					return
				}
				data := strings.TrimSuffix(strings.TrimPrefix(string(message), `{"send":`), "}")
				lines = append(lines, `{"push":{"message":`+data+`}}`)
			}
			if reply = []byte(strings.Join(lines, "\n")); !good && n == 100 {
				reply[len(reply)/2] ^= 1
			}
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestConnectRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	err := run(short(strings.TrimPrefix(s.URL, "http://"), "--mode", "connect"), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v, want an error about the 404", err)
	}
}
