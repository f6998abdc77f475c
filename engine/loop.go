package engine

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"github.com/weirws/weir/handler"
)

const (
	readBufferBytes  = 128 << 10 // one read takes at most this
	readsPerEvent    = 4         // then other connections get their turn
	denseReadBytes   = 8 << 10   // one read, and then others, after one that held small frames only
	denseFrameBytes  = 32        // frames of this size on average are small
	attendedPerRing  = 256       // connections attended to before I/O is polled again
	acceptsPerEvent  = 128
	initialTableSize = 64
)

// A loop is one event loop: a goroutine in a gnet poller, a listening socket, and
// the connections accepted there. All fields without a lock belong to that
// goroutine.
type loop struct {
	engine *Engine
	poller *netpoll.Poller
	clock  *clock
	tick   time.Duration // between two sweeps

	listener  listener // fd -1: none
	accepting bool     // the listener is in the poller
	starved   bool     // accepting stopped for want of descriptors, and that was said

	conns []*Conn // by descriptor; nil where the descriptor is not ours
	slots []slot  // every connection once, dense
	now   uint32  // milliseconds since the engine's epoch, as of the last tick
	ticks bool    // the clock is running
	due   time.Duration

	readBuf  []byte
	crowded  bool     // there are no more processors than loops
	pushed   int      // connections put in the run queue since a runner was called
	batch    *batch   // messages of the connection that is being read
	writeBuf []byte   // small frames are gathered here into one write
	bufs     [][]byte // scratch of flush
	iov      iovec
	attended []*Conn // connections taken from the mailbox; the first seen are done with
	seen     int
	paths    map[*path]*memberList
	topics   map[string]*topic // nil: none
	casts    []cast            // taken from the mailbox; those before cast are done with
	cast     int
	walk     walk
	window   window
	drain    drainState
	turns    tlsTurns

	mail    mailbox
	tasks   []func() // taken from the mailbox and not begun
	stopped bool

	count loopCounters

	undecoded map[*Conn]undecoded // nil: none
}

// A slot is what a loop needs of a connection for its sweeps and broadcasts, side
// by side in memory.
type slot struct {
	conn     *Conn
	deadline uint32 // when conn wants to be looked at, as loop.now
	open     bool   // the opening handshake is over and the close handshake has not begun
	waits    bool   // something may be queued for conn: a socket was full, or a publication held back
}

// newLoop makes a loop that does not run yet. l is closed with it.
func newLoop(e *Engine, l listener) (*loop, error) {
	lp := &loop{
		engine:   e,
		tick:     e.sweepInterval(),
		listener: l,
		conns:    make([]*Conn, initialTableSize),
		readBuf:  make([]byte, readBufferBytes),
		crowded:  e.options.Mode != OnLoop && runtime.GOMAXPROCS(0) <= e.options.Loops,
		mail:     mailbox{bell: bell{fd: -1}, bursts: &e.run.bursts},
	}
	var err error
	if lp.poller, err = netpoll.OpenPoller(); err != nil {
		lp.closeListener()
		return nil, fmt.Errorf("engine: opening a poller: %w", err)
	}
	if lp.mail.bell, err = newBell(); err == nil {
		lp.clock, err = newClock()
	}
	if err == nil && e.options.hasWindows() {
		lp.window.clock, err = newClock()
	}
	if err == nil {
		err = lp.watchOwn()
	}
	if err != nil {
		lp.release()
		return nil, fmt.Errorf("engine: starting a loop: %w", err)
	}
	return lp, nil
}

// watchOwn puts the loop's own descriptors into the poller.
func (l *loop) watchOwn() error {
	if err := l.poller.AddRead(&netpoll.PollAttachment{FD: l.mail.bell.fd}, true); err != nil {
		return err
	}
	if err := l.poller.AddRead(&netpoll.PollAttachment{FD: l.clock.descriptor()}, true); err != nil {
		return err
	}
	if l.window.clock != nil {
		if err := l.poller.AddRead(&netpoll.PollAttachment{FD: l.window.descriptor()}, true); err != nil {
			return err
		}
	}
	if l.listener.fd < 0 {
		return nil
	}
	return l.resumeAccept()
}

// release gives back what newLoop took. The loop must not be running.
func (l *loop) release() {
	_ = l.poller.Close()
	if l.mail.bell.fd >= 0 {
		l.mail.bell.close()
	}
	if l.clock != nil {
		l.clock.close()
	}
	if l.window.clock != nil {
		l.window.clock.close()
	}
	l.closeListener()
}

