package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// brokenOutput takes nothing.
type brokenOutput struct{}

var errBroken = errors.New("no space left")

func (brokenOutput) Write([]byte) (int, error) { return 0, errBroken }

func TestDialCannotPrint(t *testing.T) {
	url := serverOf(t, handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, []byte("hi")) }}, engine.Options{})
	d := dialHere(t, url) // for the input, which does not end
	stderr := newTranscript()
	if code := run(t.Context(), []string{"dial", url}, brokenOutput{}, stderr); code != exitFailed || !strings.HasSuffix(stderr.String(), "weir: no space left\n") {
		t.Errorf("exit code %d, said %s", code, stderr)
	}
	d.interrupt()
}

// The output is a pipe that nobody reads any more. The program ended by SIGPIPE, and the server
// got no close frame.
func TestDialIntoAClosedPipe(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	closes := make(chan handler.CloseStatus, 1)
	url := serverOf(t, handler.Funcs{
		Open:  func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, []byte("hi")) },
		Close: func(_ handler.Conn, s handler.CloseStatus) { closes <- s },
	}, engine.Options{})
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	defer in.Close()
	stderr := newTranscript()
	cmd := exec.Command(program, "dial", url, "--wait", "0")
	cmd.Env = append(os.Environ(), asWeir+"=1")
	cmd.Stdout, cmd.Stderr = in, stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitFailed || !strings.HasSuffix(stderr.String(), ": broken pipe\n") {
		t.Errorf("%v, said %s", err, stderr)
	}
	if s := <-closes; s.Code != frame.CloseGoingAway || !s.Clean {
		t.Errorf("the server got %+v; want 1001", s)
	}
}
