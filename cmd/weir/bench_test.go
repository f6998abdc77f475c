package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/bench"
)

func TestBenchWithWrongArguments(t *testing.T) {
	tests := []struct{ args, want string }{
		{"", "bench needs a scenario and a URL; the scenarios are "},
		{"--rate 5", "bench needs a scenario and a URL; the scenarios are "},
		{"dance ws://127.0.0.1/", `bench has no scenario "dance"; the scenarios are `},
		{"echo", "bench echo needs a URL, such as ws://127.0.0.1:7681/echo"},
		{"echo ws://a/ --rate 1 ws://b/", `bench takes one URL; others, such as "ws://b/", follow --compare`},
		{"echo ws://a/ --rate 0", `--rate is "0"; it must be a number above 0, per second`},
		{"echo ws://a/ --compare http://b/", `--compare is "http://b/"; it must be a URL such as`},
		{"echo ws://a/ --pid x", `--pid is "x"; it must be the number of a process`},
		{"fanout ws://a/ --publish-url ws://a/", `--publish-url is "ws://a/"; it must be a URL such as http://127.0.0.1:7681/publish/topic`},
		{"fanout ws://a/ --publish-template x", `bench: what to publish, "x", lacks {{.Message}}`},
		{"echo ws://a/ --payload 5 --subscribe x", "bench: a payload of 5 bytes is not from 32, which its number, time and check sum take, to 16777216; bench: echo does not publish"},
		{"fanout ws://a/ --publish-header x", `--publish-header is "x"; it must be a header field`},
		{"echo ws://a/ --source x", `--source is "x"; it must be an IP address of this machine`},
		{"echo ws://a/ --threshold p99=5ms", `--threshold is "p99=5ms"; it must be a figure and its bound, such as p99<5ms or lost<1`},
		{"replay ws://a/", "--recording with a file of weir bench record is what replay needs, and replay only"},
		{"replay ws://a/ --recording x --speed 0", `--speed is "0"; it must be a number above 0`},
		{"find ws://a/ --bound p99<1s", "bench: to find what keeps p99<1s, rounds must last 20 times that or more, not 5s"},
		{"echo ws://a/ --workers 100", "bench: 100 workers cannot share 64 connections"},
		{"replay ws://a/ --recording bench_test.go", "bench_test.go: bench: line 1 of the recording: it is no message"},
		{"record http://a/ --out /tmp/weir-no-recording", `bench: "http://a/" is not a URL`},
		{"record", "bench record takes one URL, such as ws://127.0.0.1:7681/feed, not 0"},
		{"record ws://a/", "bench record needs --out, the file to write to"},
		{"record ws://a/ --out bench_test.go", "--out bench_test.go exists; give another name, or remove it"},
		{"record ws://a/ --outt x", "bench has no flag --outt; did you mean --out?"},
		{"find ws://a/", "--bound 'p99<5ms', or another, is what find needs, and find only"},
		{"echo ws://a/ --bound p99<5ms", "--bound 'p99<5ms', or another, is what find needs, and find only"},
		{"find ws://a/ --bound p99", `--bound is "p99"; it must be an upper bound of a figure, such as p99<5ms`},
		{"find ws://a/ --search luck", `--search is "luck"; it must be rate or connections`},
		{"echo ws://a/ --json a.json --csv /nonexistent/a.csv", "/nonexistent/a.csv cannot be written: /nonexistent is no directory"},
		{"echo ws://a/ --html bench.go/a.html", "bench.go/a.html cannot be written: bench.go is no directory"},
		{"echo ws://a/ --json .", ". is a directory; name a file in it"},
		{"echo ws://a/ --json a --csv b --html ./a", "a can be only one of --json, --csv and --html"},
		{"echo ws://me:secret@a/", `bench: "…@a/" is not a URL such as ws://127.0.0.1:7681/echo: engine: bad WebSocket URL: no place for a user in it`},
		{"record ws://a:99999/ --out /tmp/weir-no-recording", `bench: "ws://a:99999/" is not a URL`},
		{"echo ws://a/ --attackers 2", "echo has no use for --attackers, only hostile"},
		{"echo ws://a/ --publishers 2", "echo has no use for --publishers, only fanout"},
		{"fanout ws://a/ --in-flight 2", "fanout has no use for --in-flight, only echo and find"},
		{"echo ws://a/ --speed 2 --search rate", "echo has no use for --search, only find"},
		{"echo ws://a/ --in-flight 2 --rate 5", "--in-flight is for messages that replies bring on, and --rate for"},
		{"echo ws://a/ --pid 1073741824", "bench: no process 1073741824 can be observed"},
		{"echo ws://a/ --source 192.0.2.1", "bench: the source 192.0.2.1 is not an address of this machine"},
		{"echo ws://a/ --duration 5", `--duration is "5"; it must be a duration`},
		{"echo ws://a/ --conections 5", "bench has no flag --conections; did you mean --connections?"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := call(t, append([]string{"bench"}, strings.Fields(tt.args)...)...)
			if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "weir: "+tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %d and %q", code, stdout, stderr, exitUsage, tt.want)
			}
		})
	}
}

