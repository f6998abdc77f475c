package bench

import (
	"crypto/tls"
	"io"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A scenario is what the connections of one worker do in one round. It is made with
// its session and called on the worker's goroutine; its handlers run on the loop.
type scenario interface {
	// size is how many connections this worker opens.
	size() int
	// handler makes that of connection i. It is called for each of them, in turn; the
	// connection is dialled then, unless the round has been stopped.
	handler(i int) handler.Handler
	// start begins the load.
	start()
	// sweep is called often from start until the result.
	sweep(at int64)
	// stop ends the load and returns what was published.
	stop() []publications
	// settled reports whether all that was published by all workers has arrived.
	settled(all []publications) bool
	// finish adds what is known at the end to the tally. The engine has ended.
	finish(all []publications)
	// spread is what is known about single publications, after finish.
	spread() []spread
}

// scenarios are all there are, by name.
var scenarios = map[string]struct {
	about   string
	make    func(*session) scenario
	opening bool // what is measured is how connections are opened
	silent  bool // no messages of Config.PayloadBytes are sent
}{
	"churn":   {"connections come and go, their number stays the same; --rate is how many per second", newChurn, false, true},
	"connect": {"connections are opened; --rate is connections per second", newConnect, true, true},
	"echo":    {"messages come back as they were sent; --rate is messages per second", newEcho, false, false},
	"find":    {"the largest rate or number of connections with which echo keeps --bound", newEcho, false, false},
	"fanout":  {"what is published reaches all connections once and in order; --rate is publications per second", newFanout, false, false},
	"hostile": {"attackers of all kinds in turn, next to --connections that do echo at --rate and are to feel nothing of it", newHostile, false, false},
	"idle":    {"connections are held, and pinged; --rate is pings per second over all of them", newIdle, false, false},
	"replay":  {"--recording is sent on each of --connections, at its times or --speed times as fast", newReplay, false, true},
	"storm":   {"all connections are cut at once and come back; --duration is for how long that is watched", newStorm, false, true},
}

// A session is one worker's part of one round: the connections and what they see.
type session struct {
	job       job
	engine    *engine.Engine
	trust     *tls.Config // for wss
	stamps    stamper
	recording []Message // for replay
	op        frame.Opcode

	heapBefore uint64

	mu      sync.Mutex // guards the rest, and what scenarios keep for connections
	span    span       // zero before the load
	closing bool       // connections are ended by us from now on
	open    int        // connections now
	flying  int        // messages that are on their way
	tally   Tally
	tick    tick // since the last one
}

// newSession starts an engine that connects.
func newSession(j job) (*session, error) {
	c := j.Config
	s := &session{job: j, stamps: newStamper(j.Seed, c.PayloadBytes), op: frame.Binary}
	if c.Text {
		s.op = frame.Text
	}
	var err error
	if s.trust, err = c.tlsConfig(); err != nil {
		return nil, err
	}
	if c.Scenario == "replay" {
		if s.recording, err = readRecording(c.Recording); err != nil {
			return nil, err
		}
	}
	e, err := engine.New(engine.Options{
		NoListen:        true,
		Mode:            engine.OnLoop,
		Loops:           1, // what handlers share is not contended
		MaxMessageBytes: mostPayloadBytes + 1<<20,
		OutboxSoftBytes: math.MaxInt32, // how far a server is behind is what we measure
		OutboxHardBytes: math.MaxInt32,
		SlowTimeout:     -1,
		PingInterval:    -1,
		CloseTimeout:    2 * c.Timeout, // replay looks whether it took longer than that once
		Logger:          slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return nil, err
	}
	if err := e.Start(); err != nil {
		return nil, err
	}
	s.engine = e
	s.heapBefore = heap()
	return s, nil
}

// heap is the size of what is alive on the heap, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails only for bad arguments
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// contains reports whether t lies in the measured time. The lock must be held.
func (s *session) contains(t int64) bool { return s.span.Begin <= t && t < s.span.End }

// cut ends the measured time at a time, if it does not end before. If that is past, it is now: what
// was sent since then counts already.
func (s *session) cut(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at = max(at, now())
	s.span.Begin = min(s.span.Begin, at)
	s.span.End = min(s.span.End, at)
}

// end is when the measured time ends.
func (s *session) end() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.span.End
}

// came counts a message that has come. The lock must be held.
func (s *session) came(payload []byte, at int64) {
	s.tick.Received++
	if s.contains(at) {
		s.tally.Received++
		s.tally.ReceivedBytes += uint64(len(payload))
	}
}

// took counts the latency of a message that was due in the measured time. The lock
// must be held.
func (s *session) took(due, at int64) {
	s.tick.Latency.Record(at - due)
	if s.contains(due) {
		s.tally.Latency.Record(at - due)
	}
	if stage := s.stage(due); stage != nil {
		stage.Latency.Record(at - due)
	}
}

// arrive opens connection i under load. came is called once, without the lock, with what
// has become of that.
func (s *session) arrive(i int, h handler.Handler, came func(err error)) {
	from, err := s.job.Config.source(s.job.URL, s.job.First+i)
	if err != nil {
		came(err)
		return
	}
	s.engine.DialAsync(s.job.URL, h, s.dialOptions(from), func(_ *engine.Conn, err error) { came(err) })
}

// arrived counts a connection that is open and was to be at due. The lock must be held.
func (s *session) arrived(due, at int64) {
	s.open++
	s.tick.Received++
	s.took(due, at)
	if s.contains(due) {
		s.tally.Arrived++
	}
}

// failed counts a connection that could not be opened. The lock must be held.
func (s *session) failed(err error) {
	if !s.closing {
		s.tick.Errors++
		addCauses(&s.tally.Failures, map[string]int{failureCause(err): 1})
	}
}

// dropped counts the end of a connection that was open.
func (s *session) dropped(status handler.CloseStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if !s.closing {
		s.tick.Errors++
		addCauses(&s.tally.Drops, map[string]int{dropCause(status): 1})
	}
}

// takeTick returns what happened since the last time.
func (s *session) takeTick() tick {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tick
	s.tick = tick{}
	t.Open = s.open
	return t
}

// close ends all connections and waits for their handlers.
func (s *session) close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	_ = s.engine.Close() // of a loop that has failed, connections tell
}
