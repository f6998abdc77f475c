package ambiorix

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// How much of a body that is refused is read, and for how long.
const (
	drainBytes = 16 << 20
	drainTime  = 5 * time.Second
)

// limitBody answers 413 to requests whose body is above most bytes. most below 0 is no
// limit.
func limitBody(next http.Handler, most int64) http.Handler {
	if most < 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > most {
			answerTooLarge(w)
			drain(w, r.Body)
			return
		}
		if r.ContentLength >= 0 { // net/http hands out no more than that
			next.ServeHTTP(w, r)
			return
		}
		rest := r.Body
		body := &limitedBody{ReadCloser: http.MaxBytesReader(w, rest, most)}
		r.Body = body
		limited := &limitedResponse{ResponseWriter: w, body: body}
		next.ServeHTTP(limited, r)
		if limited.decide() {
			drain(w, rest)
		}
	})
}

// answerTooLarge sends the 413.
func answerTooLarge(w http.ResponseWriter) {
	http.Error(w, "Maximum upload size exceeded", http.StatusRequestEntityTooLarge)
	_ = http.NewResponseController(w).Flush() // a client that has gone is no matter
}

// drain reads what a client goes on sending although it is refused. Closed before that,
// the connection would be reset, and the client might not see the answer.
func drain(w http.ResponseWriter, body io.Reader) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, body, drainBytes)
}

// A limitedBody is a request body of unknown length.
type limitedBody struct {
	io.ReadCloser
	exceeded atomic.Bool // its reader and the writer of the response may be two goroutines
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		b.exceeded.Store(true)
	}
	return n, err
}

// A limitedResponse becomes a 413, whatever its handler writes, if the handler has met
// the limit of the body before it began to write.
type limitedResponse struct {
	http.ResponseWriter
	body     *limitedBody
	decided  bool // the status is sent
	tooLarge bool // and is 413
}

// decide sends the 413 if that is the answer and nothing has been sent yet. It reports
// whether it is the answer.
func (l *limitedResponse) decide() bool {
	if !l.decided && l.body.exceeded.Load() {
		l.decided, l.tooLarge = true, true
		answerTooLarge(l.ResponseWriter)
	}
	return l.tooLarge
}

// WriteHeader implements http.ResponseWriter.
func (l *limitedResponse) WriteHeader(status int) {
	if l.decide() {
		return
	}
	l.decided = l.decided || status >= 200 // others are informational, and more follows
	l.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter. What belongs to no answer is thrown away.
func (l *limitedResponse) Write(p []byte) (int, error) {
	if l.decide() {
		return len(p), nil
	}
	l.decided = true
	return l.ResponseWriter.Write(p)
}

// FlushError implements what http.ResponseController looks for.
func (l *limitedResponse) FlushError() error {
	if l.decide() {
		return nil
	}
	l.decided = true
	return http.NewResponseController(l.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (l *limitedResponse) Flush() { _ = l.FlushError() }

// Unwrap lets http.ResponseController reach the rest.
func (l *limitedResponse) Unwrap() http.ResponseWriter { return l.ResponseWriter }
