package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	publishPath = "/publish/"

	mostLines = 1000 // of a batch: it is published under one lock
)

// ServeHTTP answers POST /publish/{topic}. See the package documentation.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	topic, ok := strings.CutPrefix(r.URL.Path, publishPath)
	if !ok {
		http.Error(w, "no such path", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method must be POST", http.StatusMethodNotAllowed)
		return
	}
	c, ok := verify(f.options.PublishKeys, bearer(r.Header.Get("Authorization")), f.now)
	switch {
	case !ok:
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "a valid token is needed", http.StatusUnauthorized)
		return
	case !isTopic(topic):
		refuse(w, errBadTopic)
		return
	case !coversAny(c.Publish, topic):
		refuse(w, errForbidden)
		return
	}
	messages, status, err := f.readMessages(w, r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	published, err := f.Publish(topic, messages...)
	switch {
	case errors.Is(err, ErrBusy):
		text := fmt.Sprintf("%s: %d of %d messages were published", errBusy.text, published.Count, len(messages))
		http.Error(w, text, errBusy.status)
		return
	case err != nil:
		refuse(w, failureOf(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(encode(published), '\n')) // a publisher that has gone is no matter
}

func refuse(w http.ResponseWriter, f *failure) { http.Error(w, f.text, f.status) }

// readMessages reads the body of a request. With an error comes the status to answer.
func (f *Feed) readMessages(w http.ResponseWriter, r *http.Request) ([]Message, int, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(f.options.MaxBodyBytes)))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", f.options.MaxBodyBytes)
	}
	if err != nil {
		return nil, http.StatusBadRequest, errors.New("the body is not complete")
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "application/x-ndjson" || kind == "application/ndjson":
		messages, err := splitLines(body)
		return messages, http.StatusBadRequest, err
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		m, err := JSON(body)
		if err != nil {
			return nil, http.StatusBadRequest, errors.New("the body is not JSON")
		}
		return []Message{m}, 0, nil
	default:
		return []Message{Bytes(body)}, 0, nil
	}
}

// splitLines returns the messages of a batch, one a line.
func splitLines(body []byte) ([]Message, error) {
	var messages []Message
	number := 0
	for line := range bytes.Lines(body) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		m, err := JSON(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is not JSON; nothing was published", number)
		}
		if len(messages) == mostLines {
			return nil, fmt.Errorf("there are more than %d messages; nothing was published", mostLines)
		}
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return nil, errors.New("there is no message")
	}
	return messages, nil
}
