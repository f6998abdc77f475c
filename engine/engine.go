package engine

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"hash/maphash"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

var (
	// ErrStarted is returned by Start and Run of an engine that was started before.
	ErrStarted = errors.New("engine: started already")
	// ErrClosed is returned by Shutdown and Dial of an engine that is not running.
	ErrClosed = errors.New("engine: not running")
	// ErrHandlersRunning is returned by Run, Shutdown and Close if handlers were still
	// running when all connections had ended and the time for that was over.
	ErrHandlersRunning = errors.New("engine: handlers still running")
)

// The phases of an engine's life.
const (
	phaseNew int32 = iota
	phaseRunning
	phaseDraining
	phaseClosed
)

// An Engine serves WebSocket connections on event loops. Several may run in one
// process.
type Engine struct {
	options        Options // with defaults; immutable
	decoderOptions frame.DecoderOptions
	clientDecoder  frame.DecoderOptions
	tls            *tls.Config // nil without TLS
	epoch          time.Time

	// Immutable after Start.
	loops []*loop
	addr  net.Addr
	http  *httpSide // nil without Options.HTTP

	starting  sync.Mutex // held while Start opens, which Close waits for
	phase     atomic.Int32
	draining  atomic.Bool
	unrun     atomic.Bool   // it was started, and Run has not been called
	ids       atomic.Uint64 // the last one given out
	turnTaken atomic.Uint64 // for giving adopted sockets to the loops in turn
	sockets   atomic.Int64  // of connections in any state
	active    atomic.Int64  // those counted against MaxConnections
	paths     sync.Map      // path → *path
	dialled   dialledPaths
	resolver  *resolver
	registry  registry
	subjects  subjects
	run       *runQueue
	count     engineCounters

	running sync.WaitGroup // the loops
	empty   chan struct{}  // holds a token once draining has left no socket
	cut     chan struct{}  // closed when what is left of a drain is to be cut
	cutOnce sync.Once
	ended   chan struct{} // closed when everything has ended
	failure error         // why, if a loop failed; read after ended
	failed  sync.Once
}

// New checks the options and returns an engine that does not run yet. The error
// names everything that is wrong.
func New(o Options) (*Engine, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	serverTLS, err := o.TLS.serverConfig(o.Logger)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		options:        o,
		decoderOptions: frame.DecoderOptions{Role: frame.Server, MaxMessageBytes: o.MaxMessageBytes, MaxInflateRatio: o.MaxInflateRatio},
		clientDecoder:  frame.DecoderOptions{Role: frame.Client, MaxMessageBytes: o.MaxMessageBytes, MaxInflateRatio: o.MaxInflateRatio},
		tls:            serverTLS,
		epoch:          time.Now(),
		resolver:       newResolver(),
		empty:          make(chan struct{}, 1),
		cut:            make(chan struct{}),
		ended:          make(chan struct{}),
		subjects:       subjects{seed: maphash.MakeSeed()},
	}
	e.run = newRunQueue(e.rescueBursts)
	return e, nil
}

// Start listens and serves, and returns at once. A port that is in use is an error,
// for which errors.Is(err, syscall.EADDRINUSE) holds.
func (e *Engine) Start() error {
	e.starting.Lock()
	defer e.starting.Unlock()
	if e.phase.Load() != phaseNew {
		return ErrStarted
	}
	if err := e.open(); err != nil {
		e.phase.Store(phaseClosed)
		close(e.ended)
		return err
	}
	e.unrun.Store(true)
	e.phase.Store(phaseRunning)
	for _, l := range e.loops {
		e.running.Add(1)
		go e.runLoop(l, l.run)
	}
	return nil
}

