package frame

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"
)

// CloseCode is the status code of a close frame, RFC 6455 section 7.4.
type CloseCode uint16

// The close codes of RFC 6455 section 7.4.1 and of the IANA registry it opened.
const (
	CloseNormal             CloseCode = 1000
	CloseGoingAway          CloseCode = 1001
	CloseProtocolError      CloseCode = 1002
	CloseUnsupportedData    CloseCode = 1003
	CloseNoStatus           CloseCode = 1005 // never sent: a close frame without a code was received
	CloseAbnormal           CloseCode = 1006 // never sent: the connection ended without a close frame
	CloseInvalidPayload     CloseCode = 1007
	ClosePolicyViolation    CloseCode = 1008
	CloseMessageTooBig      CloseCode = 1009
	CloseMandatoryExtension CloseCode = 1010
	CloseInternalError      CloseCode = 1011
	CloseServiceRestart     CloseCode = 1012
	CloseTryAgainLater      CloseCode = 1013
	CloseBadGateway         CloseCode = 1014
)

// Valid reports whether c may appear in a close frame: 1000-1003 and 1007-1014
// are registered for that, 3000-4999 are for libraries and applications.
func (c CloseCode) Valid() bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}

var closeCodeNames = map[CloseCode]string{
	CloseNormal:             "normal closure",
	CloseGoingAway:          "going away",
	CloseProtocolError:      "protocol error",
	CloseUnsupportedData:    "unsupported data",
	CloseNoStatus:           "no status received",
	CloseAbnormal:           "abnormal closure",
	CloseInvalidPayload:     "invalid payload data",
	ClosePolicyViolation:    "policy violation",
	CloseMessageTooBig:      "message too big",
	CloseMandatoryExtension: "mandatory extension",
	CloseInternalError:      "internal error",
	CloseServiceRestart:     "service restart",
	CloseTryAgainLater:      "try again later",
	CloseBadGateway:         "bad gateway",
}

// String returns the number and, if registered, the meaning: "1001 going away".
func (c CloseCode) String() string {
	s := strconv.Itoa(int(c))
	if name := closeCodeNames[c]; name != "" {
		s += " " + name
	}
	return s
}

// RFC 6455 section 5.5: a control frame carries at most 125 bytes, and two of a
// close frame's are the code.
const (
	maxControlPayload = 125
	maxCloseReason    = maxControlPayload - 2
)

// AppendClosePayload appends the payload of a close frame to dst and returns it.
// A reason longer than 123 bytes is cut at a rune border, and what is not UTF-8
// in it is replaced by U+FFFD. Codes 0 and CloseNoStatus append nothing; of other
// codes the caller has made sure that they are Valid.
func AppendClosePayload(dst []byte, code CloseCode, reason string) []byte {
	if code == 0 || code == CloseNoStatus {
		return dst
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD") // may lengthen it, so before the cut
	if len(reason) > maxCloseReason {
		end := maxCloseReason
		for !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// ParseClosePayload returns the code and reason of a close frame's payload;
// CloseNoStatus for an empty one. A payload of one byte, a code that is not Valid
// and a reason that is not UTF-8 are each a *ProtocolError. The reason is a copy.
// Decoder has made these checks already when it yields a close frame.
func ParseClosePayload(p []byte) (CloseCode, string, error) {
	if err := checkClosePayload(p, true); err != nil {
		return 0, "", err
	}
	if len(p) == 0 {
		return CloseNoStatus, "", nil
	}
	return CloseCode(binary.BigEndian.Uint16(p)), string(p[2:]), nil
}

// checkClosePayload checks p, or what has arrived of it so far if it is not whole.
func checkClosePayload(p []byte, whole bool) error {
	switch {
	case len(p) == 0:
		return nil
	case len(p) == 1 && whole:
		return errShortClose
	case len(p) == 1:
		return nil
	case !CloseCode(binary.BigEndian.Uint16(p)).Valid():
		return errCloseCode
	}
	reason := p[2:]
	if n, ok := validUTF8Prefix(reason); !ok || whole && n < len(reason) {
		return errCloseReason
	}
	return nil
}

// validUTF8Prefix returns how much of p is whole valid UTF-8. It reports false if
// no bytes to come could make p valid; otherwise at most three bytes, the
// beginning of a rune, are left over.
func validUTF8Prefix(p []byte) (n int, ok bool) {
	n = len(p)
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if b := p[len(p)-i:]; utf8.RuneStart(b[0]) {
			// FullRune is true of a sequence that is already known to be wrong.
			if !utf8.FullRune(b) {
				n -= i
			}
			break
		}
	}
	return n, utf8.Valid(p[:n])
}
