package frame

import "strconv"

// Opcode is the kind of a frame, RFC 6455 section 5.2.
type Opcode uint8

// The opcodes of RFC 6455 section 11.8. All others are reserved.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// String returns the opcode's name in RFC 6455 section 11.8, in lower case.
func (op Opcode) String() string {
	switch op {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "opcode " + strconv.Itoa(int(op))
}

// IsControl reports whether op is that of a control frame: close, ping, pong or
// a reserved one, RFC 6455 section 5.5.
func (op Opcode) IsControl() bool { return op&0x8 != 0 }

func (op Opcode) isReserved() bool {
	return op > Pong || op > Binary && op < Close
}
