package bench

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/frame"
)

// greeted starts a server that sends messages at once, and hangs up if the last has kind
// hangUp. Otherwise it waits for the client to close.
func greeted(t *testing.T, messages ...reply) string {
	t.Helper()
	var upgrader websocket.Upgrader
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for _, m := range messages {
			if m.kind == hangUp || c.WriteMessage(m.kind, m.payload) != nil {
				return
			}
		}
		_, _, _ = c.ReadMessage() // the close frame
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// A writing is an io.Writer.
type writing func(p []byte) (int, error)

func (w writing) Write(p []byte) (int, error) { return w(p) }

// record records what a server sends, until it hangs up.
func record(t *testing.T, messages ...reply) (Recorded, []byte) {
	t.Helper()
	var file bytes.Buffer
	r, err := Record(t.Context(), Config{URLs: []string{greeted(t, messages...)}}, &file)
	if err != nil {
		t.Fatal(err)
	}
	return r, file.Bytes()
}

func TestRecord(t *testing.T) {
	const text = "a\"b\\c<&>\u2028\x00é"
	r, file := record(t, reply{websocket.TextMessage, []byte(text)}, reply{websocket.BinaryMessage, []byte{0, 0xff}},
		reply{websocket.TextMessage, nil}, reply{websocket.BinaryMessage, nil}, reply{kind: hangUp})
	if r.Messages != 4 || r.Bytes != uint64(len(text)+2) || r.Ended != "hung up" || r.Took <= 0 {
		t.Errorf("recorded %+v", r)
	}
	all, err := ReadRecording(bytes.NewReader(file))
	if err != nil || len(all) != 4 {
		t.Fatalf("%v, %v: %s", all, err, file)
	}
	want := []Message{{Op: frame.Text, Payload: []byte(text)}, {Op: frame.Binary, Payload: []byte{0, 0xff}}, {Op: frame.Text}, {Op: frame.Binary}}
	for i, m := range all {
		if m.Op != want[i].Op || string(m.Payload) != string(want[i].Payload) || i == 0 && m.At != 0 || i > 0 && m.At < all[i-1].At {
			t.Errorf("message %d is %+v; want %+v", i, m, want[i])
		}
	}
}

// TestRecordEnds has servers that do not hang up.
func TestRecordEnds(t *testing.T) {
	url := greeted(t, reply{websocket.TextMessage, []byte("x")})
	var file bytes.Buffer
	r, err := Record(t.Context(), Config{URLs: []string{url}, Duration: 100 * time.Millisecond}, &file)
	if err != nil || r.Ended != "the time is over" || r.Took < 100*time.Millisecond {
		t.Errorf("%+v, %v", r, err)
	}
	large := greeted(t, reply{websocket.BinaryMessage, make([]byte, 1<<16)}) // more than is buffered
	ctx, cancel := context.WithCancel(t.Context())
	r, err = Record(ctx, Config{URLs: []string{large}}, writing(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	}))
	if err != nil || r.Ended != "interrupted" || r.Messages != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	full := errors.New("disk full")
	if r, err = Record(t.Context(), Config{URLs: []string{large}}, writing(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Record(t.Context(), Config{URLs: []string{"ws://127.0.0.1:1/"}}, &file); err == nil || !strings.Contains(err.Error(), "ws://127.0.0.1:1/: connection refused") {
		t.Errorf("without server: %v", err)
	}
	if _, err := Record(t.Context(), Config{URLs: []string{"http://127.0.0.1:1/"}}, &file); err == nil || !strings.Contains(err.Error(), "is not a URL") {
		t.Errorf("another URL: %v", err)
	}
}

func TestReadRecordingRefuses(t *testing.T) {
	const good = `{"at_ns":5,"text":"x"}` + "\n"
	tests := []struct{ file, want string }{
		{"", "there is no message"},
		{good + `{"at_ns":6,"te`, "line 2 of the recording: it ends before the JSON object does"},
		{good + "\n" + good, "line 2 of the recording: it ends before"},
		{good + "hello\n", "line 2 of the recording: it is no message: invalid character 'h'"},
		{`{"text":"x"}`, "line 1 of the recording: it has no at_ns"},
		{`{"at_ns":-1,"text":"x"}`, "at_ns is -1, not from 0 to"},
		{`{"at_ns":1.5,"text":"x"}`, "it is no message"},
		{`{"at_ns":1}`, "it has not one of text and base64"},
		{`{"at_ns":1,"text":"x","base64":"AA=="}`, "it has not one of text and base64"},
		{`{"at_ns":1,"base64":"A"}`, "it is no message: illegal base64"},
		{`{"at_ns":1,"txt":"x"}`, `it is no message: json: unknown field "txt"`},
		{`{"at_ns":1,"text":"x"} {}`, "there is something behind the JSON object"},
		{"{\"at_ns\":1,\"text\":\"\xff\"}", "it is not UTF-8"},
		{good + `{"at_ns":4,"text":"x"}`, "line 2 of the recording: at_ns is 4"},
		{`{"at_ns":1,"text":"` + strings.Repeat("x", mostPayloadBytes+1) + `"}`, "more than 16777216"},
	}
	for _, tt := range tests {
		if all, err := ReadRecording(strings.NewReader(tt.file)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q: %d messages, %v; want %q", tt.file, len(all), err, tt.want)
		}
	}
	if all, err := ReadRecording(strings.NewReader(strings.TrimSpace(good))); err != nil || len(all) != 1 || string(all[0].Payload) != "x" {
		t.Errorf("without the last end of line: %v, %v", all, err)
	}
}

// A taking server keeps what comes on each connection.
type taking struct {
	mu    sync.Mutex
	conns [][]string
}

// got is what came on each connection. All must have been closed.
func (s *taking) got() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *taking) serve(t *testing.T, answer answers) string {
	return serve(t, func() answers {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := len(s.conns)
		s.conns = append(s.conns, nil)
		return func(n int, kind int, m []byte) []reply {
			s.mu.Lock()
			s.conns[i] = append(s.conns[i], string(rune('0'+kind))+string(m))
			s.mu.Unlock()
			return answer(n, kind, m)
		}
	})
}

// replayed is a Config to play 100 messages a millisecond apart.
func replayed(t *testing.T, url string) (c Config, want []string) {
	t.Helper()
	var file []byte
	for i := range 100 {
		m := Message{At: time.Duration(i) * time.Millisecond, Op: frame.Text, Payload: []byte{'a' + byte(i%26)}}
		if i%3 == 0 {
			m.Op = frame.Binary
		}
		file = m.appendLine(file)
		want = append(want, string(rune('0'+m.Op))+string(m.Payload))
	}
	c = quick(url)
	c.Scenario, c.Connections, c.Duration = "replay", 2, 0
	c.Recording = filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(c.Recording, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return c, want
}

func TestReplay(t *testing.T) {
	for _, speed := range []float64{0, 0.5, 10} {
		var server taking
		c, want := replayed(t, server.serve(t, echoed))
		c.Speed = speed
		if speed == 10 {
			withWorkers(t, &c, 2)
		}
		report, r := mustRun(t, c)
		if got := server.got(); len(got) != 2 || !slices.Equal(got[0], want) || !slices.Equal(got[1], want) {
			t.Errorf("the server got %q; want twice %q", got, want)
		}
		if got := faults(&r.Tally); got != (fault{}) || r.Sent != 200 || r.SentBytes != 200 || r.SendLag.Count() != 200 || r.Finishing.Count() != 2 {
			t.Errorf("faults %+v, %d sent, %d bytes, %d finished", got, r.Sent, r.SentBytes, r.Finishing.Count())
		}
		length := map[float64]time.Duration{0: 100 * time.Millisecond, 0.5: 199 * time.Millisecond, 10: 10900 * time.Microsecond}[speed]
		if report.Config.Duration != length || r.Playing != length-time.Millisecond {
			t.Errorf("speed %v: %v, of which %v; want %v", speed, report.Config.Duration, r.Playing, length)
		}
		var text strings.Builder
		if err := report.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"lateness counts from when a message was due", "taken.rate", "taken.bytes", "finish.max", "sendlag.max"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%q is not in: %s", want, &text)
			}
		}
	}
}

