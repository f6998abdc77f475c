package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// ReconnectOptions configure a Reconnector. The zero value works.
type ReconnectOptions struct {
	// Dial is for every attempt.
	Dial DialOptions
	// Delay bounds the wait before an attempt, which is random between nothing and that,
	// so that the clients of a server that comes back do not all come at once. The bound
	// doubles with each attempt, up to MaxDelay; when a connection has lasted longer than
	// that bound it begins anew. Defaults: 1 s, 30 s.
	Delay, MaxDelay time.Duration
	// Resubscribe is called on every connection but the first, once OnOpen has accepted
	// it, in the same way: what it sends goes out behind what OnOpen has sent. Default:
	// nothing.
	Resubscribe func(c handler.Conn)
	// Down is called when an attempt has failed, or the connection has ended, after its
	// OnClose: with the error, nil for an ordinary close, and the wait before the next
	// attempt. It runs on a goroutine of the engine, which it must not block. A panic in it
	// is logged, and the next attempt made. Default: nothing.
	Down func(err error, wait time.Duration)
}

var errReconnectorClosed = errors.New("engine: reconnector closed")

// A Reconnector keeps a connection to a server: it dials, and dials again when the
// attempt has failed or the connection has ended, whoever has ended it. Each is a
// Conn of its own, with an OnOpen and an OnClose; nothing is carried over from one to the
// next, and what is sent in between is the application's to keep.
type Reconnector struct {
	engine  *Engine
	url     string
	handler handler.Handler
	options ReconnectOptions
	done    chan struct{}
	ending  sync.Once
	unwatch func() bool // stops waiting for the end of the engine

	mu     sync.Mutex
	conn   *Conn // nil while there is none
	timer  *time.Timer
	closed bool
	delay  time.Duration // bound of the next wait
	opened bool          // OnOpen has accepted a connection
	since  time.Time     // the connection is open
}

// Reconnect dials, does not wait for that, and keeps the connection until Close. It
// returns the errors of Dial for wrong arguments.
func (e *Engine) Reconnect(rawURL string, h handler.Handler, o ReconnectOptions) (*Reconnector, error) {
	_, err := e.newDialing(rawURL, h, o.Dial, nil)
	if err == nil && (o.Delay < 0 || o.MaxDelay < 0) {
		err = fmt.Errorf("%w: Delay is %v, MaxDelay %v", ErrBadDialOptions, o.Delay, o.MaxDelay)
	}
	if err != nil {
		return nil, dialError(rawURL, err)
	}
	o.Delay = cmp.Or(o.Delay, time.Second)
	o.MaxDelay = max(cmp.Or(o.MaxDelay, 30*time.Second), o.Delay)
	r := &Reconnector{engine: e, url: rawURL, handler: h, options: o, delay: o.Delay, done: make(chan struct{})}
	r.unwatch = context.AfterFunc(e.resolver.ctx, r.stopWaiting)
	r.dial()
	return r, nil
}

// Conn is the connection that is open now: nil if there is none, as before its OnOpen has
// returned.
func (r *Reconnector) Conn() *Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn
}

// Done is closed when there will be no connection any more, and the last OnClose has
// returned: after Close, and when the engine has ended.
func (r *Reconnector) Done() <-chan struct{} { return r.done }

// Close ends the connection with this code, as Conn.Close does, and dials no more. An
// attempt that is under way comes to nothing.
func (r *Reconnector) Close(code frame.CloseCode, reason string) error {
	if !code.Valid() {
		return handler.ErrCloseCode
	}
	r.mu.Lock()
	r.closed = true
	c := r.conn
	r.mu.Unlock()
	r.stopWaiting()
	if c != nil {
		return c.Close(code, reason)
	}
	return nil
}

// stopWaiting calls the next attempt off, if one is waited for: then there will be none.
func (r *Reconnector) stopWaiting() {
	r.mu.Lock()
	waiting := r.timer != nil && r.timer.Stop()
	r.mu.Unlock()
	if waiting {
		r.end()
	}
}

func (r *Reconnector) end() {
	r.ending.Do(func() {
		r.unwatch()
		close(r.done)
	})
}

func (r *Reconnector) dial() {
	r.engine.DialAsync(r.url, reconnecting{r}, r.options.Dial, r.dialled)
}

// dialled is told what has become of an attempt, before OnClose.
func (r *Reconnector) dialled(c *Conn, err error) {
	if err != nil {
		r.down(err)
		return
	}
	r.mu.Lock()
	r.conn, r.since = c, time.Now()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		_ = c.Close(frame.CloseGoingAway, "")
	}
}

// down waits for the next attempt, or ends.
func (r *Reconnector) down(err error) {
	if r.engine.phase.Load() != phaseRunning { // err may be the ErrClosed of another engine
		r.mu.Lock()
		r.conn = nil
		r.mu.Unlock()
		r.end()
		return
	}
	r.mu.Lock()
	if r.conn != nil && time.Since(r.since) > r.delay {
		r.delay = r.options.Delay
	}
	r.conn = nil
	wait := rand.N(r.delay) + 1
	r.delay = min(2*r.delay, r.options.MaxDelay)
	closed := r.closed
	r.mu.Unlock()
	defer r.dialAfter(wait) // also if Down ends the goroutine
	if !closed && r.options.Down != nil {
		r.engine.callBack(r.url, func() { r.options.Down(err, wait) })
	}
}

// dialAfter begins the next attempt after a while, or ends.
func (r *Reconnector) dialAfter(wait time.Duration) {
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.timer = time.AfterFunc(wait, r.dial)
	}
	r.mu.Unlock()
	switch {
	case closed:
		r.end()
	case r.engine.draining.Load(): // it may have begun before the wait
		r.stopWaiting()
	}
}

// reconnecting is the handler of a Reconnector's connections.
type reconnecting struct{ *Reconnector }

// OnOpen lets the application decide, unless nobody wants the connection any more.
func (r reconnecting) OnOpen(c handler.Conn, request *handler.Request) error {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return errReconnectorClosed
	}
	if err := r.handler.OnOpen(c, request); err != nil {
		return err
	}
	r.mu.Lock()
	again := r.opened
	r.opened = true
	r.mu.Unlock()
	if again && r.options.Resubscribe != nil {
		returned := false
		defer func() {
			if !returned { // the connection fails as if OnOpen had, but the application has accepted it
				r.handler.OnClose(c, handler.CloseStatus{Code: frame.CloseAbnormal, Err: handler.ErrPanic})
			}
		}()
		r.options.Resubscribe(c)
		returned = true
	}
	return nil
}

// OnMessage passes a message on.
func (r reconnecting) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	r.handler.OnMessage(c, op, payload)
}

// OnClose tells the application, and sees to the next connection.
func (r reconnecting) OnClose(c handler.Conn, s handler.CloseStatus) {
	defer r.down(s.Err) // also when OnClose panics
	r.handler.OnClose(c, s)
}
