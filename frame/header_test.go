package frame

import (
	"errors"
	"strings"
	"testing"
)

var headerTests = []struct {
	name    string
	role    Role
	deflate bool
	input   []byte
	want    header
}{
	{
		name: "masked text, 5 bytes",
		//          fin rsv op   mask length  masking key
		input: bits("1  000 0001  1  0000101  00110111 11111010 00100001 00111101"),
		want:  header{fin: true, op: Text, masked: true, key: testKey, length: 5},
	},
	{
		name: "unmasked binary, empty", role: Client,
		input: bits("1 000 0010 0 0000000"),
		want:  header{fin: true, op: Binary},
	},
	{
		name: "first fragment", role: Client,
		input: bits("0 000 0001 0 1111101"),
		want:  header{op: Text, length: 125},
	},
	{
		name: "compressed", role: Client, deflate: true,
		input: bits("1 100 0010 0 0000111"),
		want:  header{fin: true, rsv1: true, op: Binary, length: 7},
	},
	{
		name: "16-bit length, smallest", role: Client,
		input: bits("1 000 0010 0 1111110 00000000 01111110"),
		want:  header{fin: true, op: Binary, length: 126},
	},
	{
		name: "16-bit length, largest", role: Client,
		input: bits("1 000 0010 0 1111110 11111111 11111111"),
		want:  header{fin: true, op: Binary, length: 65535},
	},
	{
		name: "64-bit length, smallest, masked",
		input: bits("1 000 0010 1 1111111", strings.Repeat("00000000", 5), "00000001 00000000 00000000",
			"00110111 11111010 00100001 00111101"),
		want: header{fin: true, op: Binary, masked: true, key: testKey, length: 65536},
	},
	{
		name: "64-bit length, the limit", role: Client,
		input: bits("1 000 0010 0 1111111", strings.Repeat("00000000", 5), "00010000 00000000 00000000"),
		want:  header{fin: true, op: Binary, length: 1 << 20},
	},
	{
		name: "ping, 125 bytes", role: Client,
		input: bits("1 000 1001 0 1111101"),
		want:  header{fin: true, op: Ping, length: 125},
	},
	{
		name: "pong, empty", role: Client,
		input: bits("1 000 1010 0 0000000"),
		want:  header{fin: true, op: Pong},
	},
	{
		name: "close, 2 bytes", role: Client,
		input: bits("1 000 1000 0 0000010"),
		want:  header{fin: true, op: Close, length: 2},
	},
}

func TestParseHeader(t *testing.T) {
	for _, tt := range headerTests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDecoder(&DecoderOptions{Role: tt.role}, tt.deflate)
			for n := range tt.input {
				if got, size, err := d.parseHeader(tt.input[:n]); size != 0 || err != nil {
					t.Errorf("parseHeader(% x) = %+v, %d, %v; want it to need more", tt.input[:n], got, size, err)
				}
			}
			more := append(tt.input[:len(tt.input):len(tt.input)], 0xff)
			got, size, err := d.parseHeader(more)
			if got != tt.want || size != len(tt.input) || err != nil {
				t.Errorf("parseHeader(% x) = %+v, %d, %v; want %+v, %d", more, got, size, err, tt.want, len(tt.input))
			}
		})
	}
}

