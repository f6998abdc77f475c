package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
)

// A lineSender sends lines as messages.
type lineSender struct {
	conn   *engine.Conn
	pace   pace
	binary bool
	once   bool // one line is all
}

// sendAll sends the lines of in, without what ends them, LF or CRLF. It returns an error
// if one cannot be read or sent, but nil if that is because the connection has ended.
func (s *lineSender) sendAll(in io.Reader) error {
	op := frame.Text
	if s.binary {
		op = frame.Binary
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, mostMessage+len("\r\n"))
	n := 1
	for ; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(line) > mostMessage { // by the byte that is for CR
			return errLineTooLong(n)
		}
		if op == frame.Text && !utf8.Valid(line) {
			return fmt.Errorf("line %d is not UTF-8, so it cannot be sent as text; say --binary", n)
		}
		if s.conn.Send(op, line) != nil || s.once {
			return nil
		}
		s.pace.keep(frame.FrameSize(len(line), true), s.conn.Done())
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errLineTooLong(n)
	}
	return lines.Err()
}

func errLineTooLong(n int) error {
	return fmt.Errorf("line %d has more than %s, which is the most for a message", n, size(mostMessage))
}

// A pace keeps input that comes faster than the server reads out of memory: it goes on
// when the loop has taken what was sent for the socket, which it does not while the socket
// is full.
type pace struct {
	engine   *engine.Engine // with one connection
	taken    uint64         // messages, before those below
	messages uint64
	bytes    int
}

const (
	paceBytes    = 16 << 10 // below what a full socket frees before it is written to again
	paceInterval = 250 * time.Microsecond
)

// keep counts a message that was sent, and waits if there are enough of them.
func (p *pace) keep(size int, ended <-chan struct{}) {
	p.messages++
	p.bytes += size
	if p.bytes < paceBytes {
		return
	}
	for p.engine.Counters().MessagesOut-p.taken < p.messages {
		select {
		case <-ended:
			return
		case <-time.After(paceInterval):
		}
	}
	*p = pace{engine: p.engine, taken: p.engine.Counters().MessagesOut}
}
