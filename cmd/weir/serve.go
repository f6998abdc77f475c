package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	progressInterval = time.Second            // between two lines about a drain
	serviceWait      = 100 * time.Millisecond // of one call of Service
)

// serve listens and serves until ctx is done or a signal to terminate comes, and
// then drains. A signal during the drain cuts it short. The Go runtime has raised the
// soft limit of descriptors to the hard one by then.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseServe(args, stdout, stderr)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	feed, err := newFeed(o.feed)
	if err != nil {
		return err
	}
	s := &server{feed: feed, said: announcer{w: stderr, json: o.json, log: o.logger}}
	o.engine.HTTP = hurried(newSite(s.isReady, feed), requestTime)
	o.engine.Mux = newRoutes(feed)
	if s.engine, err = engine.New(o.engine); err != nil {
		return err
	}
	collectOften()
	if err := s.engine.Start(); err != nil {
		return startError(err, s.engine.Options())
	}
	s.said.listening(s.engine, o.engine.MaxConnections, feed)
	return s.run(ctx, signals)
}

// newRoutes are the WebSocket paths.
func newRoutes(f *feedServer) *handler.Mux {
	m := handler.NewMux()
	m.Handle("/echo", handler.Echo{})
	m.Handle("/broadcast", handler.Func(broadcast))
	f.addRoutes(m)
	return m
}

// broadcast sends a message to everyone on the path of c. c is one of them, so that nobody
// is reached only if c is ending or the engine is busy: then the sender gets to know.
func broadcast(c handler.Conn, op frame.Opcode, payload []byte) {
	if c.Hub().Broadcast(op, payload, handler.Audience{Path: c.Path()}) == 0 {
		_ = c.Close(frame.CloseTryAgainLater, "too many messages wait; this one was not sent") // else it is ending already
	}
}

// collectOften halves the garbage that handshakes may leave before it is collected,
// unless GOGC says what is wanted. Messages leave none, so it costs nothing later: 10,000
// idle connections take 110 B less each.
func collectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// startError says in terms of the flags what kept the engine from starting.
func startError(err error, o engine.Options) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: the address is in use; choose another one with --address", o.Address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen on %s: permission denied; choose another one with --address", o.Address)
	case errors.Is(err, syscall.EMFILE):
		return errors.New("cannot start: the descriptor limit is too low even for that; raise it (ulimit -Hn)")
	}
	return fmt.Errorf("cannot listen on %s: %w", o.Address, err)
}

// A server is one call of serve.
type server struct {
	engine *engine.Engine
	feed   *feedServer // nil: there is none
	said   announcer
}

// isReady reports whether new connections are welcome.
func (s *server) isReady() bool {
	_, draining := s.engine.Draining()
	return !draining
}

// run serves until the engine has ended.
func (s *server) run(ctx context.Context, signals <-chan os.Signal) error {
	running, drain := context.WithCancel(context.Background())
	defer drain()
	ended := make(chan error, 1)
	go func() { ended <- s.engine.Run(running) }() // ends with the engine, which every return below waits for

	if s.engine.Options().Mode == engine.Service {
		defer s.callService()()
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	case <-signals:
	}
	s.feed.close() // first: what is published once the drain has begun does not reach everybody
	drain()
	return s.awaitDrain(ended, signals)
}

// awaitDrain tells how the drain goes on, until it is over.
func (s *server) awaitDrain(ended <-chan error, signals <-chan os.Signal) error {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		left, _ := s.engine.Draining()
		s.said.draining(left)
		select {
		case err := <-ended:
			s.said.stopped()
			return err
		case <-tick.C:
		case <-signals:
			if left, _ := s.engine.Draining(); left > 0 {
				s.said.cutting(left)
			}
			err := s.engine.Close()
			s.said.stopped()
			return err
		}
	}
}

// callService runs the handlers on one goroutine until the function it returns is
// called, which runs what is left and waits for that.
func (s *server) callService() (stop func()) {
	var caller sync.WaitGroup
	ended := make(chan struct{})
	caller.Go(func() {
		for {
			select {
			case <-ended:
				for s.engine.Service(0) > 0 {
				}
				return
			default:
				s.engine.Service(serviceWait)
			}
		}
	})
	return func() {
		close(ended)
		caller.Wait()
	}
}
