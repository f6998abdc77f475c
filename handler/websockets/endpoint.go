package websockets

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/engine"
)

const (
	backgroundWait = 100 * time.Millisecond // of one call of Service in Run and Daemonize
	shortWait      = time.Millisecond       // of one while Close or Dial waits for something else
)

// An Endpoint is what a Server and a Client have in common: connections, callbacks, and
// the service loop that runs them.
type Endpoint struct {
	Callbacks

	// Immutable once it is made.
	engine *engine.Engine
	group  *group

	turn       chan struct{} // holds a token while a goroutine runs callbacks
	daemonized atomic.Bool
	daemon     chan struct{} // closed when the goroutine of Daemonize has ended
	closing    sync.Once
	closed     chan struct{} // closed when the engine has ended
	closeErr   error
}

// start makes the engine of the endpoint and starts it.
func (e *Endpoint) start(o engine.Options, g *group) (err error) {
	o.Mode = engine.Service
	e.group = g
	e.turn, e.daemon, e.closed = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	if e.engine, err = engine.New(o); err != nil {
		return err
	}
	return e.engine.Start()
}

// Service runs the callbacks of what has happened and returns how many it ran. If there
// are none it waits for the first, up to timeout; zero does not wait. While another
// goroutine runs callbacks it waits for that one, just as long. Service called by a
// callback runs nothing.
func (e *Endpoint) Service(timeout time.Duration) int {
	start := time.Now()
	select {
	case e.turn <- struct{}{}:
	default:
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case e.turn <- struct{}{}:
		case <-timer.C:
			return 0
		}
	}
	defer func() { <-e.turn }()
	return e.engine.Service(timeout - time.Since(start))
}

// Run calls Service until ctx is done or Close is called, and then closes the endpoint.
// It sees the end of ctx within a tenth of a second, once a callback that runs has
// returned.
func (e *Endpoint) Run(ctx context.Context) error {
	for ctx.Err() == nil && !e.isClosed() {
		e.Service(backgroundWait)
	}
	return e.Close()
}

// Daemonize calls Service in the background until Close is called, and returns at
// once.
func (e *Endpoint) Daemonize() {
	if e.daemonized.Swap(true) {
		return
	}
	go func() { // ends with Close, which waits for it
		defer close(e.daemon)
		for !e.isClosed() {
			e.Service(backgroundWait)
		}
	}()
}

// Close drains the endpoint: the port of a server is free at once, callbacks see what
// has arrived, peers get what waits for them and a close frame with 1001. It calls
// Service meanwhile, and returns when all closed callbacks have; nothing is called
// afterwards. So it waits for callbacks, and one of them can call it in a goroutine
// only.
func (e *Endpoint) Close() error {
	e.closing.Do(func() {
		e.closeErr = await(e, func() error { return e.engine.Shutdown(context.Background()) })
		close(e.closed)
		if e.daemonized.Swap(true) {
			<-e.daemon
		}
		for e.Service(backgroundWait) > 0 {
		}
	})
	return e.closeErr
}

// await calls f on another goroutine, and Service until f has returned.
func await[T any](e *Endpoint, f func() T) T {
	result := make(chan T, 1)
	go func() { result <- f() }() // waited for below
	for {
		select {
		case r := <-result:
			return r
		default:
			e.Service(shortWait)
		}
	}
}

func (e *Endpoint) isClosed() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// Conns returns the connections, ordered by ID: all from when their established
// callback is called until their closed callback has returned.
func (e *Endpoint) Conns() []*Conn { return e.group.all() }

// Conn returns the connection with this ID, nil if there is none.
func (e *Endpoint) Conn(id uint64) *Conn { return e.group.find(id) }

// Broadcast writes data to all connections, as Conn.Write does, and reports for each of
// them what happened.
func (e *Endpoint) Broadcast(data []byte) Results { return e.group.broadcast(data) }
