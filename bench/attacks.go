package bench

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

const (
	// mostHostileBytes is what one attacker sends at most, and what its bomb inflates to: well
	// above what a server should take, but not the memory of its machine.
	mostHostileBytes = 64 << 20

	announcedBytes = 1 << 40 // by a message that is too large
	halfBytes      = 500     // of a frame of twice that
	pingsPerWrite  = 128
	betweenBytes   = 5 * time.Millisecond
	bombBlockBytes = 1 << 20 // of zeros, compressed
)

// An attack is what an attacker does once its connection is open.
type attack struct {
	name  string
	about string
	// send does it, and returns when it is done, or an error once the server, or the end of
	// the time, keeps it from going on.
	send func(a *attacker) error

	handshake bool // the attack is the opening handshake
	deflate   bool // it needs permessage-deflate
	deaf      bool // nothing is read meanwhile
}

// attacks are all there are, in the order in which they are done.
var attacks = []attack{
	{name: "slow-reader", about: "messages, and replies that are not read", send: sendUnread, deaf: true},
	{name: "half-frame", about: "half a frame, and silence", send: sendHalf},
	{name: "byte-by-byte", about: "messages in packets of a byte", send: sendBytes},
	{name: "ping-flood", about: "pings without end", send: sendPings},
	{name: "oversize", about: "a message of a terabyte", send: sendOversize},
	{name: "bomb", about: "a compressed message that is a thousand times larger", send: sendBomb, deflate: true},
	{name: "bad-utf8", about: "a text message that is no UTF-8", send: sendBadText},
	{name: "unmasked", about: "a frame without masking key", send: sendUnmasked},
	{name: "slowloris", about: "an opening handshake without end", send: sendHandshake, handshake: true},
}

// errEnough: an attacker has sent mostHostileBytes.
var errEnough = errors.New("bench: enough bytes sent")

// zeros are a payload.
var zeros [64 << 10]byte

// The first byte of a frame: FIN, RSV1 to RSV3, and the opcode (RFC 6455 section 5.2).
const (
	finText       = 0x81
	finBinary     = 0x82
	finCompressed = 0xc2
	finClose      = 0x88
	finPing       = 0x89
)

// frameHeader is the header of a masked frame whose masking key is zero, so that its
// payload is what it is.
func frameHeader(first byte, payloadBytes uint64) []byte {
	const masked = 0x80
	h := []byte{first}
	switch {
	case payloadBytes < 126:
		h = append(h, masked|byte(payloadBytes))
	case payloadBytes < 1<<16:
		h = binary.BigEndian.AppendUint16(append(h, masked|126), uint16(payloadBytes))
	default:
		h = binary.BigEndian.AppendUint64(append(h, masked|127), payloadBytes)
	}
	return append(h, 0, 0, 0, 0)
}

func frameOf(first byte, payload []byte) []byte {
	return append(frameHeader(first, uint64(len(payload))), payload...)
}

func sendUnread(a *attacker) error {
	message := frameOf(finBinary, zeros[:])
	for {
		if err := a.write(message); err != nil {
			return err
		}
	}
}

func sendHalf(a *attacker) error {
	return a.write(append(frameHeader(finBinary, 2*halfBytes), zeros[:halfBytes]...))
}

func sendBytes(a *attacker) error {
	return a.drip(frameOf(finText, []byte("one byte at a time")))
}

func sendPings(a *attacker) error {
	pings := bytes.Repeat(frameOf(finPing, []byte("ping")), pingsPerWrite)
	for {
		if err := a.write(pings); err != nil {
			return err
		}
	}
}

func sendOversize(a *attacker) error {
	if err := a.write(frameHeader(finBinary, announcedBytes)); err != nil {
		return err
	}
	for {
		if err := a.write(zeros[:]); err != nil {
			return err
		}
	}
}

func sendBomb(a *attacker) error { return a.write(bomb()) }

// bomb is a compressed message of mostHostileBytes.
var bomb = sync.OnceValue(func() []byte {
	var block bytes.Buffer
	w, _ := flate.NewWriter(&block, flate.BestCompression) // fails for other levels
	for range bombBlockBytes / len(zeros) {
		_, _ = w.Write(zeros[:]) // a Buffer takes everything
	}
	_ = w.Flush()
	payload := bytes.Repeat(block.Bytes(), mostHostileBytes/bombBlockBytes)
	const tail = 4 // RFC 7692 section 7.2.1: the empty block of the flush is left out
	return frameOf(finCompressed, payload[:len(payload)-tail])
})

func sendBadText(a *attacker) error { return a.write(frameOf(finText, []byte("\xf0\x28\x8c\x28"))) }

func sendUnmasked(a *attacker) error { return a.write([]byte{finText, 5, 'h', 'e', 'l', 'l', 'o'}) }

func sendHandshake(a *attacker) error {
	request := a.request()
	if err := a.write(request[:len(request)-len("\r\n")]); err != nil {
		return err
	}
	return a.drip([]byte("X-More: and more\r\n"))
}
