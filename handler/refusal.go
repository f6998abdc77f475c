package handler

import (
	"fmt"
	"net/http"
)

// Refusal is an HTTP response in place of the upgrade. Returned as an error by
// OnOpen it refuses the connection.
type Refusal struct {
	// Status is 300 to 599. The engine sends 500 in place of any other.
	Status int
	// Header is sent with the response, in addition to Content-Length and
	// Connection. Redirects need a Location here.
	Header http.Header
	// Body is sent as it is.
	Body []byte
}

// Refuse returns a Refusal with a body of plain text. The status is one of 400 to
// 599, or of 300 to 399 for a redirect, whose Location the caller sets. The body
// is shown to the peer.
func Refuse(status int, body string) *Refusal {
	return &Refusal{
		Status: status,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		Body:   []byte(body),
	}
}

// Error tells the status and the body.
func (r *Refusal) Error() string {
	return fmt.Sprintf("handler: refused with %d: %s", r.Status, r.Body)
}
