package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// fastestReplay is the most that Config.Speed may be.
const fastestReplay = 1e6

// replay plays a recording on all connections, at its times. Then it closes them, which a
// server answers once it has taken everything before.
type replay struct {
	*session
	conns   []replayConn
	pacer   *pacer
	lastDue int64 // of the messages that were sent; under the session's lock
	leaving int   // connections that we are closing; under the session's lock
}

// A replayConn is one connection. All fields but the first are under the session's lock.
type replayConn struct {
	replay  *replay
	conn    handler.Conn // nil unless open
	closing bool         // by us
}

func newReplay(s *session) scenario {
	return &replay{session: s, conns: make([]replayConn, s.job.Count)}
}

// withRecording sets the duration, which is that of the recording.
func (c Config) withRecording() (Config, error) {
	switch {
	case c.Scenario != "replay":
		return c, nil
	case c.Recording == "":
		return c, errors.New("bench: replay needs a recording")
	case c.Rate != 0:
		return c, errors.New("bench: a replay has the rate of its recording, which a speed changes, and no other")
	case !(c.Speed >= 0 && c.Speed <= fastestReplay):
		return c, fmt.Errorf("bench: a speed of %v is not above 0 and up to %v", c.Speed, fastestReplay)
	}
	if c.Speed == 0 {
		c.Speed = 1
	}
	messages, err := readRecording(c.Recording)
	if err != nil {
		return c, err
	}
	const behindLast = time.Millisecond // for the last message to lie within
	whole := c.played(messages[len(messages)-1].At) + behindLast
	if c.Duration == 0 || c.Duration > whole {
		c.Duration = whole
	}
	return c, nil
}

// played is when a message is due that came at a time of the recording.
func (c Config) played(at time.Duration) time.Duration {
	return time.Duration(float64(at) / c.Speed)
}

func (r *replay) size() int { return len(r.conns) }

func (r *replay) handler(i int) handler.Handler {
	r.conns[i].replay = r
	return &r.conns[i]
}

// OnOpen notes that the connection is there.
func (c *replayConn) OnOpen(conn handler.Conn, _ *handler.Request) error {
	c.replay.mu.Lock()
	defer c.replay.mu.Unlock()
	c.conn = conn
	return nil
}

// OnMessage counts what comes back, which may be anything.
func (c *replayConn) OnMessage(_ handler.Conn, _ frame.Opcode, payload []byte) {
	c.replay.mu.Lock()
	defer c.replay.mu.Unlock()
	c.replay.came(payload, now())
}

// OnClose notes that the connection is gone, and when the server had taken everything.
func (c *replayConn) OnClose(_ handler.Conn, status handler.CloseStatus) {
	r, at := c.replay, now()
	r.mu.Lock()
	c.conn = nil
	if c.closing {
		r.leaving--
	}
	finished := c.closing && status.Clean
	if finished {
		r.open--
		r.tally.Finishing.Record(at - r.lastDue)
	}
	r.mu.Unlock()
	if !finished {
		r.dropped(status)
	}
}

func (r *replay) start() {
	r.mu.Lock()
	r.lastDue = r.span.Start
	r.mu.Unlock()
	c := r.job.Config
	r.pacer = &pacer{session: r.session, due: r.sendDue, after: func(k int) (int64, bool) {
		if k == len(r.recording) {
			return 0, false
		}
		return int64(c.played(r.recording[k].At)), true
	}}
	r.pacer.start()
}

// sendDue sends message k on all connections, on the pacer's goroutine.
func (r *replay) sendDue(k int, due int64) {
	m := &r.recording[k]
	for i := range r.conns {
		r.mu.Lock()
		conn := r.conns[i].conn
		r.lastDue = due
		r.mu.Unlock()
		err := errGone
		if conn != nil {
			err = conn.Send(m.Op, m.Payload)
		}
		r.mu.Lock()
		if err != nil {
			r.tally.Unsent++
			r.tick.Errors++
		} else {
			r.tally.Sent++
			r.tally.SentBytes += uint64(len(m.Payload))
			r.tally.SendLag.Record(now() - due)
		}
		r.mu.Unlock()
	}
}

// stop begins the close handshakes.
func (r *replay) stop() []publications {
	r.pacer.wait()
	for i := range r.conns {
		r.mu.Lock()
		conn := r.conns[i].conn
		if conn != nil {
			r.conns[i].closing = true
			r.leaving++
		}
		r.mu.Unlock()
		if conn != nil {
			_ = conn.Close(frame.CloseNormal, "") // fails if the server has closed, which OnClose tells
		}
	}
	return nil
}

func (r *replay) settled([]publications) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving == 0
}

// finish counts the connections whose end had to be made.
func (r *replay) finish([]publications) {
	r.tally.Playing = time.Duration(r.lastDue - r.span.Start)
	if left := r.tally.Opened - int(r.tally.Finishing.Count()) - int(total(r.tally.Drops)); left > 0 {
		addCauses(&r.tally.Drops, map[string]int{unfinished: left})
	}
}

// unfinished is the cause of a drop: Config.Timeout was over.
const unfinished = "had not taken everything when the time was over"

func (r *replay) sweep(int64)      {}
func (r *replay) spread() []spread { return nil }

// taken is how much a server took per second, of n in all: the time counts from the beginning
// until it had taken the last, which is not known unless all connections finished.
func (t *Tally) taken(n uint64) (float64, bool) {
	took := t.Playing + t.Finishing.At(100)
	if !t.finished() || took <= 0 {
		return 0, false
	}
	return float64(n) / took.Seconds(), true
}

// finished reports whether the server has taken everything on all connections.
func (t *Tally) finished() bool {
	n := int(t.Finishing.Count())
	return n > 0 && n == t.Opened
}
