package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A dialling is a running "weir dial".
type dialling struct {
	in             *os.File // what it reads as its standard input
	stdout, stderr *transcript
	ended          chan int
	interrupt      func()
}

// dialHere runs "weir dial" in this process until the test ends; one at a time, since it
// takes the standard input.
func dialHere(t *testing.T, args ...string) *dialling {
	t.Helper()
	d := &dialling{stdout: newTranscript(), stderr: newTranscript(), ended: make(chan int, 1)}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdin
	d.in, os.Stdin = in, out
	ctx, cancel := context.WithCancel(t.Context())
	d.interrupt = cancel
	go func() { d.ended <- run(ctx, append([]string{"dial"}, args...), d.stdout, d.stderr) }() // awaited by the cleanup
	t.Cleanup(func() {
		_ = in.Close()
		cancel()
		d.wait(t)
		os.Stdin = before
	})
	return d
}

// say writes to the input.
func (d *dialling) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(d.in, text); err != nil {
		t.Fatal(err)
	}
}

// wait returns the exit code; again when called again.
func (d *dialling) wait(t *testing.T) int {
	t.Helper()
	return (&weir{ended: d.ended, stderr: d.stderr}).wait(t)
}

// dialWith runs "weir dial" with an input to its end.
func dialWith(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	d := dialHere(t, args...)
	go func() { // ends with the input, or with its reader
		_, _ = io.WriteString(d.in, input)
		_ = d.in.Close()
	}()
	code = d.wait(t)
	return code, d.stdout.String(), d.stderr.String()
}

// serverOf serves h on every path and returns its URL.
func serverOf(t *testing.T, h handler.Handler, o engine.Options) string {
	t.Helper()
	o.Address = "127.0.0.1:0"
	o.Mux = handler.NewMux()
	o.Mux.Handle("*", h)
	e, err := engine.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return fmt.Sprintf("ws://%s/", e.Addr())
}

// echoToEnd sends back what it receives, and closes behind "end".
var echoToEnd = handler.Func(func(c handler.Conn, op frame.Opcode, p []byte) {
	_ = c.Send(op, p)
	if string(p) == "end" {
		_ = c.Close(frame.CloseNormal, "")
	}
})

// contents are the lines without their time.
func contents(lines string) string {
	return regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3} `).ReplaceAllString(lines, "")
}

func TestDialPrints(t *testing.T) {
	url := serverOf(t, echoToEnd, engine.Options{})
	tests := []struct {
		name   string
		args   string
		input  string
		stdout string
	}{
		{"lines", "--wait 0", "a\nb\r\n\nend", "text   a\ntext   b\ntext   \ntext   end\n"},
		{"no line", "--wait 1ms", "", ""},
		{"default wait", "", "a\n", "text   a\n"},
		{"what a terminal would obey", "--wait 0", "\x1b[2J\té\u202e\x7f\nend\n", `text   \x1b[2J\té\u202e\x7f` + "\ntext   end\n"},
		{"binary", "--binary --wait 0", "\x00\xffa\nend\n", "binary 00ff61\nbinary 656e64\n"},
		{"compressed", "--compression --wait 0", "aaaaaaaaaaaaaaaa\nend\n", "text   aaaaaaaaaaaaaaaa\ntext   end\n"},
		{"once", "--once", "a\nb\n", "text   a\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := dialWith(t, tt.input, append(strings.Fields(tt.args), url)...)
			if got := contents(stdout); code != exitOK || got != tt.stdout {
				t.Errorf("exit code %d, printed %q; want %d, %q", code, got, exitOK, tt.stdout)
			}
			if want := fmt.Sprintf("open   %s\nclose  1000 normal closure\n", strings.Trim(url, "ws:/")); contents(stderr) != want {
				t.Errorf("noted %q; want %q", contents(stderr), want)
			}
		})
	}
}

func TestDialPrintsJSON(t *testing.T) {
	url := serverOf(t, handler.Funcs{
		Message: func(c handler.Conn, op frame.Opcode, p []byte) {
			_ = c.Send(op, p)
			_ = c.Send(frame.Binary, []byte{0, 0xff})
			_ = c.Close(frame.CloseNormal, "<bye>")
		},
	}, engine.Options{Subprotocols: []string{"chat"}, Deflate: frame.DeflateOptions{Enabled: true}})
	code, stdout, stderr := dialWith(t, "a<\x1b\n", url, "--json", "--wait", "0", "--subprotocol", "chat", "--compression")
	if code != exitOK || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	var got []string
	for line := range strings.Lines(stdout) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
		got = append(got, regexp.MustCompile(`"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",`).ReplaceAllString(line, ""))
	}
	want := `{"event":"open","address":"` + strings.Trim(url, "ws:/") + `","subprotocol":"chat","extensions":"permessage-deflate`
	if len(got) == 0 || !strings.HasPrefix(got[0], want) {
		t.Fatalf("printed %s; want first %s", stdout, want)
	}
	want = `{"event":"message","kind":"text","text":"a<\u001b"}
{"event":"message","kind":"binary","base64":"AP8="}
{"event":"close","code":1000,"reason":"<bye>","clean":true}
`
	if rest := strings.Join(got[1:], ""); rest != want {
		t.Errorf("printed %s; want %s", rest, want)
	}
}

// Lines typed one after the other, and an interrupt.
func TestDialInteractive(t *testing.T) {
	closes := make(chan handler.CloseStatus, 1)
	url := serverOf(t, handler.Funcs{
		Message: func(c handler.Conn, op frame.Opcode, p []byte) { _ = c.Send(op, p) },
		Close:   func(_ handler.Conn, s handler.CloseStatus) { closes <- s },
	}, engine.Options{})
	d := dialHere(t, url)
	d.stderr.waitFor(t, `open `)
	for _, line := range []string{"one", "two"} {
		d.say(t, line+"\n")
		d.stdout.waitFor(t, `text   `+line+`\n`)
	}
	d.interrupt()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d: %s", code, d.stderr)
	}
	if s := <-closes; s.Code != frame.CloseGoingAway || !s.Clean {
		t.Errorf("the server got %+v; want 1001", s)
	}
}

