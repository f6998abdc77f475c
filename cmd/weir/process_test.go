package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// patience bounds every wait of the tests. None should come near it.
const patience = time.Minute

// asWeir makes the test binary be the program itself: a process of its own, that can
// be sent signals.
const asWeir = "WEIR_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asWeir) != "" {
		main() // exits
	}
	os.Exit(m.Run())
}

// A transcript is what a program writes, for a test to wait for.
type transcript struct {
	mu      sync.Mutex
	written bytes.Buffer
	changed chan struct{} // closed at the next write
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.written.Write(p)
}

func (s *transcript) look() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.String(), s.changed
}

func (s *transcript) String() string {
	text, _ := s.look()
	return text
}

// waitFor returns the first group of pattern once it matches.
func (s *transcript) waitFor(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		text, changed := s.look()
		if m := re.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waiting for %q in: %s", pattern, text)
		}
	}
}

// A weir is a running "weir serve".
type weir struct {
	address string
	stderr  *transcript
	ended   chan int // holds the exit code
	stop    func()   // begins the drain
	process *os.Process
}

var listeningOn = `(?m)^listening +(\S+)$`

// serveHere runs "weir serve" in this process until the test ends.
func serveHere(t *testing.T, args ...string) *weir {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &weir{stderr: newTranscript(), ended: make(chan int, 1), stop: cancel}
	go func() { w.ended <- run(ctx, append([]string{"serve"}, args...), w.stderr, w.stderr) }() // awaited by the cleanup
	t.Cleanup(func() { w.end(t) })
	w.address = w.stderr.waitFor(t, listeningOn)
	return w
}

// serveApart runs "weir serve" as a process of its own. shell stands before the
// command line, for limits.
func serveApart(t *testing.T, shell string, args ...string) *weir {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append([]string{"-c", shell + ` exec "$0" "$@"`, program, "serve"}, args...)
	cmd := exec.Command("/bin/sh", line...)
	w := &weir{stderr: newTranscript(), ended: make(chan int, 1)}
	cmd.Env = append(os.Environ(), asWeir+"=1")
	cmd.Stderr = w.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.process = cmd.Process
	w.stop = func() { _ = cmd.Process.Kill() }
	go func() { // ends with the process, which the cleanup kills
		_ = cmd.Wait()
		w.ended <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() { w.end(t) })
	w.address = w.stderr.waitFor(t, listeningOn)
	return w
}

// end stops the server and returns its exit code; again when called again.
func (w *weir) end(t *testing.T) int {
	t.Helper()
	w.stop()
	return w.wait(t)
}

func (w *weir) wait(t *testing.T) int {
	t.Helper()
	select {
	case code := <-w.ended:
		w.ended <- code
		return code
	case <-time.After(patience):
		t.Fatalf("the server does not end; it said: %s", w.stderr)
		return 0
	}
}

// dial opens a WebSocket that is closed with the test.
func (w *weir) dial(t *testing.T, path string, header http.Header) *websocket.Conn {
	t.Helper()
	c, response, err := websocket.DefaultDialer.Dial("ws://"+w.address+path, header)
	if err != nil {
		t.Fatalf("dialing %s: %v (%v)", path, err, response)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func wantMessage(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	_, got, err := c.ReadMessage()
	if err != nil || string(got) != want {
		t.Fatalf("got %.100q, %v; want %.100q", got, err, want)
	}
}

// cancelled is a context for programs that are to end at once.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// call runs the program with these arguments.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = run(cancelled(t), args, &out, &errs)
	return code, out.String(), errs.String()
}
