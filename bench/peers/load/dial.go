package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// connectionsPerSource is how many connections to one server leave from one
	// local address; there are about 28,000 ports for them.
	connectionsPerSource = 20000
	handshakeSeconds     = 10
)

// newClient is a client without connections.
func newClient(o options) (*client, error) {
	poller, err := unix.EpollCreate1(0)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &client{
		poller:  poller,
		stream:  newStream(o),
		conns:   make([]conn, 0, o.connections),
		scratch: make([]byte, 256<<10),
		events:  make([]unix.EpollEvent, 1024),
		heard:   time.Now(),
	}, nil
}

// dialAll opens all connections, one after the other, and watches those that
// are active. They are spread evenly over the idle ones.
func dialAll(o options) (*client, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	for i := range o.connections {
		fd, err := dial(o, source(i))
		if err != nil {
			c.close()
			return nil, fmt.Errorf("connection %d: %w", i, err)
		}
		c.conns = append(c.conns, conn{fd: fd})
	}
	for i := range o.active {
		at := i * o.connections / o.active
		c.active = append(c.active, at)
		if err := c.watch(at, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
			c.close()
			return nil, err
		}
	}
	c.heard = time.Now()
	return c, nil
}

// source is the local address for connection i.
func source(i int) [4]byte {
	return [4]byte{127, 0, 0, byte(1 + i/connectionsPerSource)}
}

// dial opens one connection and leaves it non-blocking.
func dial(o options, source [4]byte) (int, error) {
	fd, err := newSocket(source)
	if err != nil {
		return -1, err
	}
	patience := &unix.Timeval{Sec: handshakeSeconds}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, patience),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, patience),
	)
	if err == nil {
		err = uninterrupted(func() error { return unix.Connect(fd, o.sockaddr()) })
	}
	if err == nil {
		err = handshake(fd, o)
	}
	if err == nil {
		err = greet(fd, o)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (o options) sockaddr() unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(o.address.Port()), Addr: o.address.Addr().As4()}
}

// newSocket is a blocking socket that will connect from source. Closing it resets
// the connection, so that round after round does not use up the ports.
func newSocket(source [4]byte) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: source}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// request is the opening handshake, with the key that RFC 6455 section 1.3 has as
// its example.
func (o options) request() []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %v\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", o.path, o.address)
}

// handshake opens the WebSocket connection.
func handshake(fd int, o options) error {
	if _, err := unix.Write(fd, o.request()); err != nil { // an empty socket takes it whole
		return fmt.Errorf("sending the request: %w", err)
	}
	var response []byte
	chunk := make([]byte, 4<<10)
	for {
		n := 0
		err := uninterrupted(func() (err error) { n, err = unix.Read(fd, chunk); return err })
		if err != nil {
			return fmt.Errorf("reading the response: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("not the end of a handshake: %.200q", response)
		}
		response = append(response, chunk[:n]...)
		if done, err := isOpen(response); done || err != nil {
			return err
		}
	}
}

// isOpen reports whether response is whole, and an error if it is not the one to
// request.
func isOpen(response []byte) (bool, error) {
	if !bytes.Contains(response, []byte("\r\n\r\n")) {
		if len(response) > 8<<10 {
			return false, fmt.Errorf("not the end of a handshake: %.200q", response)
		}
		return false, nil
	}
	if !bytes.HasPrefix(response, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(response, []byte("\r\n\r\n")) ||
		!bytes.Contains(response, []byte("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) {
		return false, fmt.Errorf("the handshake failed: %.200q", response)
	}
	return true, nil
}

// greet makes sure that the server is done with opening the connection, where that
// matters: many count a connection among the subscribers only after the handshake.
func greet(fd int, o options) error {
	switch {
	case o.protocol == centrifuge:
		return ask(fd, 0x1, []byte(`{"id":1,"connect":{}}`), []byte(`{"id":1,"connect":`))
	case o.mode == "broadcast":
		return ask(fd, 0x9, nil, nil)
	}
	return nil
}

// ask sends a frame and reads one, whose payload must begin with want. Both are
// short.
func ask(fd int, opcode byte, payload, want []byte) error {
	if _, err := unix.Write(fd, appendFrame(nil, opcode, payload, maskingKey(0))); err != nil {
		return fmt.Errorf("greeting the server: %w", err)
	}
	header, err := readFull(fd, 2)
	if err == nil && header[1] == 126 {
		var length []byte
		length, err = readFull(fd, 2)
		header = append(header, length...)
	}
	if err != nil {
		return err
	}
	n := int(header[1])
	if len(header) > 2 {
		n = int(binary.BigEndian.Uint16(header[2:]))
	}
	answer, err := readFull(fd, n)
	if err == nil && !bytes.HasPrefix(answer, want) {
		err = fmt.Errorf("the server does not answer the greeting but sends %.100q", answer)
	}
	return err
}

func readFull(fd, n int) ([]byte, error) {
	p := make([]byte, n)
	for have := 0; have < n; {
		got := 0
		err := uninterrupted(func() (err error) { got, err = unix.Read(fd, p[have:]); return err })
		if err != nil {
			return nil, fmt.Errorf("reading the answer to the greeting: %w", err)
		}
		if got == 0 {
			return nil, errors.New("the server closed the connection when it was greeted")
		}
		have += got
	}
	return p, nil
}

// uninterrupted repeats a blocking call that a signal cut short: the Go runtime
// sends itself signals, and a socket with a timeout does not go on by itself.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