// TestReplayOfPart plays the first 50 ms only.
func TestReplayOfPart(t *testing.T) {
	var server taking
	c, want := replayed(t, server.serve(t, echoed))
	c.Connections, c.Duration = 1, 50*time.Millisecond
	_, r := mustRun(t, c)
	if got := server.got(); len(got) != 1 || !slices.Equal(got[0], want[:50]) || r.Sent != 50 {
		t.Errorf("the server got %q, %d sent; want %q", got, r.Sent, want[:50])
	}
}

// TestReplayTellsSlowness has a server that needs longer than the recording.
func TestReplayTellsSlowness(t *testing.T) {
	const each = 5 * time.Millisecond
	c, want := replayed(t, serve(t, func() answers {
		return func(int, int, []byte) []reply {
			time.Sleep(each) // the server's, not the test's: it is what is measured
			return nil
		}
	}))
	_, r := mustRun(t, c)
	whole := time.Duration(len(want)) * each
	if got := r.Finishing.At(100); got < whole-100*time.Millisecond {
		t.Errorf("finished after %v; the server needed %v", got, whole)
	}
	if rate, ok := r.taken(r.Sent); !ok || rate > 2/each.Seconds() {
		t.Errorf("%v messages per second taken by a server that can do %v", rate, 2/each.Seconds())
	}
	c.Timeout = 50 * time.Millisecond
	if _, r = mustRun(t, c); r.Drops[unfinished] != 2 || r.Finishing.Count() != 0 {
		t.Errorf("with less time: drops %v, %d finished", r.Drops, r.Finishing.Count())
	}
}

