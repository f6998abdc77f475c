package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// endless is a line without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{'x'}, len(p))), nil }

// A line of one byte too many that ended in LF was sent: there was room for a CR.
func TestDialLineTooLong(t *testing.T) {
	large := strings.Repeat("x", mostMessage+1)
	for name, in := range map[string]io.Reader{
		"without an end": endless{},
		"one byte, LF":   strings.NewReader(large + "\n"),
		"one byte, CRLF": strings.NewReader(large + "\r\n"),
		"one byte, end":  strings.NewReader(large),
	} {
		s := lineSender{}
		if err := s.sendAll(in); err == nil || err.Error() != "line 1 has more than 16 MiB, which is the most for a message" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestDialLongestLine(t *testing.T) {
	sizes := make(chan int, 1)
	url := serverOf(t, handler.Func(func(c handler.Conn, _ frame.Opcode, p []byte) {
		sizes <- len(p)
		_ = c.Close(frame.CloseNormal, "")
	}), engine.Options{MaxMessageBytes: mostMessage})
	for _, end := range []string{"", "\n", "\r\n"} {
		code, _, stderr := dialWith(t, strings.Repeat("x", mostMessage)+end, "--wait", "0", url)
		if code != exitOK {
			t.Fatalf("end %q: exit code %d, said %s", end, code, stderr)
		}
		if n := <-sizes; n != mostMessage {
			t.Errorf("end %q: the server got %d bytes, want %d", end, n, mostMessage)
		}
	}
}
