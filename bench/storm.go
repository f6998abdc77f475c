package bench

import (
	"sync"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// retryDelay is from an attempt to come back that failed until the next.
const retryDelay = 100 * time.Millisecond

// storm cuts all connections at once, each of which comes back as soon as it is gone, and
// tries again if that fails. The round ends when all are back.
type storm struct {
	*session
	conns   []stormConn
	cutting sync.WaitGroup

	began    int64 // when all were cut; 0: not yet
	missing  int   // connections that were cut and are not back
	dialling int
	retries  []retry // in the order in which they are due
	over     bool    // nobody is to come back any more
}

// A stormConn is one connection. All fields are under the session's lock but for those that
// do not change.
type stormConn struct {
	storm *storm
	index int
	conn  *engine.Conn // nil unless open
	cut   bool         // by us, and it is not back yet
}

// A retry is an attempt to come back at some time.
type retry struct {
	conn *stormConn
	at   int64
}

func newStorm(s *session) scenario {
	return &storm{session: s, conns: make([]stormConn, s.job.Count)}
}

func (s *storm) size() int { return len(s.conns) }

func (s *storm) handler(i int) handler.Handler {
	c := &s.conns[i]
	c.storm, c.index = s, i
	return c
}

// OnOpen notes that the connection is there.
func (c *stormConn) OnOpen(conn handler.Conn, _ *handler.Request) error {
	c.storm.mu.Lock()
	defer c.storm.mu.Unlock()
	c.conn = conn.(*engine.Conn)
	return nil
}

// OnMessage does nothing.
func (c *stormConn) OnMessage(handler.Conn, frame.Opcode, []byte) {}

// OnClose has the connection come back if it was cut.
func (c *stormConn) OnClose(_ handler.Conn, status handler.CloseStatus) {
	s := c.storm
	s.mu.Lock()
	c.conn = nil
	wasCut := c.cut
	if wasCut {
		s.open--
	}
	s.mu.Unlock()
	if !wasCut {
		s.dropped(status)
		return
	}
	s.comeBack(c)
}

// start has all connections cut when measuring begins.
func (s *storm) start() {
	s.mu.Lock()
	begin := s.span.Begin
	s.mu.Unlock()
	s.cutting.Go(func() { // ends at the latest with what is measured
		for left := begin - now(); left > 0 && now() < s.end(); left = begin - now() {
			sleep(time.Duration(min(left, int64(sweepInterval))))
		}
		s.cutAll()
	})
}

// cutAll cuts all connections, unless the round is over.
func (s *storm) cutAll() {
	var all []*engine.Conn
	s.mu.Lock()
	if at := now(); s.contains(at) {
		s.began = at
		for i := range s.conns {
			if c := &s.conns[i]; c.conn != nil {
				c.cut = true
				all = append(all, c.conn)
			}
		}
		s.missing = len(all)
		s.tally.Cut = uint64(len(all))
	}
	s.mu.Unlock()
	for _, c := range all {
		c.Abort()
	}
}

// comeBack opens a connection that was cut.
func (s *storm) comeBack(c *stormConn) {
	s.mu.Lock()
	wanted := !s.over && !s.closing
	if wanted {
		s.dialling++
	}
	s.mu.Unlock()
	if wanted {
		s.arrive(c.index, c, func(err error) { c.came(err) })
	}
}

// came takes in what has become of an attempt to come back.
func (c *stormConn) came(err error) {
	s, at := c.storm, now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialling--
	switch {
	case err != nil:
		s.failed(err)
		s.retries = append(s.retries, retry{c, at + int64(retryDelay)})
	case at < s.span.End:
		c.cut = false
		s.missing--
		s.arrived(s.began, at)
	default:
		s.open++ // too late
	}
}

// sweep has those try again whose time has come, and ends the round when all are back.
func (s *storm) sweep(at int64) {
	s.mu.Lock()
	due := 0
	for due < len(s.retries) && s.retries[due].at <= at {
		due++
	}
	again := s.retries[:due:due]
	s.retries = s.retries[due:]
	allBack := s.began != 0 && s.missing == 0
	s.mu.Unlock()
	for _, r := range again {
		s.comeBack(r.conn)
	}
	if allBack {
		s.cut(at)
	}
}

func (s *storm) stop() []publications {
	s.cutting.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return nil
}

func (s *storm) settled([]publications) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialling == 0
}

func (s *storm) finish([]publications) {}
func (s *storm) spread() []spread      { return nil }
