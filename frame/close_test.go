package frame

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCloseCodeValid(t *testing.T) {
	valid := func(c int) bool {
		return c >= 1000 && c <= 1003 || c >= 1007 && c <= 1014 || c >= 3000 && c <= 4999
	}
	for c := range 1 << 16 {
		if got := CloseCode(c).Valid(); got != valid(c) {
			t.Errorf("CloseCode(%d).Valid() = %v", c, got)
		}
	}
	if got := CloseGoingAway.String(); got != "1001 going away" {
		t.Errorf("CloseGoingAway.String() = %q", got)
	}
	if got := CloseCode(4000).String(); got != "4000" {
		t.Errorf("CloseCode(4000).String() = %q", got)
	}
}

func TestAppendClosePayload(t *testing.T) {
	x := strings.Repeat("x", 200)
	tests := []struct {
		name   string
		code   CloseCode
		reason string
		want   string
	}{
		{name: "none", want: ""},
		{name: "no status", code: CloseNoStatus, reason: "lost", want: ""},
		{name: "code alone", code: CloseNormal, want: "\x03\xe8"},
		{name: "reason", code: CloseGoingAway, reason: "bye", want: "\x03\xe9bye"},
		{name: "123 bytes", code: CloseNormal, reason: x[:123], want: "\x03\xe8" + x[:123]},
		{name: "124 bytes", code: CloseNormal, reason: x[:124], want: "\x03\xe8" + x[:123]},
		{name: "rune that fits", code: CloseNormal, reason: x[:119] + "😀x", want: "\x03\xe8" + x[:119] + "😀"},
		{name: "rune over the end", code: CloseNormal, reason: x[:120] + "😀x", want: "\x03\xe8" + x[:120]},
		{name: "runes alone", code: CloseNormal, reason: strings.Repeat("€", 50), want: "\x03\xe8" + strings.Repeat("€", 41)},
		{name: "not UTF-8", code: CloseNormal, reason: "a\xff\xfeb", want: "\x03\xe8a\uFFFDb"},
		{name: "not UTF-8, longer once replaced", code: CloseNormal, reason: x[:122] + "\xff", want: "\x03\xe8" + x[:122]},
		{name: "not UTF-8, shorter once replaced", code: CloseNormal, reason: strings.Repeat("\xff", 1000) + "end", want: "\x03\xe8\uFFFDend"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendClosePayload([]byte("dst"), tt.code, tt.reason)
			if string(got) != "dst"+tt.want {
				t.Errorf("AppendClosePayload(%v, %q) = %q; want %q", tt.code, tt.reason, got, "dst"+tt.want)
			}
			if _, _, err := ParseClosePayload(got[3:]); err != nil {
				t.Errorf("ParseClosePayload(%q) = %v", got[3:], err)
			}
		})
	}
}

// ParseClosePayload and a close frame in every cut must agree.
func TestParseClosePayload(t *testing.T) {
	tests := []struct {
		name    string
		payload string
		code    CloseCode
		reason  string
		err     error
	}{
		{name: "empty", code: CloseNoStatus},
		{name: "one byte", payload: "\x03", err: errShortClose},
		{name: "code", payload: "\x03\xe8", code: CloseNormal},
		{name: "reason", payload: "\x0b\xb8see you 😀", code: 3000, reason: "see you 😀"},
		{name: "longest", payload: "\x03\xe8" + strings.Repeat("x", 123), code: CloseNormal, reason: strings.Repeat("x", 123)},
		{name: "code 999", payload: "\x03\xe7", err: errCloseCode},
		{name: "code 1004", payload: "\x03\xec", err: errCloseCode},
		{name: "code 1005", payload: "\x03\xedx", err: errCloseCode},
		{name: "code 1006", payload: "\x03\xee", err: errCloseCode},
		{name: "code 1014", payload: "\x03\xf6", code: CloseBadGateway},
		{name: "code 1015", payload: "\x03\xf7", err: errCloseCode},
		{name: "code 2999", payload: "\x0b\xb7", err: errCloseCode},
		{name: "code 4999", payload: "\x13\x87", code: 4999},
		{name: "code 5000", payload: "\x13\x88", err: errCloseCode},
		{name: "bad reason", payload: "\x03\xe8bad \xff!", err: errCloseReason},
		{name: "cut reason", payload: "\x03\xe8cut \xf0\x9f", err: errCloseReason},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, reason, err := ParseClosePayload([]byte(tt.payload))
			if code != tt.code || reason != tt.reason || !errors.Is(err, tt.err) {
				t.Errorf("ParseClosePayload(%q) = %v, %q, %v; want %v, %q, %v", tt.payload, code, reason, err, tt.code, tt.reason, tt.err)
			}
			stream := masked(true, Close, tt.payload)
			for _, pieces := range [][][]byte{{stream}, bytewise(stream)} {
				d := NewDecoder(&DecoderOptions{}, false)
				got, _, err := decodeAll(t, &d, pieces...)
				if !errors.Is(err, tt.err) || err == nil && (len(got) != 1 || got[0].payload != tt.payload) {
					t.Errorf("Decode(close %q) = %+v, %v; want %v", tt.payload, got, err, tt.err)
				}
			}
		})
	}
}

func TestBadCloseFailsAtOnce(t *testing.T) {
	for _, payload := range []string{"\x03\xed", "\x03\xe8ok\xff"} {
		stream := masked(true, Close, payload+" and so on")
		stream = bytes.Clone(stream[:len(stream)-len(" and so on")])
		d := NewDecoder(&DecoderOptions{}, false)
		if _, fed, err := decodeAll(t, &d, bytewise(stream)...); err == nil || fed != len(stream) {
			t.Errorf("Decode(close %q...) = %v after %d bytes; want an error after %d", payload, err, fed, len(stream))
		}
	}
}