// TestBenchOfServe runs the whole of it: this program loads itself, with workers that
// are processes.
func TestBenchOfServe(t *testing.T) {
	t.Setenv(asWeir, "1") // for the workers
	w := serveApart(t, "", "--address", "127.0.0.1:0")
	dir := t.TempDir()
	jsonFile, csvFile, htmlFile := filepath.Join(dir, "report.json"), filepath.Join(dir, "report.csv"), filepath.Join(dir, "report.html")
	url := "ws://" + w.address + "/echo"
	line := []string{"bench", "echo", url, "--compare", url, "--connections", "10", "--rate", "500", "--workers", "2", "--duration", "300ms",
		"--warm-up", "0", "--rounds", "2", "--pid", strconv.Itoa(w.process.Pid), "--threshold", "errors<1", "--json", jsonFile, "--csv", csvFile, "--html", htmlFile}
	stdout, stderr := newTranscript(), newTranscript()
	if code := run(t.Context(), line, stdout, stderr); code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"open loop, 500/s", url, "p99.9", "server.cpu.message", "× "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not in: %s", want, stdout)
		}
	}
	text, err := os.ReadFile(jsonFile)
	if err != nil {
		t.Fatal(err)
	}
	var report bench.Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Targets) != 2 || len(report.Targets[1].Rounds) != 2 || report.Targets[0].Rounds[0].Sent != 150 {
		t.Errorf("the report is %s", text)
	}
	if text, err := os.ReadFile(csvFile); err != nil || !strings.Contains(string(text), url+",2,p99,s,") {
		t.Errorf("the table is %s, %v", text, err)
	}
	if text, err := os.ReadFile(htmlFile); err != nil || !strings.Contains(string(text), "<h2>"+url+"</h2>") {
		t.Errorf("the page is %s, %v", text, err)
	}
	line = append(line, "--threshold", "p50<1us")
	if code := run(t.Context(), line, stdout, stderr); code != exitFailed || !strings.Contains(stderr.String(), "threshold crossed") {
		t.Errorf("exit code %d, said %s; want %d", code, stderr, exitFailed)
	}
}