// A greeting is the one message of --once, but the line is sent all the same.
func TestDialOnceSendsTheLine(t *testing.T) {
	lines := make(chan string, 1)
	url := serverOf(t, handler.Funcs{
		Open:    func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, []byte("welcome")) },
		Message: func(_ handler.Conn, _ frame.Opcode, p []byte) { lines <- string(p) },
	}, engine.Options{})
	d := dialHere(t, "--once", url)
	d.stdout.waitFor(t, `text   welcome\n`)
	d.say(t, "hello\n")
	if code := d.wait(t); code != exitOK || strings.Count(d.stdout.String(), "\n") != 1 {
		t.Errorf("exit code %d, printed %s", code, d.stdout)
	}
	if line := <-lines; line != "hello" {
		t.Errorf("the server got %q", line)
	}
}

func TestDialEnds(t *testing.T) {
	hangUp := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() { // ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				_ = c.Close()
			}
		}()
		return "ws://" + l.Addr().String()
	}
	abrupt := func(t *testing.T) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := new(websocket.Upgrader).Upgrade(w, r, nil); err == nil {
				_ = c.Close() // of the socket: gorilla sends no close frame
			}
		}))
		t.Cleanup(s.Close)
		return "ws" + strings.TrimPrefix(s.URL, "http")
	}
	closing := func(code frame.CloseCode) func(*testing.T) string {
		return func(t *testing.T) string {
			return serverOf(t, handler.Func(func(c handler.Conn, _ frame.Opcode, _ []byte) { _ = c.Close(code, "so\x1bit is") }), engine.Options{})
		}
	}
	silent := func(t *testing.T) string { return serverOf(t, handler.Funcs{}, engine.Options{}) }
	tests := []struct {
		name   string
		server func(*testing.T) string
		args   string
		input  string
		code   int
		stderr string // in what is said last
	}{
		{"1000", closing(frame.CloseNormal), "--wait 0", "a", exitOK, `close  1000 normal closure: so\x1bit is`},
		{"1001", closing(frame.CloseGoingAway), "--wait 0", "a", exitOK, "close  1001"},
		{"4001", closing(4001), "--wait 0", "a", exitFailed, "weir: the server closed the connection with 4001"},
		{"no close frame", abrupt, "--wait 0", "", exitFailed, "weir: the server ended the connection without a close frame"},
		{"silence", silent, "--wait 1ms", "a", exitOK, "close  1000"},
		{"no message", silent, "--once --timeout 1s", "a", exitFailed, "weir: no message came within 1s, see --timeout"},
		{"closed before the message", closing(frame.CloseNormal), "--once", "a", exitFailed, "weir: no message came"},
		{"bad text", silent, "", "a\n\xff\n", exitFailed, "weir: line 2 is not UTF-8, so it cannot be sent as text; say --binary"},
		{"wrong handshake", hangUp, "", "a", exitFailed, "weir: cannot connect: Upgrade is not websocket, HTTP status 101 Switching Protocols"},
		{"refused", func(t *testing.T) string {
			return serverOf(t, handler.Funcs{Open: func(handler.Conn, *handler.Request) error {
				return handler.Refuse(http.StatusUnauthorized, "who are\x1byou?")
			}}, engine.Options{})
		}, "", "", exitFailed, `weir: cannot connect: the server refused, HTTP status 401 Unauthorized, "who are\x1byou?"`},
		{"no server", func(*testing.T) string { return "ws://127.0.0.1:1/" }, "", "", exitFailed, "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append(strings.Fields(tt.args), tt.server(t))
			code, _, stderr := dialWith(t, tt.input, args...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if last := lines[len(lines)-1]; code != tt.code || !strings.Contains(last, tt.stderr) {
				t.Errorf("exit code %d, said last %q; want %d, %q", code, last, tt.code, tt.stderr)
			}
		})
	}
}

