package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Recorded is what Record has recorded.
type Recorded struct {
	Messages int
	Bytes    uint64        // of their payloads
	Took     time.Duration // from when the connection was open
	Ended    string        // why it ended
}

// farewell is how long the server may take for the close handshake.
const farewell = time.Second

// errFull: the recording has become as large as it may.
var errFull = errors.New("bench: the recording is full")

// Record opens a connection to the first of c's URLs and writes what comes to w, in the
// form of ReadRecording, until ctx ends, the server closes, the recording has 256 MiB, or
// after c's Duration; 0 is no bound. Of c it heeds CAFile, Insecure, Sources and
// Timeout as well. An error is that of the configuration, of connecting, or of w; in the
// last case what was recorded until then is told too.
func Record(ctx context.Context, c Config, w io.Writer) (Recorded, error) {
	limit := c.Duration
	c.Scenario, c.Connections, c.Workers = "connect", 1, 1
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return Recorded{}, ConfigError{err}
	}
	s, err := newSession(job{Config: c, URL: c.URLs[0], Count: 1})
	if err != nil {
		return Recorded{}, err
	}
	defer s.close()
	from, err := c.source(c.URLs[0], 0)
	if err != nil {
		return Recorded{}, err
	}
	r := &recorder{out: bufio.NewWriter(w), ended: make(chan string, 1)}
	conn, err := s.engine.Dial(ctx, c.URLs[0], r, s.dialOptions(from))
	if err != nil {
		return Recorded{}, fmt.Errorf("bench: %s: %s", c.URLs[0], failureCause(err))
	}
	opened := time.Now()
	over := make(<-chan time.Time) // never
	if limit > 0 {
		over = time.After(limit)
	}
	var ended string
	select {
	case ended = <-r.ended:
	case <-ctx.Done():
		ended = "interrupted"
	case <-over:
		ended = "the time is over"
	}
	_ = conn.Close(frame.CloseGoingAway, "") // fails if it is closing
	select {
	case <-conn.Done():
	case <-time.After(farewell):
	}
	s.close() // the loop has ended: what follows is ours
	r.recorded.Took, r.recorded.Ended = time.Since(opened), ended
	if r.err == nil {
		r.err = r.out.Flush()
	}
	if r.err != nil && !errors.Is(r.err, errFull) {
		return r.recorded, fmt.Errorf("bench: writing the recording: %w", r.err)
	}
	return r.recorded, nil
}

// A recorder is the connection that is recorded. All of it belongs to the loop until that
// has ended.
type recorder struct {
	out      *bufio.Writer
	recorded Recorded
	first    int64 // when the first message came
	written  int   // bytes
	line     []byte
	err      error
	ended    chan string // holds why the connection has
}

// OnOpen has nothing to do.
func (r *recorder) OnOpen(handler.Conn, *handler.Request) error { return nil }

// OnMessage writes a message.
func (r *recorder) OnMessage(_ handler.Conn, op frame.Opcode, payload []byte) {
	if r.err != nil {
		return
	}
	at := now()
	if r.recorded.Messages == 0 {
		r.first = at
	}
	m := Message{At: time.Duration(at - r.first), Op: op, Payload: payload}
	r.line = m.appendLine(r.line[:0])
	if r.written+len(r.line) > mostRecordingBytes {
		r.err = errFull
	} else if _, r.err = r.out.Write(r.line); r.err == nil {
		r.written += len(r.line)
		r.recorded.Messages++
		r.recorded.Bytes += uint64(len(payload))
		return
	}
	r.tell(r.err.Error())
}

// OnClose tells why.
func (r *recorder) OnClose(_ handler.Conn, status handler.CloseStatus) { r.tell(dropCause(status)) }

// tell keeps the first reason.
func (r *recorder) tell(why string) {
	select {
	case r.ended <- why:
	default:
	}
}
