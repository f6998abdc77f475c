package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// connectionsPerSource is how many connections to one server leave from one
	// local address; there are about 28,000 ports for them.
	connectionsPerSource = 20000
	handshakeSeconds     = 10
)

// dialAll opens all connections, one after the other, and watches those that
// are active. They are spread evenly over the idle ones.
func dialAll(o options) (*client, error) {
	poller, err := unix.EpollCreate1(0)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	c := &client{
		poller:  poller,
		stream:  newStream(o.payloadBytes, o.inFlight),
		conns:   make([]conn, 0, o.connections),
		scratch: make([]byte, 256<<10),
		events:  make([]unix.EpollEvent, 1024),
	}
	for i := range o.connections {
		fd, err := dial(o.address, source(i), o.path)
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

// dial opens one connection and leaves it non-blocking. Closing it resets it,
// so that round after round does not use up the ports.
func dial(server netip.AddrPort, source [4]byte, path string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	patience := &unix.Timeval{Sec: handshakeSeconds}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, patience),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, patience),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: source}),
	)
	if err == nil {
		err = uninterrupted(func() error {
			return unix.Connect(fd, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()})
		})
	}
	if err == nil {
		err = handshake(fd, server, path)
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

// handshake opens the WebSocket connection with the key that RFC 6455 section
// 1.3 has as its example.
func handshake(fd int, server netip.AddrPort, path string) error {
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %v\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, server)
	if _, err := unix.Write(fd, request); err != nil { // an empty socket takes it whole
		return fmt.Errorf("sending the request: %w", err)
	}
	var response []byte
	for !bytes.Contains(response, []byte("\r\n\r\n")) {
		chunk := make([]byte, 4<<10)
		n := 0
		err := uninterrupted(func() (err error) { n, err = unix.Read(fd, chunk); return err })
		if err != nil {
			return fmt.Errorf("reading the response: %w", err)
		}
		response = append(response, chunk[:n]...)
		if n == 0 || len(response) > 8<<10 {
			return fmt.Errorf("not the end of a handshake: %.200q", response)
		}
	}
	if !bytes.HasPrefix(response, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(response, []byte("\r\n\r\n")) ||
		!bytes.Contains(response, []byte("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) {
		return fmt.Errorf("the handshake failed: %.200q", response)
	}
	return nil
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