// Each input ends with the byte that shows the violation.
func TestHeaderViolations(t *testing.T) {
	zeros := strings.Repeat("00000000", 8)
	begun := masked(false, Text, "begun")
	tests := []struct {
		name    string
		role    Role
		deflate bool
		before  []byte
		input   []byte
		want    error
	}{
		{name: "RSV1", input: bits("1 100 0001"), want: errReservedBits},
		{name: "RSV2", input: bits("1 010 0001"), want: errReservedBits},
		{name: "RSV3", input: bits("1 001 0001"), want: errReservedBits},
		{name: "RSV2 with deflate", deflate: true, input: bits("1 110 0001"), want: errReservedBits},
		{name: "RSV1 on ping", deflate: true, input: bits("1 100 1001"), want: errReservedBits},
		{name: "RSV1 on close", deflate: true, input: bits("1 100 1000"), want: errReservedBits},
		{name: "RSV1 on continuation", deflate: true, before: begun, input: bits("1 100 0000"), want: errReservedBits},
		{name: "opcode 3", input: bits("1 000 0011"), want: errReservedOpcode},
		{name: "opcode 7", input: bits("1 000 0111"), want: errReservedOpcode},
		{name: "opcode 11", input: bits("1 000 1011"), want: errReservedOpcode},
		{name: "opcode 15", input: bits("1 000 1111"), want: errReservedOpcode},
		{name: "fragmented ping", input: bits("0 000 1001"), want: errFragmentedControl},
		{name: "fragmented close", input: bits("0 000 1000"), want: errFragmentedControl},
		{name: "stray continuation", input: bits("1 000 0000"), want: errStrayContinuation},
		{name: "stray continuation, not final", input: bits("0 000 0000"), want: errStrayContinuation},
		{name: "continuation after the end", before: masked(true, Text, "x"), input: bits("1 000 0000"), want: errStrayContinuation},
		{name: "text within a message", before: begun, input: bits("1 000 0001"), want: errMissingContinuation},
		{name: "binary within a message", before: begun, input: bits("0 000 0010"), want: errMissingContinuation},
		{name: "text within a message after a ping", before: append(begun[:len(begun):len(begun)], masked(true, Ping, "")...),
			input: bits("1 000 0001"), want: errMissingContinuation},
		{name: "unmasked, to a server", input: bits("1 000 0001 0 0000001"), want: errUnmasked},
		{name: "masked, to a client", role: Client, input: bits("1 000 0001 1 0000001"), want: errMasked},
		{name: "ping with a 16-bit length", input: bits("1 000 1001 1 1111110"), want: errLongControl},
		{name: "pong with a 64-bit length", input: bits("1 000 1010 1 1111111"), want: errLongControl},
		{name: "close of 1 byte", input: bits("1 000 1000 1 0000001"), want: errShortClose},
		{name: "16-bit length of 125", input: bits("1 000 0010 1 1111110 00000000 01111101"), want: errLengthNotMinimal},
		{name: "16-bit length of 0", input: bits("1 000 0010 1 1111110 00000000 00000000"), want: errLengthNotMinimal},
		{name: "64-bit length of 0", input: bits("1 000 0010 1 1111111", zeros), want: errLengthNotMinimal},
		{name: "64-bit length of 65535", input: bits("1 000 0010 1 1111111", zeros[16:], "11111111 11111111"), want: errLengthNotMinimal},
		{name: "64-bit length with the top bit", input: bits("1 000 0010 1 1111111 10000000"), want: errLengthTopBit},
		{name: "one byte over the limit", input: bits("1 000 0010 1 1111111", zeros[24:], "00010000 00000000 00000001"), want: errTooBig},
		{name: "largest length there is", input: bits("1 000 0010 1 1111111 01111111", strings.Repeat("11111111", 7)), want: errTooBig},
		{name: "limit over two fragments", before: begun,
			input: bits("1 000 0000 1 1111111", zeros[24:], "00001111 11111111 11111100"), want: errTooBig},
		{name: "limit of compressed bytes", deflate: true,
			input: bits("1 100 0010 1 1111111", zeros[24:], "00010010 00000000 01000001"), want: errTooBig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, pieces := range [][][]byte{{tt.before, tt.input}, append([][]byte{tt.before}, bytewise(tt.input)...)} {
				d := NewDecoder(&DecoderOptions{Role: tt.role}, tt.deflate)
				_, fed, err := decodeAll(t, &d, pieces...)
				if !errors.Is(err, tt.want) || fed != len(tt.before)+len(tt.input) {
					t.Errorf("Decode(% x) in %d pieces = %v after %d bytes; want %v after %d",
						tt.input, len(pieces), err, fed, tt.want, len(tt.before)+len(tt.input))
				}
			}
			d := NewDecoder(&DecoderOptions{Role: tt.role}, tt.deflate)
			if _, _, err := decodeAll(t, &d, tt.before, tt.input[:len(tt.input)-1]); err != nil {
				t.Errorf("Decode without the last byte = %v; want no error yet", err)
			}
		})
	}
}