// runLoop is a loop's goroutine. Should a callback end the goroutine another one cleans
// up, and the engine fails: what the callback left undone may concern any connection.
func (e *Engine) runLoop(l *loop, run func() error) {
	returned := false
	defer func() {
		if !returned {
			go e.runLoop(l, l.abort)
			return
		}
		e.running.Done()
	}()
	if err := run(); err != nil {
		e.fail(err)
	}
	returned = true
}

// run runs the loop. It returns nil after stop, and an error when the poller fails.
func (l *loop) run() error {
	l.now = l.engine.clockMillis()
	return l.windUp(l.poller.Polling(l.onEvent))
}

// abort ends a loop whose goroutine a callback has ended.
func (l *loop) abort() error {
	for _, c := range l.conns {
		if c != nil && c.hushed.Load() {
			c.flush() // its close frame
		}
	}
	return l.windUp(errLoopExited)
}

// windUp drops the connections and gives back what the loop holds. err is why it ends.
func (l *loop) windUp(err error) error {
	l.closeMail()
	for _, c := range l.conns {
		if c != nil {
			c.drop(errLoopEnded)
		}
	}
	for _, waiting := range slices.Concat(l.casts[l.cast:], l.mail.casts) {
		if waiting.conn != nil && !waiting.part {
			l.engine.subjects.add(waiting.name, -1) // Subscribe has counted it
		}
	}
	// Some may have heard from OnOpen too late.
	for _, c := range slices.Concat(l.attended[l.seen:], l.mail.conns) {
		c.attend()
	}
	l.callRunner()
	l.release()
	if errors.Is(err, gneterrors.ErrEngineShutdown) {
		return nil
	}
	return fmt.Errorf("engine: event loop ended: %w", err)
}

var (
	errLoopEnded  = errors.New("engine: closed")
	errLoopExited = fmt.Errorf("%w: runtime.Goexit on the event loop", handler.ErrPanic)
)

// stop ends run, from any goroutine.
func (l *loop) stop() { l.do(func() { l.stopped = true }) }

// onEvent is called by the poller for one descriptor. One that was closed and
// reused earlier in the same batch may be reported once too often: reading it
// then finds nothing, and nothing happens.
func (l *loop) onEvent(fd int, ev netpoll.IOEvent, flags netpoll.IOFlags) error {
	if fd < len(l.conns) {
		if c := l.conns[fd]; c != nil {
			if netpoll.IsWriteEvent(ev) && c.blocked {
				c.blocked = false
				c.heard = l.now // the peer has acknowledged bytes
				c.flush()
			}
			if readyToRead(ev, flags) {
				l.read(c, ev, flags)
			}
			return nil
		}
	}
	switch fd {
	case l.mail.bell.fd:
		return l.onRing()
	case l.clock.descriptor():
		l.onTick()
	case l.window.descriptor():
		l.onWindow()
	case l.listener.fd:
		l.accept()
	}
	return nil
}

// onRing does what other goroutines have asked for, a bounded part of it before
// I/O gets its turn again.
func (l *loop) onRing() error {
	l.mail.bell.hush()
	l.takeMail()
	if l.stopped {
		return gneterrors.ErrEngineShutdown
	}
	l.attend()
	l.continueFanOut()
	if l.pushed > 0 {
		l.callRunner()
		l.letRunnersRun()
	}
	l.ringAgain()
	return nil
}

// add enters a connection into the loop's tables.
func (l *loop) add(c *Conn) {
	for int(c.fd) >= len(l.conns) {
		l.conns = append(l.conns, make([]*Conn, len(l.conns))...)
	}
	l.conns[c.fd] = c
	c.slot = uint32(len(l.slots))
	l.slots = append(l.slots, slot{conn: c})
	l.startClock()
}

// remove takes a connection out of the loop's tables and forgets its descriptor,
// which the caller closes or passes on.
func (l *loop) remove(c *Conn) {
	l.conns[c.fd] = nil
	c.fd = -1
	last := len(l.slots) - 1
	l.slots[c.slot] = l.slots[last]
	l.slots[c.slot].conn.slot = c.slot
	l.slots[last] = slot{}
	l.slots = l.slots[:last]
}

// pathList is the list of the loop's connections on a path.
func (l *loop) pathList(p *path) *memberList {
	m := l.paths[p]
	if m == nil {
		m = &memberList{path: p}
		if l.paths == nil {
			l.paths = make(map[*path]*memberList)
		}
		l.paths[p] = m
	}
	return m
}

// closeListener ends listening for good.
func (l *loop) closeListener() {
	if l.listener.fd < 0 {
		return
	}
	l.pauseAccept()
	l.listener.close()
	l.listener.fd = -1
}

// closeSocket closes a descriptor. Closing takes it out of the poller as well.
func closeSocket(fd int) { _ = unix.Close(fd) }
