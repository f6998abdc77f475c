package frame

import (
	"errors"
	"strings"
	"testing"
)

// agreed is what every response to an offer begins with.
const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

var negotiateTests = []struct {
	name   string
	own    int // WindowBits
	offers []string
	bits   uint8 // 0: declined
	want   string
}{
	{name: "no header"},
	{name: "plain", offers: []string{"permessage-deflate"}, bits: 15, want: agreed},
	{name: "gorilla", offers: []string{agreed}, bits: 15, want: agreed},
	{name: "Chrome", offers: []string{"permessage-deflate; client_max_window_bits"}, bits: 15, want: agreed},
	{name: "all parameters",
		offers: []string{"permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12"},
		bits:   10, want: agreed + "; server_max_window_bits=10; client_max_window_bits=12"},
	{name: "client bits of 15", offers: []string{"permessage-deflate; client_max_window_bits=15"}, bits: 15, want: agreed},
	{name: "smallest windows", offers: []string{"permessage-deflate; client_max_window_bits=8; server_max_window_bits=8"},
		bits: 8, want: agreed + "; server_max_window_bits=8; client_max_window_bits=8"},
	{name: "our window, not asked", own: 11, offers: []string{"permessage-deflate"}, bits: 11, want: agreed},
	{name: "our window is smaller", own: 11, offers: []string{"permessage-deflate; server_max_window_bits=13"},
		bits: 11, want: agreed + "; server_max_window_bits=11"},
	{name: "their window is smaller", own: 11, offers: []string{"permessage-deflate; server_max_window_bits=9"},
		bits: 9, want: agreed + "; server_max_window_bits=9"},
	{name: "quoted", offers: []string{`permessage-deflate; server_max_window_bits="10"`}, bits: 10, want: agreed + "; server_max_window_bits=10"},
	{name: "quoted pair", offers: []string{`permessage-deflate; server_max_window_bits="1\0"`}, bits: 10, want: agreed + "; server_max_window_bits=10"},
	{name: "spaces", offers: []string{" permessage-deflate\t;\tserver_max_window_bits = 10 "}, bits: 10, want: agreed + "; server_max_window_bits=10"},
	{name: "no spaces", offers: []string{"permessage-deflate;server_max_window_bits=10,x"}, bits: 10, want: agreed + "; server_max_window_bits=10"},
	{name: "empty elements", offers: []string{", ,permessage-deflate,, "}, bits: 15, want: agreed},
	{name: "first of two wins", offers: []string{"permessage-deflate; server_max_window_bits=9, permessage-deflate"},
		bits: 9, want: agreed + "; server_max_window_bits=9"},
	{name: "second of two", offers: []string{"permessage-deflate; server_max_window_bits=7, permessage-deflate"}, bits: 15, want: agreed},
	{name: "empty header before", offers: []string{"", "permessage-deflate"}, bits: 15, want: agreed},
	{name: "second header", offers: []string{"permessage-deflate; unknown", "permessage-deflate; server_max_window_bits=12"},
		bits: 12, want: agreed + "; server_max_window_bits=12"},
	{name: "among others", offers: []string{"x-webkit-deflate-frame, permessage-bzip2; level=9, permessage-deflate"}, bits: 15, want: agreed},

	{name: "others only", offers: []string{"x-webkit-deflate-frame"}},
	{name: "unknown parameter", offers: []string{"permessage-deflate; level=9"}},
	{name: "upper case", offers: []string{"Permessage-Deflate"}},
	{name: "server bits without a value", offers: []string{"permessage-deflate; server_max_window_bits"}},
	{name: "server bits of 7", offers: []string{"permessage-deflate; server_max_window_bits=7"}},
	{name: "server bits of 16", offers: []string{"permessage-deflate; server_max_window_bits=16"}},
	{name: "server bits with a zero before", offers: []string{"permessage-deflate; server_max_window_bits=010"}},
	{name: "server bits with a sign", offers: []string{"permessage-deflate; server_max_window_bits=+10"}},
	{name: "server bits in letters", offers: []string{"permessage-deflate; server_max_window_bits=ten"}},
	{name: "server bits beyond an int", offers: []string{"permessage-deflate; server_max_window_bits=99999999999999999999"}},
	{name: "client bits of 0", offers: []string{"permessage-deflate; client_max_window_bits=0"}},
	{name: "value where none belongs", offers: []string{"permessage-deflate; server_no_context_takeover=1"}},
	{name: "value where none belongs, client", offers: []string{"permessage-deflate; client_no_context_takeover=true"}},
	{name: "duplicate", offers: []string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}},
	{name: "duplicate client bits", offers: []string{"permessage-deflate; client_max_window_bits; client_max_window_bits"}},
	{name: "duplicate client bits, one with a value", offers: []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}},
	{name: "duplicate server bits", offers: []string{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"}},

	{name: "no name", offers: []string{"; server_max_window_bits=10"}},
	{name: "no value", offers: []string{"permessage-deflate; server_max_window_bits="}},
	{name: "no parameter", offers: []string{"permessage-deflate;"}},
	{name: "two names", offers: []string{"permessage-deflate permessage-deflate"}},
	{name: "empty quotes", offers: []string{`permessage-deflate; server_max_window_bits=""`}},
	{name: "quoted, and no token", offers: []string{`x; y="a b", permessage-deflate`}},
	{name: "open quotes", offers: []string{`permessage-deflate; server_max_window_bits="10`}},
	{name: "open quoted pair", offers: []string{`permessage-deflate; server_max_window_bits="10\`}},
	{name: "malformed later", offers: []string{"permessage-deflate", "=;"}},
	{name: "empty value", offers: []string{""}},
}

func TestNegotiateDeflate(t *testing.T) {
	for _, tt := range negotiateTests {
		t.Run(tt.name, func(t *testing.T) {
			o := DeflateOptions{Enabled: true, WindowBits: tt.own}
			d, got := NegotiateDeflate(o, tt.offers)
			if got != tt.want || d.windowBits != tt.bits || d.Enabled() != (tt.want != "") {
				t.Errorf("NegotiateDeflate(%q) = %+v, %q; want %d bits, %q", tt.offers, d, got, tt.bits, tt.want)
			}
			if d, got := NegotiateDeflate(DeflateOptions{}, tt.offers); d.Enabled() || got != "" {
				t.Errorf("NegotiateDeflate(%q), not enabled = %+v, %q", tt.offers, d, got)
			}
		})
	}
}

func TestAcceptDeflate(t *testing.T) {
	const accepted = "permessage-deflate; server_no_context_takeover"
	tests := []struct {
		name     string
		own      int // WindowBits
		off      bool
		response string
		bits     uint8 // 0: without compression
		err      error
	}{
		{name: "declined"},
		{name: "declined with spaces", response: "  "},
		{name: "accepted", response: accepted, bits: 15},
		{name: "both", response: accepted + "; client_no_context_takeover", bits: 15},
		{name: "server window, not asked for", response: accepted + "; server_max_window_bits=10", bits: 15},
		{name: "our window", response: accepted + "; client_max_window_bits=10", bits: 10},
		{name: "our window offered", own: 12, response: accepted, bits: 12},
		{name: "our window offered and lowered", own: 12, response: accepted + "; client_max_window_bits=9", bits: 9},
		{name: "our window offered and raised", own: 12, response: accepted + "; client_max_window_bits=13", err: ErrDeflateResponse},
		{name: "our window without a value", response: accepted + "; client_max_window_bits", err: ErrDeflateResponse},
		{name: "context takeover", response: "permessage-deflate", err: ErrDeflateResponse},
		{name: "unknown parameter", response: accepted + "; x", err: ErrDeflateResponse},
		{name: "duplicate", response: accepted + "; server_no_context_takeover", err: ErrDeflateResponse},
		{name: "another extension", response: "permessage-bzip2", err: ErrDeflateResponse},
		{name: "one more extension", response: accepted + ", x", err: ErrDeflateResponse},
		{name: "twice", response: accepted + ", " + accepted, err: ErrDeflateResponse},
		{name: "malformed", response: accepted + ";", err: ErrDeflateResponse},
		{name: "not offered", off: true, response: accepted, err: ErrDeflateResponse},
		{name: "not offered, declined", off: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := DeflateOptions{Enabled: !tt.off, WindowBits: tt.own}
			d, err := AcceptDeflate(o, tt.response)
			if d.windowBits != tt.bits || !errors.Is(err, tt.err) {
				t.Errorf("AcceptDeflate(%q) = %+v, %v; want %d bits, %v", tt.response, d, err, tt.bits, tt.err)
			}
		})
	}
}

func TestOfferDeflate(t *testing.T) {
	if got := OfferDeflate(DeflateOptions{}); got != "" {
		t.Errorf("OfferDeflate, not enabled = %q", got)
	}
	for client := minWindowBits; client <= maxWindowBits; client++ {
		for server := minWindowBits; server <= maxWindowBits; server++ {
			o := DeflateOptions{Enabled: true, WindowBits: client}
			offer := OfferDeflate(o)
			s, response := NegotiateDeflate(DeflateOptions{Enabled: true, WindowBits: server}, []string{offer})
			c, err := AcceptDeflate(o, response)
			if int(s.windowBits) != server || int(c.windowBits) != client || err != nil {
				t.Errorf("offer %q, response %q: server %+v, client %+v, %v", offer, response, s, c, err)
			}
		}
	}
}

// FuzzNegotiateDeflate: whatever is answered fits an offer, and it does not matter
// whether the offers come in one header or in several.
func FuzzNegotiateDeflate(f *testing.F) {
	f.Add("permessage-deflate", "x", 0)
	f.Add("permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=10", 9)
	f.Add(`permessage-deflate; server_max_window_bits="1\0"; client_no_context_takeover`, "", 15)
	f.Add("permessage-deflate; server_max_window_bits=10; client_max_window_bits=8", ",,;=", 12)
	f.Fuzz(func(t *testing.T, one, two string, bits int) {
		o := DeflateOptions{Enabled: true, WindowBits: bits}
		d, response := NegotiateDeflate(o, []string{one, two})
		if d2, again := NegotiateDeflate(o, []string{one + "," + two}); again != response || d2 != d {
			if !strings.Contains(one, `"`) { // an open quote would take in the comma
				t.Errorf("%q and %q: %q; joined: %q", one, two, response, again)
			}
		}
		if d.Enabled() != (response != "") {
			t.Fatalf("%+v and %q", d, response)
		}
		if response == "" {
			return
		}
		list, ok := parseExtensions(response)
		if !ok || len(list) != 1 {
			t.Fatalf("response %q is malformed", response)
		}
		p, ok := parseDeflateParams(list[0], false)
		if !ok || !p.serverNoContext || p.serverBits != 0 && p.serverBits != int(d.windowBits) || int(d.windowBits) > o.windowBits() {
			t.Errorf("response %q to %q and %q for %+v", response, one, two, d)
		}
		if p.serverBits != 0 && !strings.Contains(one+two, serverMaxWindowBits) || p.clientBits != 0 && !strings.Contains(one+two, clientMaxWindowBits) {
			t.Errorf("response %q answers what was not offered: %q and %q", response, one, two)
		}
	})
}
