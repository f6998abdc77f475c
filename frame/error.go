package frame

import "strconv"

// ProtocolError is a violation of RFC 6455 or RFC 7692, or of a bound of ours,
// by the peer. The connection must be failed with Code.
type ProtocolError struct {
	Code CloseCode // close code to send: 1002, 1007 or 1009
	Rule string    // what was violated; for the log, not for the peer
}

// Error returns the rule and the code.
func (e *ProtocolError) Error() string {
	return "frame: " + e.Rule + " (" + strconv.Itoa(int(e.Code)) + ")"
}

// Violations found while decoding. They are fixed values, so that a peer that
// misbehaves costs no allocation.
var (
	errReservedBits        = &ProtocolError{CloseProtocolError, "reserved bit set"}
	errReservedOpcode      = &ProtocolError{CloseProtocolError, "reserved opcode"}
	errFragmentedControl   = &ProtocolError{CloseProtocolError, "fragmented control frame"}
	errLongControl         = &ProtocolError{CloseProtocolError, "control frame longer than 125 bytes"}
	errStrayContinuation   = &ProtocolError{CloseProtocolError, "continuation without a message to continue"}
	errMissingContinuation = &ProtocolError{CloseProtocolError, "new message inside a fragmented one"}
	errUnmasked            = &ProtocolError{CloseProtocolError, "unmasked client frame"}
	errMasked              = &ProtocolError{CloseProtocolError, "masked server frame"}
	errLengthTopBit        = &ProtocolError{CloseProtocolError, "most significant bit of a 64-bit length set"}
	errLengthNotMinimal    = &ProtocolError{CloseProtocolError, "payload length not in its shortest form"}
	errShortClose          = &ProtocolError{CloseProtocolError, "close payload of one byte"}
	errCloseCode           = &ProtocolError{CloseProtocolError, "close code that must not be sent"}

	errCloseReason = &ProtocolError{CloseInvalidPayload, "close reason is not UTF-8"}
	errText        = &ProtocolError{CloseInvalidPayload, "text is not UTF-8"}
	errDeflateData = &ProtocolError{CloseInvalidPayload, "corrupt DEFLATE data"}

	errTooBig       = &ProtocolError{CloseMessageTooBig, "message too big"}
	errInflateRatio = &ProtocolError{CloseMessageTooBig, "compressed message inflates too much"}
)
