package websockets

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// Options configure a Server. The zero value works: a server on 127.0.0.1:7681 without
// a page.
type Options struct {
	// Page answers every request that is no WebSocket. Default: 404.
	Page http.Handler
	// Binary sends binary messages. Default: text.
	Binary bool
	// Engine configures everything else: the Address, 127.0.0.1:7681 by default, limits,
	// origins, sub-protocols, TLS. Its Mode is always engine.Service, and its HTTP the
	// page. A Mux gets the route "*".
	Engine engine.Options
}

const (
	backgroundWait = 100 * time.Millisecond // of one call of Service in Run and Daemonize
	closeWait      = 10 * time.Millisecond  // of one in Close
)

// A Server serves WebSocket connections on every path of one port. Any number may run
// in one process.
type Server struct {
	Callbacks

	engine     *engine.Engine
	group      *group
	page       atomic.Pointer[http.Handler]
	daemonized atomic.Bool
	closing    atomic.Bool
	closed     chan struct{}
}

// NewServer makes a server, which listens at once. A port that is in use is an error,
// for which errors.Is(err, syscall.EADDRINUSE) holds. Clients that connect are served
// by the next call of Service, so there is time to set the callbacks.
func NewServer(o Options) (*Server, error) {
	s := &Server{closed: make(chan struct{})}
	s.Page(o.Page)
	o.Engine.Mode = engine.Service
	o.Engine.HTTP = http.HandlerFunc(s.servePage)
	if o.Engine.Mux == nil {
		o.Engine.Mux = handler.NewMux()
	}
	s.group = newGroup(o.Binary, &o.Engine.Deflate)
	if err := o.Engine.Mux.Add(handler.Route{Path: "*", Handler: events{s.group, &s.Callbacks}}); err != nil {
		return nil, err
	}
	var err error
	if s.engine, err = engine.New(o.Engine); err != nil {
		return nil, err
	}
	if err := s.engine.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

// Addr is the address that the server listens on, with the port that was bound.
func (s *Server) Addr() net.Addr { return s.engine.Addr() }

// Service runs the callbacks of what has happened and returns how many it ran. If there
// are none it waits for the first, up to timeout. See engine.Engine.Service.
func (s *Server) Service(timeout time.Duration) int { return s.engine.Service(timeout) }

// Run calls Service until ctx is done or the server is closed, and then closes it. It
// sees the end of ctx within a tenth of a second, once a callback that runs has
// returned.
func (s *Server) Run(ctx context.Context) error {
	for ctx.Err() == nil && !s.isClosed() {
		s.Service(backgroundWait)
	}
	return s.Close()
}

// Daemonize calls Service in the background until the server is closed, and returns at
// once.
func (s *Server) Daemonize() {
	if s.daemonized.Swap(true) {
		return
	}
	// Ends with Close, which does not wait for it: it may have been called by a callback
	// on this goroutine.
	go func() {
		for !s.isClosed() {
			s.Service(backgroundWait)
		}
	}()
}

// Close drains the server: the port is free at once, clients get what waits for them
// and a close frame with 1001, and their closed callbacks run on this goroutine, or
// others that call Service. Close may be called by a callback, and does nothing the
// second time.
func (s *Server) Close() error {
	if s.closing.Swap(true) {
		return nil
	}
	defer close(s.closed)
	ended := make(chan error, 1)
	go func() { ended <- s.engine.Shutdown(context.Background()) }() // waited for below
	for {
		select {
		case err := <-ended:
			for s.Service(0) > 0 {
			}
			return err
		default:
			s.Service(closeWait)
		}
	}
}

func (s *Server) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// Clients returns the connections, ordered by ID: all from when their established
// callback is called until their closed callback has returned.
func (s *Server) Clients() []*Conn { return s.group.all() }

// Client returns the connection with this ID, nil if there is none.
func (s *Server) Client(id uint64) *Conn { return s.group.find(id) }

// Broadcast writes data to all clients, as Conn.Write does, and reports for each of
// them what happened.
func (s *Server) Broadcast(data []byte) Results { return s.group.broadcast(data) }

// Page replaces what answers requests that are no WebSocket. nil: 404. It may be called
// at any time.
func (s *Server) Page(h http.Handler) { set(&s.page, h, h == nil) }

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	if page := s.page.Load(); page != nil {
		(*page).ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}
