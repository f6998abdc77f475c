package main

import "encoding/binary"

// lineReader takes the frames of a server apart whose protocol puts one or more
// lines into a message: what is left is the lines, each with its end.
type lineReader struct {
	header [10]byte
	have   int    // bytes of the header
	rest   uint64 // bytes of the payload that are still to come
}

// appendLines appends what the frames in p hold, with a newline behind each. Frames
// may be cut anywhere; they go on in the next call.
func (l *lineReader) appendLines(lines, p []byte) []byte {
	for len(p) > 0 {
		if l.rest == 0 {
			l.header[l.have] = p[0]
			l.have++
			p = p[1:]
			length, whole := l.length()
			if !whole {
				continue
			}
			l.have, l.rest = 0, length
			if length == 0 {
				lines = append(lines, '\n')
			}
			continue
		}
		n := int(min(l.rest, uint64(len(p))))
		lines = append(lines, p[:n]...)
		p, l.rest = p[n:], l.rest-uint64(n)
		if l.rest == 0 {
			lines = append(lines, '\n')
		}
	}
	return lines
}

// length is that of the payload, once the header is whole. Server frames have no
// masking key.
func (l *lineReader) length() (uint64, bool) {
	if l.have < 2 {
		return 0, false
	}
	switch n := l.header[1]; {
	case n == 126:
		return uint64(binary.BigEndian.Uint16(l.header[2:])), l.have == 4
	case n == 127:
		return binary.BigEndian.Uint64(l.header[2:]), l.have == 10
	default:
		return uint64(n), true
	}
}