func TestDialInterruptedWhileConnecting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := dialHere(t, "ws://"+l.Addr().String())
	d.interrupt()
	if code := d.wait(t); code != exitFailed || d.stderr.String() != "weir: interrupted\n" {
		t.Errorf("exit code %d, said %s", code, d.stderr)
	}
	code, _, stderr := dialWith(t, "", "--timeout", "50ms", "ws://"+l.Addr().String())
	if code != exitFailed || stderr != "weir: cannot connect: not done within 50ms, see --timeout\n" {
		t.Errorf("exit code %d, said %s", code, stderr)
	}
}

func TestDialHandshake(t *testing.T) {
	requests := make(chan *handler.Request, 1)
	url := serverOf(t, handler.Funcs{Open: func(_ handler.Conn, r *handler.Request) error {
		requests <- r
		return nil
	}}, engine.Options{Origins: []string{"example.com"}, Subprotocols: []string{"b"}})
	code, _, stderr := dialWith(t, "", "--wait=1ms", "--header", "X-A: 1", "--header", "x-a:2", url+"p?q", "--header", "Host: example.org",
		"--subprotocol", "a", "--subprotocol", "b", "--origin", "https://example.com", "--compression")
	if code != exitOK || !strings.Contains(stderr, ", sub-protocol b\n") {
		t.Fatalf("exit code %d, said %s", code, stderr)
	}
	r := <-requests
	for _, tt := range []struct{ what, got, want string }{
		{"URI", r.URI, "/p?q"},
		{"Host", r.Host, "example.org"},
		{"X-A", fmt.Sprint(r.Header.Values("X-A")), "[1 2]"},
		{"Origin", r.Header.Get("Origin"), "https://example.com"},
		{"sub-protocols", fmt.Sprint(r.Subprotocols), "[a b]"},
		{"extensions", r.Header.Get("Sec-WebSocket-Extensions")[:18], "permessage-deflate"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %q; want %q", tt.what, tt.got, tt.want)
		}
	}
}

func TestDialTLS(t *testing.T) {
	certFile, keyFile := makeCert(t)
	w := serveHere(t, "--address", "127.0.0.1:0", "--tls-cert", certFile, "--tls-key", keyFile)
	url := "wss://" + w.address + "/echo"
	for _, trust := range [][]string{{"--ca", certFile}, {"--insecure"}} {
		code, stdout, stderr := dialWith(t, "hi\n", append(trust, "--once", url)...)
		if code != exitOK || contents(stdout) != "text   hi\n" {
			t.Errorf("%q: exit code %d, printed %q, said %s", trust, code, stdout, stderr)
		}
	}
	code, _, stderr := dialWith(t, "", url)
	if code != exitFailed || !strings.HasPrefix(stderr, "weir: cannot connect: ") || !strings.HasSuffix(stderr, "; to trust it, say --ca or --insecure\n") {
		t.Errorf("exit code %d, said %s", code, stderr)
	}
	for _, tt := range []struct{ ca, want string }{
		{keyFile, "weir: --ca " + keyFile + " has no certificate in PEM\n"},
		{certFile + "x", "weir: cannot read --ca: open "},
	} {
		code, _, stderr := dialWith(t, "", "--ca", tt.ca, url)
		if code != exitFailed || !strings.HasPrefix(stderr, tt.want) {
			t.Errorf("exit code %d, said %q; want %q", code, stderr, tt.want)
		}
	}
}

