package nanonext

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/weirws/weir/handler"
)

var (
	// ErrHeaderSent is returned by StreamConn.SetStatus and SetHeader after the first
	// Send.
	ErrHeaderSent = errors.New("nanonext: response header is sent already")
	// ErrStreamStatus is returned by StreamConn.SetStatus for a status outside 200 to 599.
	ErrStreamStatus = errors.New("nanonext: bad status")
)

// Stream serves one path, or all below it, with responses that go on: chunked transfer,
// server-sent events. It is for streams that are sent to from elsewhere. A function that
// writes its response and returns is a Func.
type Stream struct {
	// Path, percent-decoded.
	Path string
	// Method is the one answered; others get 405. Default: any.
	Method string
	// Prefix serves all paths below Path as well.
	Prefix bool
	// MaxBodyBytes bounds the body of a request, as Func.MaxBodyBytes.
	MaxBodyBytes int64
	// Open begins the response. The stream goes on when it has returned, until
	// StreamConn.Close, or until the client or the server ends it. r and its body are
	// valid until Open returns.
	//
	// The client is sent nothing before its request is complete. The body has 30 s to
	// arrive, as that of a Func, but when Open has returned no more than a second once the
	// stream has ended or the server closes. One that is not complete then ends the stream
	// behind what is queued; without that the response is 408, or 413 or 400 for a body that
	// is above the bound or malformed.
	Open func(s *StreamConn, r *http.Request)
	// Close is called once and last, whoever ended the stream. It may be nil.
	Close func(s *StreamConn)
}

func (h Stream) register(r *router) error {
	if h.Open == nil {
		return fmt.Errorf("%w: %q", handler.ErrNilHandler, h.Path)
	}
	return r.add(h.Path, h.Prefix, cmp.Or(h.Method, anyMethod),
		limitBody(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { h.serve(r, w, req) }), h.MaxBodyBytes))
}

func (h Stream) serve(r *router, w http.ResponseWriter, req *http.Request) {
	s := &StreamConn{
		id: streamBit | r.streamIDs.Add(1), limit: r.queueBytes, status: http.StatusOK, header: w.Header(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	defer s.finish(h.Close)
	h.Open(s, req)
	gone := req.Context().Done()
	if err := s.readRest(w, req, r.closing); err != nil {
		gone = nil                       // the error ended the context, while the client may wait for a response
		_ = s.SetStatus(bodyStatus(err)) // unless the stream has ended, or something is to be sent
		_ = s.Close()
	}
	s.pump(w, gone, r)
}

// streamBit is in the id of a stream and not in that of a connection.
const streamBit = 1 << 63

// A StreamConn is one response of a Stream. All methods may be called from any
// goroutine, and none of them blocks.
type StreamConn struct {
	id    uint64
	limit int
	wake  chan struct{} // holds a token while there is something to do
	done  chan struct{}

	mu     sync.Mutex
	status int
	header http.Header // the response's, until it is sent
	sent   bool        // the header is on its way
	ended  bool
	cut    bool   // ended because the reader was too slow
	queue  []byte // what waits for the reader
}

// ID is unique over all streams and WebSocket connections of a server.
func (s *StreamConn) ID() uint64 { return s.id }

// Done is closed once the stream has ended, which is before Close of its handler is
// called.
func (s *StreamConn) Done() <-chan struct{} { return s.done }

// SetStatus sets the status of the response, 200 to 599. Default: 200. After the first
// Send it returns ErrHeaderSent.
func (s *StreamConn) SetStatus(status int) error {
	if status < 200 || status > 599 {
		return fmt.Errorf("%w %d", ErrStreamStatus, status)
	}
	return s.setHead(func() { s.status = status })
}

// SetHeader sets a header field of the response. After the first Send it returns
// ErrHeaderSent, and handler.ErrBadHeader for a name or a value that would end the
// line.
func (s *StreamConn) SetHeader(name, value string) error {
	if name == "" || strings.ContainsAny(name, ": \t\r\n\x00") || strings.ContainsAny(value, "\r\n\x00") {
		return fmt.Errorf("%w %q", handler.ErrBadHeader, name)
	}
	return s.setHead(func() { s.header.Set(name, value) })
}

func (s *StreamConn) setHead(set func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return handler.ErrClosed
	case s.sent:
		return ErrHeaderSent
	}
	set()
	return nil
}

// Send queues a piece of the body, and the header before the first one. It returns
// handler.ErrClosed once the stream has ended, and handler.ErrSlowConsumer if more waits
// for the reader than Options.OutboxHardBytes of the engine allow: then the connection is
// cut, as it is when one write takes longer than Options.SlowTimeout. An empty queue takes
// any one piece. Send copies data.
func (s *StreamConn) Send(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return handler.ErrClosed
	case len(s.queue) > 0 && len(s.queue)+len(data) > s.limit:
		s.ended, s.cut, s.queue = true, true, nil
		s.ring()
		return handler.ErrSlowConsumer
	}
	s.sent = true
	s.queue = append(s.queue, data...)
	s.ring()
	return nil
}

// Close ends the stream behind what is queued. It returns handler.ErrClosed if it has
// ended already.
func (s *StreamConn) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return handler.ErrClosed
	}
	s.ended = true
	s.ring()
	return nil
}

func (s *StreamConn) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// ring tells the goroutine of the stream.
func (s *StreamConn) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pump writes what is queued until the stream ends, or its client is gone, on the goroutine
// of net/http.
func (s *StreamConn) pump(w http.ResponseWriter, gone <-chan struct{}, r *router) {
	response := http.NewResponseController(w)
	started := false
	for {
		select {
		case <-s.wake:
		case <-gone:
			return
		case <-r.closing:
			_ = s.Close() // it may have ended already
		}
		p := s.take()
		if p.cut {
			panic(http.ErrAbortHandler) // or the reader would take it for the end
		}
		if !p.start {
			continue
		}
		if r.slowTimeout > 0 {
			// An error means that the connection is closed, which the write will find.
			_ = response.SetWriteDeadline(time.Now().Add(r.slowTimeout))
		}
		if !started {
			started = true
			w.WriteHeader(s.status)
		}
		if _, err := w.Write(p.body); err != nil || p.last || response.Flush() != nil {
			return
		}
	}
}

// A piece is what a stream has for its reader.
type piece struct {
	body  []byte
	start bool // the header is to be sent, if it has not been
	last  bool // nothing can follow
	cut   bool // the reader gets nothing more
}

func (s *StreamConn) take() piece {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := piece{body: s.queue, start: s.sent || s.ended, last: s.ended, cut: s.cut}
	s.queue = nil
	return p
}

// finish ends the stream for everybody.
func (s *StreamConn) finish(callback func(*StreamConn)) {
	s.mu.Lock()
	s.ended, s.queue = true, nil
	s.mu.Unlock()
	close(s.done)
	if callback != nil {
		callback(s)
	}
}