func TestBenchOfServeWithTLS(t *testing.T) {
	t.Setenv(asWeir, "1")
	dir := t.TempDir()
	if code, _, stderr := call(t, "cert", "--dir", dir); code != exitOK {
		t.Fatal(stderr)
	}
	certificate := filepath.Join(dir, "cert.pem")
	w := serveApart(t, "", "--address", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", filepath.Join(dir, "key.pem"))
	line := []string{"bench", "echo", "wss://" + w.address + "/echo", "--duration", "200ms", "--warm-up", "0", "--rounds", "1", "--threshold", "errors<1"}
	for _, trust := range [][]string{{"--ca", certificate}, {"--insecure"}} {
		out := newTranscript()
		if code := run(t.Context(), append(line, trust...), out, out); code != exitOK {
			t.Errorf("%s: exit code %d: %s", trust, code, out)
		}
	}
	out := newTranscript()
	if code := run(t.Context(), line, out, out); code != exitFailed || !strings.Contains(out.String(), "failed: 64 × certificate not trusted: ") {
		t.Errorf("without trust: exit code %d: %s", code, out)
	}
}

// TestBenchRecordsAndReplays records what a server says until it hangs up, and plays it to
// "weir serve".
func TestBenchRecordsAndReplays(t *testing.T) {
	t.Setenv(asWeir, "1") // for the workers
	var upgrader websocket.Upgrader
	said := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(rw, r, nil); err == nil {
			_ = c.WriteMessage(websocket.TextMessage, []byte("hello"))
			_ = c.WriteMessage(websocket.BinaryMessage, []byte{0, 1})
			_ = c.Close()
		}
	}))
	defer said.Close()
	file, out := filepath.Join(t.TempDir(), "recording"), newTranscript()
	line := []string{"bench", "record", "ws" + strings.TrimPrefix(said.URL, "http"), "--out", file}
	if code := run(t.Context(), line, out, out); code != exitOK || !strings.Contains(out.String(), "2 messages with 7 bytes in ") {
		t.Fatalf("exit code %d: %s", code, out)
	}
	text, err := os.ReadFile(file)
	if err != nil || !regexp.MustCompile(`^{"at_ns":0,"text":"hello"}\n{"at_ns":\d+,"base64":"AAE="}\n$`).Match(text) {
		t.Errorf("the recording is %s, %v", text, err)
	}
	w := serveApart(t, "", "--address", "127.0.0.1:0")
	line = []string{"bench", "replay", "ws://" + w.address + "/echo", "--recording", file, "--speed", "2", "--connections", "3",
		"--threshold", "errors<1", "--threshold", "sent>=6"}
	if code := run(t.Context(), line, out, out); code != exitOK || !strings.Contains(out.String(), "taken.rate") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestBenchRecordWithoutServer(t *testing.T) {
	file, out := filepath.Join(t.TempDir(), "recording"), newTranscript()
	code := run(t.Context(), []string{"bench", "record", "ws://127.0.0.1:1/", "--out", file}, out, out)
	if _, err := os.Stat(file); code != exitFailed || !os.IsNotExist(err) || !strings.Contains(out.String(), "connection refused") {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
}

// TestBenchWithoutPublications has publishers that are refused.
func TestBenchWithoutPublications(t *testing.T) {
	t.Setenv(asWeir, "1")
	w := serveApart(t, "", "--address", "127.0.0.1:0", "--feed")
	stdout, stderr := newTranscript(), newTranscript()
	line := []string{"bench", "fanout", "ws://" + w.address + "/feed/a", "--publish-url", "http://" + w.address + "/publish/a",
		"--rounds", "1", "--warm-up", "0", "--duration", "300ms"}
	code := run(t.Context(), line, stdout, stderr)
	if want := "no message to ws://" + w.address + "/feed/a could be sent"; code != exitFailed || !strings.Contains(stderr.String(), want) {
		t.Errorf("exit code %d, %s; want %d and %q", code, stderr, exitFailed, want)
	}
	if want := "not published: 3 × status 401"; !strings.Contains(stdout.String(), want) {
		t.Errorf("%q is not in: %s", want, stdout)
	}
}

// TestBenchOfAServerThatHangsUp has connections that are gone before the load begins: in a
// closed loop nothing is sent then, and nothing counts as not sent.
func TestBenchOfAServerThatHangsUp(t *testing.T) {
	t.Setenv(asWeir, "1")
	var upgrader websocket.Upgrader
	rude := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(rw, r, nil); err == nil {
			_ = c.Close()
		}
	}))
	defer rude.Close()
	out := newTranscript()
	line := []string{"bench", "echo", "ws" + strings.TrimPrefix(rude.URL, "http"), "--rounds", "1", "--warm-up", "0", "--duration", "100ms", "--threshold", "lost<1"}
	if code := run(t.Context(), line, out, out); code != exitFailed || !strings.Contains(out.String(), "no message to ws://") {
		t.Errorf("exit code %d, want %d: %s", code, exitFailed, out)
	}
}

func TestBenchWithoutServer(t *testing.T) {
	t.Setenv(asWeir, "1")
	stdout, stderr := newTranscript(), newTranscript()
	if code := run(t.Context(), []string{"bench", "echo", "ws://127.0.0.1:1/", "--rounds", "1"}, stdout, stderr); code != exitFailed {
		t.Errorf("exit code %d, want %d: %s", code, exitFailed, stdout)
	}
	if want := "failed: 64 × connection refused"; !strings.Contains(stdout.String(), want) {
		t.Errorf("%q is not in: %s", want, stdout)
	}
}