// TestReplayTellsDrops has a server that hangs up at the 10th message.
func TestReplayTellsDrops(t *testing.T) {
	c, _ := replayed(t, serve(t, func() answers {
		return every(10, func(int, int, []byte) []reply { return []reply{{kind: hangUp}} })
	}))
	_, r := mustRun(t, c)
	if total(r.Drops) != 2 || r.Finishing.Count() != 0 || r.Sent+r.Unsent != 200 || r.Drops[unfinished] != 0 {
		t.Errorf("drops %v, %d sent, %d unsent", r.Drops, r.Sent, r.Unsent)
	}
}

// TestReplayToADeafServer has a server that reads one connection and never the others, whose
// messages it has not taken.
func TestReplayToADeafServer(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	c, _ := replayed(t, hold(t, anybody, func(n int64, c *websocket.Conn) {
		if n > 1 {
			<-over
			return
		}
		listen(n, c)
	}))
	c.Connections, c.Timeout = 4, 200*time.Millisecond
	report, r := mustRun(t, c)
	if r.Finishing.Count() != 1 || r.Drops[unfinished] != 3 || r.Sent != 400 {
		t.Errorf("%d finished, drops %v, %d sent", r.Finishing.Count(), r.Drops, r.Sent)
	}
	for _, name := range []string{"taken.rate", "taken.bytes", "finish.max"} {
		if m, ok := report.Targets[0].metric(name); ok {
			t.Errorf("the server, which has not taken everything, has %+v", m)
		}
	}
}

func TestReplayRefusesConfig(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*Config)
	}{
		{"replay needs a recording", func(c *Config) { c.Recording = "" }},
		{"no such file", func(c *Config) { c.Recording = "/nonexistent" }},
		{"line 1 of the recording: it is no message", func(c *Config) { c.Recording = "replay_test.go" }},
		{"a replay has the rate of its recording", func(c *Config) { c.Rate = 1 }},
		{"a speed of -1 is not above 0", func(c *Config) { c.Speed = -1 }},
	} {
		c, _ := replayed(t, "ws://127.0.0.1:1/")
		tt.change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v", tt.want, err)
		}
	}
}