// open makes the listeners and the loops.
func (e *Engine) open() error {
	var listeners []listener
	if !e.options.NoListen {
		var err error
		if listeners, e.addr, err = listen(e.options); err != nil {
			return err
		}
	}
	for i := range e.options.Loops {
		own := listener{fd: -1}
		if i < len(listeners) {
			own = listeners[i]
		}
		l, err := newLoop(e, own)
		if err != nil {
			for _, l := range e.loops {
				l.release()
			}
			for _, rest := range listeners[min(i+1, len(listeners)):] {
				rest.close()
			}
			return err
		}
		e.loops = append(e.loops, l)
	}
	if e.options.HTTP != nil {
		e.http = newHTTPSide(e)
	}
	return nil
}

// Run starts the engine unless Start was called, serves until ctx is done, and then
// shuts down as Shutdown does. It returns nil after that, and an error when the
// engine could not start or a loop failed. Close, from another goroutine, cuts the
// drain short. An engine that has ended does not run again: ErrStarted.
func (e *Engine) Run(ctx context.Context) error {
	err := e.Start()
	if err != nil && !errors.Is(err, ErrStarted) {
		return err
	}
	if !e.unrun.Swap(false) {
		select {
		case <-e.ended:
			return cmp.Or(e.failure, err)
		default:
		}
	}
	select {
	case <-ctx.Done():
		return e.shutdown(context.Background())
	case <-e.ended:
		return e.failure
	}
}

// Addr is the address the engine listens on, with the port that was bound; nil
// before Start and with NoListen.
func (e *Engine) Addr() net.Addr {
	e.starting.Lock()
	defer e.starting.Unlock()
	return e.addr
}

// Done is closed when the engine has ended: every connection is gone and every
// worker has returned. In mode Service, callbacks may be left for one more Service.
func (e *Engine) Done() <-chan struct{} { return e.ended }

// Options returns the options with their defaults filled in.
func (e *Engine) Options() Options { return e.options }

// Shutdown drains the engine: it stops listening, answers new upgrades with 503,
// sends every connection what waits for it and then a close frame with 1001, and
// returns when all have ended and their handlers have returned. The closes are paced,
// see Options.DrainTime. What is left when ctx is done, or DrainTime has passed, is
// cut; that is no error.
//
// In mode Service the application has to call Service meanwhile, and once more
// afterwards: for the callbacks that are left.
//
// Called by a callback, of this engine or another, or by Options.HTTP, Shutdown does not
// wait, since it would wait for its caller: it returns nil, and Done tells the end. ctx
// bounds the drain all the same.
func (e *Engine) Shutdown(ctx context.Context) error {
	if e.phase.Load() != phaseNew && inCallback() {
		go func() { _ = e.shutdown(ctx) }() // ends with the engine; Run returns the same error
		return nil
	}
	return e.shutdown(ctx)
}

func (e *Engine) shutdown(ctx context.Context) error {
	if !e.phase.CompareAndSwap(phaseRunning, phaseDraining) {
		if e.phase.Load() == phaseNew {
			return ErrClosed
		}
		// The drain is under way; this ctx bounds it too.
		defer context.AfterFunc(ctx, e.cutDrain)()
		<-e.ended
		return e.failure
	}
	ctx, cancel := context.WithTimeout(ctx, e.options.DrainTime)
	defer cancel()
	e.draining.Store(true)
	e.resolver.stop()
	for _, l := range e.loops {
		l.do(l.startDrain)
	}
	if e.http != nil {
		go func() {
			_ = e.http.server.Shutdown(ctx) // its connections count as sockets, which are waited for below
		}()
	}
	e.awaitEmpty(ctx)
	return e.finish()
}