func TestDialWithWrongArguments(t *testing.T) {
	tests := []struct{ args, want string }{
		{"", "dial needs a URL, such as ws://127.0.0.1:7681/echo"},
		{"ws://a/ hello", `dial takes one URL, not "hello" as well; what is sent comes from the input`},
		{"http://a/", `"http://a/" is no URL of a WebSocket, such as ws://`},
		{"ws:///x", `"ws:///x" is no URL of a WebSocket, such as ws://`},
		{"ws://a/#b", "cannot connect: engine: bad WebSocket URL: no fragment allowed"},
		{"ws://a/ --subprotocol x --subprotocol x", `cannot connect: engine: bad dial options: sub-protocol "x"`},
		{"ws://a/ --subprotocol x,y", `--subprotocol is "x,y"; it must be a token, such as chat.v1`},
		{"ws://a/ --header x", `--header is "x"; it must be a header field that is not the handshake's own, such as 'Authorization: Bearer x'`},
		{"ws://a/ --header Upgrade:h2c", `--header is "Upgrade:h2c"; it must be a header field`},
		{"ws://a/ --header Origin:x", `--header is "Origin:x"; it must be a header field`},
		{"ws://a/ --origin=", `--origin is ""; it must be an origin`},
		{"ws://a/ --wait -1s", `--wait is "-1s"; it must be 0 or a duration`},
		{"ws://a/ --timeout 0", `--timeout is "0"; it must be a duration`},
		{"ws://a/ --insecure", `--ca and --insecure are for a URL with wss, not for "ws://a/"`},
		{"ws://a/ --ca x", `--ca and --insecure are for a URL with wss, not for "ws://a/"`},
		{"wss://a/ --ca x --insecure", "--insecure trusts any server, so --ca has no use; leave one of them out"},
		{"ws://a/ --once --wait 1s", "--wait has no use with --once, which waits for --timeout"},
		{"ws://a/ --jsno", "dial has no flag --jsno; did you mean --json?"},
		{"ws://a/ --verbose", `dial has no flag --verbose; "weir help dial" tells those it has`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs strings.Builder
			code := run(t.Context(), append([]string{"dial"}, strings.Fields(tt.args)...), &out, &errs)
			if code != exitUsage || out.Len() > 0 || !strings.HasPrefix(errs.String(), "weir: "+tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %d and %q", code, &out, &errs, exitUsage, tt.want)
			}
		})
	}
	code, stdout, _ := call(t, "help", "dial")
	if code != exitOK || !strings.HasPrefix(stdout, "usage: weir dial URL [flags]\n") || !strings.HasSuffix(stdout, dialExplained) {
		t.Errorf("exit code %d, usage %s", code, stdout)
	}
}

// A pipe that is faster than the connection loses nothing.
func TestDialManyLines(t *testing.T) {
	url := serverOf(t, echoToEnd, engine.Options{})
	var input, want bytes.Buffer
	for n := range 3000 {
		line := strings.Repeat("x", n%1000) + fmt.Sprint(n)
		fmt.Fprintln(&input, line)
		fmt.Fprintln(&want, "text  ", line)
	}
	fmt.Fprint(&want, "text   end\n")
	code, stdout, stderr := dialWith(t, input.String()+"end", "--wait", "0", url)
	if got := contents(stdout); code != exitOK || got != want.String() {
		t.Errorf("exit code %d, printed %d bytes, want %d; said %s", code, len(got), want.Len(), stderr)
	}
}

// The program as a process, in a pipe and at a terminal that sends an interrupt.
func TestDialProcess(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	closes := make(chan handler.CloseStatus, 2)
	url := serverOf(t, handler.Funcs{
		Message: func(c handler.Conn, op frame.Opcode, p []byte) { _ = c.Send(op, p) },
		Close:   func(_ handler.Conn, s handler.CloseStatus) { closes <- s },
	}, engine.Options{})
	cmd := exec.Command("/bin/sh", "-c", `printf 'a\nb\n' | "$0" dial "$1" --json | grep -c '"event":"message"'`, program, url)
	cmd.Env = append(os.Environ(), asWeir+"=1")
	if out, err := cmd.Output(); err != nil || string(out) != "2\n" {
		t.Errorf("%v, printed %q; want 2", err, out)
	}
	if s := <-closes; s.Code != frame.CloseNormal {
		t.Errorf("the server got %+v; want 1000", s)
	}

	cmd = exec.Command(program, "dial", url)
	cmd.Env = append(os.Environ(), asWeir+"=1")
	stderr := newTranscript()
	cmd.Stderr = stderr
	stdout := newTranscript()
	cmd.Stdout = stdout
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "a\n"); err != nil {
		t.Fatal(err)
	}
	stdout.waitFor(t, "text   a\n")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v, said %s", err, stderr)
	}
	if s := <-closes; s.Code != frame.CloseGoingAway {
		t.Errorf("the server got %+v; want 1001", s)
	}
}
