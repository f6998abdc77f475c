package handler_test

import (
	"errors"
	"testing"

	"github.com/weirws/weir/handler"
)

func TestCheckOrigin(t *testing.T) {
	tests := []struct {
		name     string
		origin   string
		host     string
		patterns []string
		want     bool
	}{
		{"no origin", "", "example.com", nil, true},
		{"same", "http://example.com", "example.com", nil, true},
		{"same over https", "https://example.com", "example.com", nil, true},
		{"same, other case", "HTTP://Example.COM", "eXample.com", nil, true},
		{"same port", "http://example.com:8080", "example.com:8080", nil, true},
		{"default port in host", "http://example.com", "example.com:80", nil, true},
		{"default port in origin", "https://example.com:443", "example.com", nil, true},
		{"default port of the other scheme", "https://example.com", "example.com:80", nil, false},
		{"other port", "http://example.com:8080", "example.com:8081", nil, false},
		{"port in origin only", "http://example.com:8080", "example.com", nil, false},
		{"port in host only", "http://example.com", "example.com:8080", nil, false},
		{"same IPv6", "http://[::1]:8080", "[::1]:8080", nil, true},
		{"same IPv6 at the default port", "http://[::1]", "[::1]:80", nil, true},
		{"other host", "http://evil.example", "example.com", nil, false},
		{"host is a suffix", "http://badexample.com", "example.com", nil, false},
		{"host is a prefix", "http://example.com.evil.example", "example.com", nil, false},
		{"subdomain", "http://a.example.com", "example.com", nil, false},
		{"no host", "http://example.com", "", nil, false},
		{"neither host", "http://", "", nil, false},
		{"port of no host", "http://:80", ":80", nil, false},
		{"other scheme", "file://example.com", "example.com", nil, false},
		{"null", "null", "null", nil, false},
		{"no scheme", "example.com", "example.com", nil, false},
		{"path", "http://example.com/", "example.com", nil, false},
		{"user", "http://example.com@evil.example", "evil.example", nil, false},
		{"list", "http://example.com http://evil.example", "example.com", nil, false},
		{"asterisk in host is no pattern", "http://a.example.com", "*.example.com", nil, false},

		{"any", "http://evil.example", "example.com", []string{"*"}, true},
		{"any, null", "null", "example.com", []string{"*"}, true},
		{"any, malformed", "?", "example.com", []string{"*"}, true},
		{"null listed", "null", "example.com", []string{"null"}, true},
		{"null listed, other origin", "http://null", "example.com", []string{"NULL"}, false},
		{"null, host listed", "null", "example.com", []string{"example.com"}, false},
		{"host", "http://a.example", "example.com", []string{"a.example"}, true},
		{"host over https", "https://a.example", "example.com", []string{"a.example"}, true},
		{"host, other case", "https://a.EXAMPLE", "example.com", []string{"A.example"}, true},
		{"host, other port", "http://a.example:8080", "example.com", []string{"a.example"}, false},
		{"host, other scheme", "ftp://a.example", "example.com", []string{"a.example"}, false},
		{"host, subdomain", "http://b.a.example", "example.com", []string{"a.example"}, false},
		{"second of two", "http://b.example", "example.com", []string{"a.example", "b.example"}, true},
		{"same origin besides patterns", "http://example.com", "example.com", []string{"a.example"}, true},
		{"host and port", "http://a.example:8080", "example.com", []string{"a.example:8080"}, true},
		{"host and port, no port", "http://a.example", "example.com", []string{"a.example:8080"}, false},
		{"host and default port", "https://a.example", "example.com", []string{"a.example:443"}, true},
		{"host and default port, other scheme", "http://a.example", "example.com", []string{"a.example:443"}, false},
		{"below", "http://b.a.example", "example.com", []string{"*.a.example"}, true},
		{"below, deeper", "http://c.b.a.example", "example.com", []string{"*.a.example"}, true},
		{"below, other case", "http://b.A.example", "example.com", []string{"*.a.Example"}, true},
		{"below, itself", "http://a.example", "example.com", []string{"*.a.example"}, false},
		{"below, only a suffix", "http://xa.example", "example.com", []string{"*.a.example"}, false},
		{"below, empty label", "http://.a.example", "example.com", []string{"*.a.example"}, false},
		{"below, other port", "http://b.a.example:81", "example.com", []string{"*.a.example"}, false},
		{"below, port", "http://b.a.example:81", "example.com", []string{"*.a.example:81"}, true},
		{"below, scheme and port", "https://b.a.example:81", "example.com", []string{"https://*.a.example:81"}, true},
		{"scheme", "https://a.example", "example.com", []string{"https://a.example"}, true},
		{"scheme, other", "http://a.example", "example.com", []string{"https://a.example"}, false},
		{"scheme and port", "https://app.a.example:8443", "example.com", []string{"https://app.a.example:8443"}, true},
		{"scheme and default port", "https://a.example", "example.com", []string{"https://a.example:443"}, true},
		{"scheme of an extension", "chrome-extension://abcdef", "example.com", []string{"chrome-extension://abcdef"}, true},
		{"IPv6", "http://[::1]:81", "example.com", []string{"[::1]:81"}, true},
		{"malformed pattern", "http://a.example", "example.com", []string{"", "http://", "a.example/", "a*.example"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := handler.CheckOrigin(tt.origin, tt.host, tt.patterns); got != tt.want {
				t.Errorf("CheckOrigin(%q, %q, %q) = %v, want %v", tt.origin, tt.host, tt.patterns, got, tt.want)
			}
		})
	}
}

func TestOriginPatterns(t *testing.T) {
	tests := []struct {
		pattern string
		good    bool
	}{
		{"*", true}, {"null", true}, {"Null", true}, {"example.com", true}, {"*.example.com", true},
		{"example.com:8443", true}, {"https://*.example.com:8443", true}, {"localhost:3000", true},
		{"[::1]:3000", true}, {"http://127.0.0.1", true}, {"moz-extension://0a-1b", true},
		{"", false}, {"*.", false}, {"**", false}, {"*.*.com", false}, {"a.*.com", false}, {"*example.com", false},
		{"http://", false}, {"://a", false}, {"1http://a", false}, {"http://*", false}, {"http://a/", false},
		{"http://a?b", false}, {"u@a", false}, {"a b", false}, {"a:*", false}, {":80", false}, {"::1", false},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			err := handler.Policy{Origins: []string{tt.pattern}}.Check()
			if tt.good && err != nil || !tt.good && !errors.Is(err, handler.ErrBadOrigin) {
				t.Errorf("Check of origin pattern %q = %v, want good %v", tt.pattern, err, tt.good)
			}
		})
	}
}
