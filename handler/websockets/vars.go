package websockets

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

const maxFormBytes = 1 << 20

// Var is one variable of a request.
type Var struct{ Name, Value string }

// Vars are the variables of a request in their order, repeated ones included.
type Vars []Var

// Get returns the value of the first variable with this name, and whether there is one.
func (vs Vars) Get(name string) (value string, ok bool) {
	for _, v := range vs {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

// ParseVars takes a query apart, without its question mark: that of a WebSocket's
// handshake is Conn.Request.RawQuery. What follows the first = of a variable is its
// value, which is empty if there is none. Names and values are decoded; what is not
// properly encoded is left as it is.
func ParseVars(query string) Vars {
	var vars Vars
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		vars = append(vars, Var{decode(name), decode(value)})
	}
	return vars
}

func decode(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// RequestVars returns the variables of the query of r and behind them, for POST, those
// of a body of type application/x-www-form-urlencoded, of up to 1 MiB. A larger one is
// an *http.MaxBytesError, for which 413 is the answer.
func RequestVars(w http.ResponseWriter, r *http.Request) (Vars, error) {
	vars := ParseVars(r.URL.RawQuery)
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || contentType != "application/x-www-form-urlencoded" {
		return vars, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFormBytes))
	if err != nil {
		return nil, fmt.Errorf("websockets: reading a form: %w", err)
	}
	return append(vars, ParseVars(string(body))...), nil
}
