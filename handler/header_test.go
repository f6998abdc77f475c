package handler_test

import (
	"slices"
	"testing"

	"github.com/weirws/weir/handler"
)

const cookieHead = "GET / HTTP/1.1\r\n" +
	"host: h\r\n" +
	"Cookie:a=1\r\n" +
	"X-Empty:\r\n" +
	"COOKIE: \t b=2 \r\n\r\n"

func TestHeader(t *testing.T) {
	h := request(t, cookieHead).Header
	for _, tt := range []struct{ name, want string }{
		{"Host", "h"}, {"cookie", "a=1"}, {"X-Empty", ""}, {"X-None", ""}, {"", ""},
		// A Kelvin sign folds to k, but is no part of a field name.
		{"coo\u212aie", ""},
	} {
		if got := h.Get(tt.name); got != tt.want {
			t.Errorf("Get(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
	if got, want := h.Values("cookie"), []string{"a=1", "b=2"}; !slices.Equal(got, want) {
		t.Errorf("Values(cookie) = %q, want %q", got, want)
	}
	if got := h.Values("X-None"); got != nil {
		t.Errorf("Values of no field = %q, want nil", got)
	}
	if got, want := h.String(), cookieHead[len("GET / HTTP/1.1\r\n"):len(cookieHead)-2]; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if h.Len() != 4 {
		t.Errorf("Len() = %d, want 4", h.Len())
	}
}

func TestHeaderAll(t *testing.T) {
	h := request(t, cookieHead).Header
	var got []string
	for name, value := range h.All() {
		got = append(got, name+"="+value)
	}
	if want := []string{"host=h", "Cookie=a=1", "X-Empty=", "COOKIE=b=2"}; !slices.Equal(got, want) {
		t.Errorf("All() = %q, want %q", got, want)
	}
	for name := range h.All() {
		if name != "host" {
			t.Errorf("All() went on to %q after break", name)
		}
		break
	}
}

func TestHeaderZero(t *testing.T) {
	var h handler.Header
	for name, value := range h.All() {
		t.Errorf("zero Header has %q: %q", name, value)
	}
	if h.Get("A") != "" || h.Values("A") != nil || h.Len() != 0 || h.String() != "" {
		t.Errorf("zero Header is not empty: %q", h)
	}
}

func TestHeaderAllocs(t *testing.T) {
	r := request(t, browserHead)
	if got := testing.AllocsPerRun(100, func() { r.Header.Get("Sec-WebSocket-Key"); r.IsUpgrade() }); got != 0 {
		t.Errorf("Get and IsUpgrade: %v allocations, want 0", got)
	}
}