// awaitEmpty waits until no socket is left, the drain is cut, or ctx is done.
func (e *Engine) awaitEmpty(ctx context.Context) {
	for e.sockets.Load() > 0 {
		select {
		case <-e.empty:
		case <-e.cut:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the engine at once: connections are cut, which their peers see as 1006,
// and OnClose is called for each. It returns when handlers have returned; called by a
// callback it does not wait, as Shutdown.
func (e *Engine) Close() error {
	e.cutDrain()
	if e.closeUnstarted() {
		return nil
	}
	if inCallback() {
		go func() { _ = e.close() }() // ends with the engine; Run returns the same error
		return nil
	}
	return e.close()
}

// cutDrain ends a drain that is under way, or will be.
func (e *Engine) cutDrain() { e.cutOnce.Do(func() { close(e.cut) }) }

// close is Close of an engine that was started.
func (e *Engine) close() error {
	if e.phase.CompareAndSwap(phaseRunning, phaseDraining) {
		e.draining.Store(true)
		return e.finish()
	}
	<-e.ended
	return e.failure
}

// closeUnstarted closes an engine that was not started.
func (e *Engine) closeUnstarted() bool {
	e.starting.Lock()
	defer e.starting.Unlock()
	if !e.phase.CompareAndSwap(phaseNew, phaseClosed) {
		return false
	}
	close(e.ended)
	return true
}

// finish stops everything and waits for it. One goroutine calls it, once.
func (e *Engine) finish() error {
	defer close(e.ended)
	e.resolver.stop()
	e.resolver.wait()
	if e.http != nil {
		_ = e.http.server.Close()
		<-e.http.ended
	}
	for _, l := range e.loops {
		l.stop()
	}
	// A loop ends late only if a handler blocks it.
	ended := waitFor(&e.running, e.options.CloseTimeout)
	if ended && e.http != nil {
		e.http.abandonQueue()
	}
	e.phase.Store(phaseClosed)
	if ended {
		ended = e.run.close(e.options.CloseTimeout)
	}
	if !ended && e.failure == nil {
		e.failure = ErrHandlersRunning
	}
	return e.failure
}

// fail ends the engine because a loop has failed.
func (e *Engine) fail(err error) {
	e.failed.Do(func() {
		e.failure = err
		e.logFault("event loop failed", err)
		go func() { _ = e.Close() }() // the caller is a loop, which Close waits for; ended follows
	})
}

// admit counts a connection against MaxConnections, or refuses it.
func (e *Engine) admit() *handler.Refusal {
	if e.draining.Load() {
		return busy("server is shutting down")
	}
	if e.active.Add(1) > int64(e.options.MaxConnections) {
		e.active.Add(-1)
		return busy("too many connections")
	}
	return nil
}

func busy(reason string) *handler.Refusal {
	r := handler.Refuse(503, reason)
	r.Header.Set("Retry-After", "1")
	return r
}

// release accounts for a socket that is gone.
func (e *Engine) release(admitted bool) {
	if admitted {
		e.active.Add(-1)
	}
	if e.sockets.Add(-1) == 0 && e.draining.Load() {
		select {
		case e.empty <- struct{}{}:
		default:
		}
	}
}

// policy is what applies to routes that do not say otherwise.
func (e *Engine) policy() handler.Policy {
	return handler.Policy{Origins: e.options.Origins, Subprotocols: e.options.Subprotocols}
}

// elapsed is the engine's age.
func (e *Engine) elapsed() time.Duration { return time.Since(e.epoch) }

// clockMillis is the engine's age in milliseconds, never 0. It wraps after 49 days.
func (e *Engine) clockMillis() uint32 { return uint32(e.elapsed().Milliseconds()) + 1 }

// noContext is for log records, which belong to no request.
var noContext = context.Background()

func (e *Engine) logFault(what string, err error) {
	e.options.Logger.LogAttrs(noContext, slog.LevelError, what, slog.Any("err", err))
}

// logPeer records a peer's misbehaviour.
func (e *Engine) logPeer(what string, c *Conn, err error) {
	e.options.Logger.LogAttrs(noContext, slog.LevelWarn, what,
		slog.Uint64("conn", c.id), slog.Any("remote", c.RemoteAddr()), slog.Any("err", err))
}

// logRefusal records a request that was refused.
func (e *Engine) logRefusal(c *Conn, status int, r *handler.Refusal) {
	e.options.Logger.LogAttrs(noContext, slog.LevelDebug, "request refused",
		slog.Any("remote", c.RemoteAddr()), slog.Int("status", status), slog.String("reason", string(r.Body)))
}
