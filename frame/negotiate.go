package frame

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

const (
	extensionName           = "permessage-deflate"
	serverNoContextTakeover = "server_no_context_takeover"
	clientNoContextTakeover = "client_no_context_takeover"
	serverMaxWindowBits     = "server_max_window_bits"
	clientMaxWindowBits     = "client_max_window_bits"
)

// ErrDeflateResponse is returned by AcceptDeflate for a response that does not
// fit the offer. The client must then fail the connection, RFC 6455 section 9.1.
var ErrDeflateResponse = errors.New("frame: response to the permessage-deflate offer not acceptable")

// NegotiateDeflate chooses, for a server, among the offers of a client: every
// Sec-WebSocket-Extensions value as received, in order. The first acceptable one
// wins; response is the value of the header to answer with. An offer with a
// parameter that is unknown, twice there or of a wrong value is declined, other
// extensions are passed over. If nothing is acceptable, or a value is not
// well-formed, the result is zero and "".
//
// Neither side keeps a window from one message to the next: the response always
// says so, RFC 7692 section 7.1.1. server_max_window_bits is honoured down to 8.
func NegotiateDeflate(o DeflateOptions, offers []string) (d Deflate, response string) {
	if !o.Enabled {
		return Deflate{}, ""
	}
	var all []extension
	for _, value := range offers {
		list, ok := parseExtensions(value)
		if !ok {
			return Deflate{}, ""
		}
		all = append(all, list...)
	}
	for _, e := range all {
		if p, ok := parseDeflateParams(e, true); ok {
			return p.answer(o)
		}
	}
	return Deflate{}, ""
}

// OfferDeflate returns the Sec-WebSocket-Extensions value a client offers; "" if o
// does not enable the extension.
func OfferDeflate(o DeflateOptions) string {
	if !o.Enabled {
		return ""
	}
	offer := extensionName + "; " + serverNoContextTakeover + "; " + clientNoContextTakeover + "; " + clientMaxWindowBits
	if bits := o.windowBits(); bits < maxWindowBits {
		offer += "=" + strconv.Itoa(bits)
	}
	return offer
}

// AcceptDeflate checks a server's response to OfferDeflate(o): its
// Sec-WebSocket-Extensions values joined by commas. "" is a server that declined.
// The error is ErrDeflateResponse.
func AcceptDeflate(o DeflateOptions, response string) (Deflate, error) {
	if strings.Trim(response, " \t") == "" {
		return Deflate{}, nil
	}
	list, ok := parseExtensions(response)
	if !ok || !o.Enabled || len(list) != 1 {
		return Deflate{}, ErrDeflateResponse
	}
	p, ok := parseDeflateParams(list[0], false)
	bits := o.windowBits()
	// RFC 7692 sections 7.1.1.1 and 7.1.2.2: the server accepts our offer by
	// repeating the one parameter and, if it likes, by lowering the other.
	if !ok || !p.serverNoContext || p.clientBits > bits {
		return Deflate{}, ErrDeflateResponse
	}
	return Deflate{windowBits: uint8(cmp.Or(p.clientBits, bits))}, nil
}

// deflateParams are the parameters of RFC 7692 section 7.1; bits are 0 if absent.
type deflateParams struct {
	serverNoContext bool
	serverBits      int
	clientBits      int // maxWindowBits if without a value
}

// parseDeflateParams reports false if e is not a permessage-deflate offer (or
// response) that RFC 7692 section 7.1 lets one accept.
func parseDeflateParams(e extension, offer bool) (p deflateParams, ok bool) {
	if e.name != extensionName {
		return p, false
	}
	for i, param := range e.params {
		// The loop ends at the first unknown or repeated name, so i is at most 4.
		if slices.ContainsFunc(e.params[:i], func(q extensionParam) bool { return q.name == param.name }) {
			return p, false
		}
		switch param.name {
		case serverNoContextTakeover:
			p.serverNoContext, ok = true, !param.hasValue
		case clientNoContextTakeover:
			ok = !param.hasValue // nothing to remember: we never rely on the client's window
		case serverMaxWindowBits:
			p.serverBits, ok = parseWindowBits(param.value)
		case clientMaxWindowBits:
			if offer && !param.hasValue {
				p.clientBits, ok = maxWindowBits, true
			} else {
				p.clientBits, ok = parseWindowBits(param.value)
			}
		default:
			ok = false
		}
		if !ok {
			return p, false
		}
	}
	return p, true
}

// parseWindowBits wants 8 to 15 in decimal without leading zeros.
func parseWindowBits(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= minWindowBits && n <= maxWindowBits && strconv.Itoa(n) == s
}

// answer accepts an offer.
func (p deflateParams) answer(o DeflateOptions) (Deflate, string) {
	bits := o.windowBits()
	response := extensionName + "; " + serverNoContextTakeover + "; " + clientNoContextTakeover
	if p.serverBits != 0 {
		bits = min(bits, p.serverBits)
		response += "; " + serverMaxWindowBits + "=" + strconv.Itoa(bits)
	}
	// RFC 7692 section 7.1.2.2: the parameter answers one in the offer.
	if p.clientBits != 0 && p.clientBits < maxWindowBits {
		response += "; " + clientMaxWindowBits + "=" + strconv.Itoa(p.clientBits)
	}
	return Deflate{windowBits: uint8(bits)}, response
}
