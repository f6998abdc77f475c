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
	// Header is sent with the response, besides what the engine adds: the length
	// of Body, and that the connection is closed. A redirect needs a Location.
	Header http.Header
	// Body is sent as it is.
	Body []byte
}

// Refuse returns a Refusal with this status and a body of plain text, which the
// peer gets to see.
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
