package bench

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A reply is what a server answers.
type reply struct {
	kind    int
	payload []byte
}

// A server answers the messages of each connection as it is told to: n counts them,
// from 0. Returning hangUp as the kind of a reply ends the connection.
type answers func(n int, kind int, message []byte) []reply

const hangUp = -1

func echoed(_ int, kind int, message []byte) []reply { return []reply{{kind, message}} }

// every has number n, 2n, 3n and so on answered otherwise.
func every(n int, otherwise answers) answers {
	return func(i int, kind int, message []byte) []reply {
		if (i+1)%n == 0 {
			return otherwise(i, kind, message)
		}
		return echoed(i, kind, message)
	}
}

// serve starts a server on another library. answer makes a function for each connection.
func serve(t *testing.T, answer func() answers) string {
	t.Helper()
	s := startServer(t, (*httptest.Server).Start, answer)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func startServer(t *testing.T, start func(*httptest.Server), answer func() answers) *httptest.Server {
	t.Helper()
	upgrader := websocket.Upgrader{}
	var connections sync.WaitGroup
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections.Add(1)
		defer connections.Done()
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		reply := answer()
		for n := 0; ; n++ {
			kind, message, err := c.ReadMessage()
			if err != nil {
				return
			}
			for _, m := range reply(n, kind, message) {
				if m.kind == hangUp || c.WriteMessage(m.kind, m.payload) != nil {
					return
				}
			}
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	start(s)
	t.Cleanup(func() {
		s.Close()
		connections.Wait()
	})
	return s
}

// quick is a Config for one short round, in which everything counts.
func quick(url string) Config {
	return Config{
		Scenario: "echo", URLs: []string{url}, Connections: 4, WarmUp: -1,
		Duration: 500 * time.Millisecond, Rounds: 1, Timeout: 3 * time.Second,
	}
}

// mustRun returns the report and its only round.
func mustRun(t *testing.T, c Config) (*Report, *Round) {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r, &r.Targets[0].Rounds[0]
}

// A fault is how often something went wrong.
type fault struct {
	Lost, Late, Reordered, Wrong, Duplicate, Foreign, Unasked, Unsent, Failed, Dropped uint64
}

func faults(t *Tally) fault {
	return fault{t.Lost, t.Late, t.Reordered, t.Wrong, t.Duplicate, t.Foreign, t.Unasked, t.Unsent, total(t.Failures), total(t.Drops)}
}

// longer is how many durations are at least d.
func longer(h Histogram, d time.Duration) (n int64) {
	if h.h == nil {
		return 0
	}
	for _, bar := range h.h.Distribution() {
		if bar.From >= int64(d) {
			n += bar.Count
		}
	}
	return n
}

// hold starts a server that has numbers for opening handshakes, from 1: it refuses with 503
// what admit does not want, and ends a connection when serve returns.
func hold(t *testing.T, admit func(n int64) bool, serve func(n int64, c *websocket.Conn)) string {
	t.Helper()
	upgrader := websocket.Upgrader{}
	var numbers atomic.Int64
	var connections sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections.Add(1)
		defer connections.Done()
		n := numbers.Add(1)
		if !admit(n) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		serve(n, c)
	}))
	t.Cleanup(func() {
		s.Close()
		connections.Wait()
	})
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// anybody admits all.
func anybody(int64) bool { return true }

// listen reads until the client leaves, and answers pings and close frames.
func listen(_ int64, c *websocket.Conn) {
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			return
		}
	}
}

// withAndWithoutWorkers runs a test with the one worker of this process, and with two processes.
func withAndWithoutWorkers(t *testing.T, c Config, test func(t *testing.T, c Config)) {
	t.Run("one worker", func(t *testing.T) { test(t, c) })
	t.Run("two processes", func(t *testing.T) {
		withWorkers(t, &c, 2)
		test(t, c)
	})
}
