package nanonext

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

var (
	// ErrURL is returned by NewServer for a URL that is neither http://host:port nor,
	// with TLS in the options, https://host:port.
	ErrURL = errors.New("nanonext: bad URL")
	// ErrClosed is returned by Start, Serve and Close of a server that was closed.
	ErrClosed = errors.New("nanonext: server closed")
)

// State is how far a server has come.
type State uint8

// The states of a server, in their order.
const (
	NotStarted State = iota
	Started
	Closed
)

// String returns the state in words.
func (s State) String() string {
	switch s {
	case NotStarted:
		return "not started"
	case Started:
		return "started"
	case Closed:
		return "closed"
	}
	return "state " + strconv.Itoa(int(s))
}

// A Server serves handlers on one port. Several may run in one process. Its methods
// may be called from any goroutine.
type Server struct {
	options engine.Options // complete; immutable
	url     url.URL        // as given; immutable
	closing chan struct{}  // closed with the state Closed: ends streams

	mu     sync.Mutex
	engine *engine.Engine
	state  State
}

// NewServer makes a server that does not listen yet. rawURL is http://host:port, or
// https://host:port with TLS among the options, for wss as well: port 0 is any free one,
// an empty host all interfaces. Options configure the engine, except for Address; a Mux
// among them gets the WebSocket handlers, and an HTTP handler the requests that no handler
// is for. Two handlers for the same path, and method, are refused with
// handler.ErrDuplicatePath. The error names everything that is wrong; then the Mux is as it
// was.
func NewServer(rawURL string, o engine.Options, handlers ...Handler) (*Server, error) {
	u, address, err := parseURL(rawURL)
	switch {
	case err != nil:
	case o.Network == "unix":
		err = fmt.Errorf("%w: a unix socket has none", ErrURL)
	case (u.Scheme == "https") != (o.TLS != nil):
		err = fmt.Errorf("%w %q: https goes with TLS in the options, http without", ErrURL, rawURL)
	}
	s := &Server{url: u, closing: make(chan struct{})}
	if o.Mux == nil {
		o.Mux = handler.NewMux()
	}
	r := newRouter(o, s.closing)
	errs := []error{err}
	for _, h := range handlers {
		errs = append(errs, h.register(r))
	}
	o.HTTP, o.Address = r, address
	s.options = o
	s.engine, err = engine.New(o)
	if err := errors.Join(append(errs, err)...); err != nil {
		r.removeSockets() // the caller may try again
		return nil, err
	}
	return s, nil
}

// parseURL takes a server's URL apart. address is what to listen on.
func parseURL(raw string) (u url.URL, address string, err error) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return u, "", fmt.Errorf("%w: want http://host:port: %w", ErrURL, err)
	}
	u = *parsed
	port := cmp.Or(u.Port(), defaultPorts[u.Scheme])
	_, err = strconv.ParseUint(port, 10, 16)
	if err != nil || defaultPorts[u.Scheme] == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return u, "", fmt.Errorf("%w %q: want http://host:port", ErrURL, raw)
	}
	return u, net.JoinHostPort(u.Hostname(), port), nil
}

// defaultPorts are those of the schemes.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// Start listens and serves, and returns at once. A port that is in use is an error,
// for which errors.Is(err, syscall.EADDRINUSE) holds; Start may be tried again. It does
// nothing if the server runs already.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case Started:
		return nil
	case Closed:
		return ErrClosed
	}
	if err := s.engine.Start(); err != nil {
		// An engine starts only once.
		fresh, newErr := engine.New(s.options)
		if newErr == nil {
			s.engine = fresh
		}
		return errors.Join(err, newErr)
	}
	s.state = Started
	return nil
}

// Serve starts the server unless it runs, serves until ctx is done or Close is called,
// and then ends as Close does.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	cancel := context.AfterFunc(ctx, func() { s.close() })
	defer cancel()
	err := s.current().Run(ctx)
	s.close()
	return err
}

// Close drains the server, see engine.Engine.Shutdown: the port is free at once,
// streams end, clients get what waits for them and a close frame with 1001, and Close
// returns when the callbacks have; called by a callback it does not wait for that. In mode
// engine.Service the application calls Service meanwhile.
func (s *Server) Close() error {
	switch before, e := s.close(), s.current(); before {
	case NotStarted:
		return e.Close()
	case Started:
		return e.Shutdown(context.Background())
	default:
		return ErrClosed
	}
}

// close sets the state and returns the one before.
func (s *Server) close() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.state
	if before != Closed {
		s.state = Closed
		close(s.closing)
	}
	return before
}

// Service runs waiting callbacks of WebSocket handlers in mode engine.Service, see
// engine.Engine.Service.
func (s *Server) Service(timeout time.Duration) int { return s.current().Service(timeout) }

// URL is the one given to NewServer, with the port that was bound once the server has
// started.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.url
	if addr, ok := s.engine.Addr().(*net.TCPAddr); ok {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(addr.Port))
	}
	return u.String()
}

// State tells whether the server has started or closed.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Hub reaches all WebSocket connections of a server that has started.
func (s *Server) Hub() handler.Hub { return s.current().Hub() }

func (s *Server) current() *engine.Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine
}
