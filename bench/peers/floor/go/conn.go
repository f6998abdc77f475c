package main

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench/peers/floor/socket"
)

const (
	// maxRequestBytes bounds the opening handshake.
	maxRequestBytes = 4 << 10
	// maxBacklogBytes bounds what a peer may leave unread.
	maxBacklogBytes = 32 << 20
)

// errEnd closes a connection whatever the reason: a floor reports none.
var errEnd = errors.New("floor: connection ends")

type conn struct {
	server    *server
	fd        int
	open      bool   // the opening handshake is done
	broadcast bool   // its path is /broadcast
	closing   bool   // ends once out is empty
	in        []byte // a request or frame that is not whole yet; its capacity is what will be read
	out       []byte // what the socket would not take; while there is some, nothing is read
}

// readable reads once and answers what is whole. Its error, like that of
// writable, means that the connection is to be closed.
func (c *conn) readable() error {
	p, have := c.server.scratch, 0
	if c.in != nil {
		p, have = c.in[:cap(c.in)], len(c.in)
	}
	if have == len(p) { // only an endless handshake fills its buffer
		return errEnd
	}
	n, errno := socket.Read(c.fd, p[have:])
	if errno == unix.EAGAIN {
		return nil
	}
	if errno != 0 || n == 0 {
		return errEnd
	}
	p = p[:have+n]
	used := 0
	if !c.open {
		var err error
		if used, err = c.handshake(p); err != nil {
			return err
		}
	}
	if c.open {
		n, err := c.answer(p[used:])
		if err != nil {
			return err
		}
		used += n
	}
	return c.keep(p, used)
}

// keep stores p[used:], which is not a whole frame, until the rest arrives. A
// frame whose length is known gets exactly its room.
func (c *conn) keep(p []byte, used int) error {
	rest := p[used:]
	if len(rest) == 0 {
		c.in = nil
		return nil
	}
	room := maxRequestBytes
	if c.open {
		size, _, err := parse(rest)
		if err != nil {
			return err
		}
		room = max(room, size)
	}
	if used == 0 && c.in != nil && room <= cap(c.in) {
		c.in = p
		return nil
	}
	c.in = append(make([]byte, 0, room), rest...)
	return nil
}

// handshake answers the request at the start of p and returns its size, or 0
// while it is cut.
func (c *conn) handshake(p []byte) (int, error) {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	size := end + len("\r\n\r\n")
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p[:size])))
	if err != nil {
		return 0, err
	}
	key := request.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		return 0, errEnd
	}
	digest := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c.open, c.broadcast = true, request.URL.Path == "/broadcast"
	return size, c.send(fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(digest[:])))
}

// answer works through the whole frames at the start of p, sends all replies in
// one write, and returns how many bytes the frames were. Replies are built in
// p itself: a server frame is shorter than the client frame it answers, so the
// first one lies where its payload is, and the others move down to follow it.
func (c *conn) answer(p []byte) (int, error) {
	used, first, end := 0, -1, 0
	for !c.closing {
		size, payload, err := parse(p[used:])
		if err != nil {
			return 0, err
		}
		if size == 0 || size > len(p)-used {
			break
		}
		f := p[used : used+size]
		used += size
		opcode, head := f[0]&0x0f, f[0]
		switch opcode {
		case 0x9:
			head = 0x8a // a ping is answered by a pong
		case 0xa:
			continue
		}
		key := [4]byte(f[payload-4:])
		body := f[payload:]
		unmask(body, key)
		reply := end
		if first < 0 {
			reply = used - len(body) - headerSize(len(body))
		}
		header := putHeader(p[reply:], head, len(body))
		replyEnd := reply + header + copy(p[reply+header:], body)
		if c.broadcast && opcode < 0x8 {
			c.server.publish(p[reply:replyEnd])
			continue
		}
		if first < 0 {
			first = reply
		}
		end = replyEnd
		c.closing = opcode == 0x8
	}
	if first >= 0 {
		if err := c.send(p[first:end]); err != nil {
			return 0, err
		}
	}
	if c.closing && len(c.out) == 0 {
		return 0, errEnd
	}
	return used, nil
}

// send writes p, behind what still waits, and keeps a copy of what the socket
// does not take.
func (c *conn) send(p []byte) error {
	if len(c.out) > 0 {
		if len(c.out)+len(p) > maxBacklogBytes {
			return errEnd
		}
		c.out = append(c.out, p...)
		return nil
	}
	n, errno := socket.Write(c.fd, p)
	if errno == unix.EAGAIN {
		n = 0
	} else if errno != 0 {
		return errEnd
	}
	if n == len(p) {
		return nil
	}
	c.out = bytes.Clone(p[n:])
	return c.server.watch(c.fd, unix.EPOLL_CTL_MOD, unix.EPOLLOUT)
}

// writable goes on with what the socket would not take.
func (c *conn) writable() error {
	n, errno := socket.Write(c.fd, c.out)
	if errno == unix.EAGAIN {
		return nil
	}
	if errno != 0 {
		return errEnd
	}
	if c.out = c.out[n:]; len(c.out) > 0 {
		return nil
	}
	c.out = nil
	if c.closing {
		return errEnd
	}
	return c.server.watch(c.fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
}
