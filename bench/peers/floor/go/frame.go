package main

import "encoding/binary"

// maxPayloadBytes is the largest payload that is read.
const maxPayloadBytes = 16 << 20

// parse returns the size of the client frame at the start of p, header
// included, and where its payload begins; size is 0 while the header is cut. A
// frame that is unmasked or too long is an error.
func parse(p []byte) (size, payload int, err error) {
	if len(p) < 2 {
		return 0, 0, nil
	}
	if p[1]&0x80 == 0 {
		return 0, 0, errEnd
	}
	length, payload := uint64(p[1]&0x7f), 6
	switch length {
	case 126:
		payload = 8
	case 127:
		payload = 14
	}
	if len(p) < payload {
		return 0, 0, nil
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		length = binary.BigEndian.Uint64(p[2:])
	}
	if length > maxPayloadBytes {
		return 0, 0, errEnd
	}
	return payload + int(length), payload, nil
}

func headerSize(length int) int {
	switch {
	case length < 126:
		return 2
	case length <= 0xffff:
		return 4
	}
	return 10
}

// putHeader writes the header of a server frame to p and returns its size.
func putHeader(p []byte, head byte, length int) int {
	p[0] = head
	size := headerSize(length)
	switch size {
	case 2:
		p[1] = byte(length)
	case 4:
		p[1] = 126
		binary.BigEndian.PutUint16(p[2:], uint16(length))
	case 10:
		p[1] = 127
		binary.BigEndian.PutUint64(p[2:], uint64(length))
	}
	return size
}

// unmask takes the masking key off p, in place.
func unmask(p []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= key[i%4]
	}
}
