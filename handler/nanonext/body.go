package nanonext

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	defaultMaxBodyBytes = 1 << 20
	bodyTime            = 30 * time.Second // for the body of a request
	lastBodyTime        = time.Second      // for the rest of one whose stream has ended
)

// limitBody refuses requests with a body above most bytes.
func limitBody(h http.Handler, most int64) http.Handler {
	if most < 0 {
		return h
	}
	most = cmp.Or(most, defaultMaxBodyBytes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		if r.ContentLength > most {
			http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// hurryBody gives the body of a request, if it has one, so much time from now on. net/http
// forgets that when the body has been read.
func hurryBody(w http.ResponseWriter, r *http.Request, most time.Duration) {
	if r.ContentLength != 0 {
		// An error means that the connection is closed, which reading will find.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(most))
	}
}

// readRest reads what Open has left of the request's body, since net/http watches for the
// client's end behind that. When the stream ends, or the server closes, the body has
// lastBodyTime left. An error says that the body is not complete.
func (s *StreamConn) readRest(w http.ResponseWriter, req *http.Request, closing <-chan struct{}) error {
	if req.ContentLength == 0 {
		return nil
	}
	err := s.readHurried(w, req, closing)
	s.ring() // for what has rung meanwhile
	if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
		return err
	}
	// The deadline may be of the last moment. What net/http does now has none.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return nil
}

// readHurried reads the body, and watches meanwhile for what leaves it no time.
func (s *StreamConn) readHurried(w http.ResponseWriter, req *http.Request, closing <-chan struct{}) error {
	read := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { // ends when the body has been read; waited for below
		for ended := false; !ended; {
			select {
			case <-read:
				return
			case <-closing:
				ended = true
			case <-s.wake:
				ended = s.hasEnded()
			}
		}
		hurryBody(w, req, lastBodyTime)
	})
	defer watcher.Wait()
	defer close(read)
	_, err := io.Copy(io.Discard, req.Body)
	return err
}

// bodyStatus is the status for a request whose body could not be read.
func bodyStatus(err error) int {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}
