// Command go is the floor of ../c in Go: the same epoll loop with the same raw
// system calls, on one goroutine. What it costs more than the C floor is the
// price of the language.
//
//	go PORT		listen on 127.0.0.1:PORT until killed
//
// /echo and /broadcast do what they do there.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench/peers/floor/socket"
)

func main() {
	fmt.Fprintln(os.Stderr, "floor:", run(os.Args[1:]))
	os.Exit(1)
}

// run serves until something fails, and returns what.
func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: go PORT")
	}
	port, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s, err := newServer(port)
	if err != nil {
		return err
	}
	return s.serve()
}

// server is one event loop; everything in it belongs to the goroutine of serve.
type server struct {
	listener, poller int
	conns            []*conn // by descriptor
	scratch          []byte
}

func newServer(port int) (*server, error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	poller, err := unix.EpollCreate1(0)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	s := &server{listener: listener, poller: poller, scratch: make([]byte, 256<<10)}
	return s, errors.Join(
		unix.SetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(listener, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), // accepted sockets inherit it
		unix.Bind(listener, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}),
		unix.Listen(listener, 4096),
		s.watch(listener, unix.EPOLL_CTL_ADD, unix.EPOLLIN),
	)
}

func (s *server) watch(fd, op int, events uint32) error {
	return unix.EpollCtl(s.poller, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// serve runs until accepting or polling fails.
func (s *server) serve() error {
	events := make([]unix.EpollEvent, 1024)
	for {
		n, errno := socket.Wait(s.poller, events, -1)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("epoll: %w", errno)
		}
		for _, event := range events[:n] {
			if err := s.dispatch(int(event.Fd)); err != nil {
				return err
			}
		}
	}
}

func (s *server) dispatch(fd int) error {
	if fd == s.listener {
		return s.accept()
	}
	c := s.conns[fd]
	if c == nil { // closed earlier in the same batch of events
		return nil
	}
	event := c.readable
	if len(c.out) > 0 {
		event = c.writable
	}
	if event() != nil {
		s.conns[fd] = nil
		return unix.Close(fd)
	}
	return nil
}

// publish writes one encoded frame to everyone on /broadcast.
func (s *server) publish(frame []byte) {
	for _, c := range s.conns {
		if c != nil && c.broadcast && c.send(frame) != nil {
			unix.Shutdown(c.fd, unix.SHUT_RDWR) // closed at its next event
		}
	}
}

func (s *server) accept() error {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK)
		if err == unix.EAGAIN {
			return nil
		}
		if err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		for len(s.conns) <= fd {
			s.conns = append(s.conns, nil)
		}
		s.conns[fd] = &conn{server: s, fd: fd}
		if err := s.watch(fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
	}
}
