package websockets

import (
	"net"
	"net/http"
	"sync/atomic"

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
	// page. A Mux gets the route "*", unless NewServer fails.
	Engine engine.Options
}

// A Server serves WebSocket connections on every path of one port. Any number may run
// in one process.
type Server struct {
	Endpoint
	page atomic.Pointer[http.Handler]
}

// NewServer makes a server, which listens at once. A port that is in use is an error,
// for which errors.Is(err, syscall.EADDRINUSE) holds. Clients that connect are served
// by the next call of Service, so there is time to set the callbacks.
func NewServer(o Options) (*Server, error) {
	s := new(Server)
	s.Page(o.Page)
	o.Engine.HTTP = http.HandlerFunc(s.servePage)
	if o.Engine.Mux == nil {
		o.Engine.Mux = handler.NewMux()
	}
	if err := o.Engine.Mux.Add(handler.Route{Path: "*", Handler: events{&s.Endpoint}}); err != nil {
		return nil, err
	}
	if err := s.start(o.Engine, newGroup(o.Binary, false, &o.Engine.Deflate)); err != nil {
		o.Engine.Mux.Remove("*") // the caller may try again
		return nil, err
	}
	return s, nil
}

// Addr is the address that the server listens on, with the port that was bound.
func (s *Server) Addr() net.Addr { return s.engine.Addr() }

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
