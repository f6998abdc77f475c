package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// spareDescriptors is what a test process needs besides its connections, and what
// the engine holds back.
const spareDescriptors = 1000

// One process holds so many connections, and every one of them echoes at the same
// time as all the others.
func TestHold15000(t *testing.T) {
	const held, atOnce = 15_000, 1_000
	needDescriptors(t, held)
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	clients := startProcess(t, "clients")
	for range held / atOnce {
		clients.ask(t, "connect %d %s", atOnce, e.Addr())
	}
	if got := e.Counters().Connections; got != held {
		t.Errorf("%d connections open; want %d", got, held)
	}
	for range 3 {
		clients.ask(t, "echo")
	}
	clients.ask(t, "close")
	eventually(t, "all connections to end", func() bool { return e.Counters().Sockets == 0 })
}

// So many clients connect before the first of them has an answer, and none is turned
// away.
func TestConnect10000AtOnce(t *testing.T) {
	const clientsAtOnce = 10_000
	needDescriptors(t, clientsAtOnce)
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		clients := startProcess(t, "clients")
		clients.ask(t, "connect %d %s", clientsAtOnce, e.Addr())
		clients.ask(t, "echo")
		if c := e.Counters(); c.Opened != clientsAtOnce || len(c.HandshakesRefused) > 0 || c.AcceptPauses > 0 {
			t.Errorf("%d opened, %v refused, %d pauses of accepting; want %d, none, none", c.Opened, c.HandshakesRefused, c.AcceptPauses, clientsAtOnce)
		}
		clients.ask(t, "close")
		eventually(t, "all connections to end", func() bool { return e.Counters().Sockets == 0 })
	})
}

// needDescriptors fails the test if the system does not let a process have n
// connections.
func needDescriptors(t testing.TB, n int) {
	t.Helper()
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatalf("getrlimit: %v", err)
	}
	if uint64(r.Cur) < uint64(n+spareDescriptors) {
		t.Fatalf("this test holds %d connections in one process and needs a limit of %d open files; it is %d: raise it with ulimit -Hn",
			n, n+spareDescriptors, r.Cur)
	}
}

// newClientsRole is a process that holds connections. Its commands are "connect N
// ADDRESS", "echo" on all connections at once, and "close".
func newClientsRole() role { return new(swarm).play }

// newStalledRole is newClientsRole with connections that take little before the server's
// socket is full.
func newStalledRole() role {
	const segment, window = 536, 4 << 10 // bytes; of the segments the kernel makes room for some
	s := &swarm{prepare: func(fd int) error {
		return errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, window),
		)
	}}
	return s.play
}

// play carries out a command of newClientsRole.
func (s *swarm) play(command string) (string, error) {
	switch command {
	case "echo":
		return "ok", s.echo()
	case "close":
		s.close()
		return "ok", nil
	}
	var n int
	var address string
	if _, err := fmt.Sscanf(command, "connect %d %s", &n, &address); err != nil {
		return "", err
	}
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", err
	}
	return "ok", s.connect(n, addr)
}

// A swarm is many connections, held with bare system calls and without a goroutine
// or a buffer for each.
type swarm struct {
	prepare func(fd int) error // called before connecting, unless nil
	fds     []int
	buf     [1 << 10]byte
}

// connect adds n connections. All are under way before the first is waited for, and
// all send their opening handshake before the first response is read.
func (s *swarm) connect(n int, addr netip.AddrPort) error {
	first := len(s.fds)
	to := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().Unmap().As4()}
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return fmt.Errorf("socket %d: %w", len(s.fds), err)
		}
		s.fds = append(s.fds, fd)
		if s.prepare != nil {
			if err := s.prepare(fd); err != nil {
				return fmt.Errorf("socket %d: %w", len(s.fds), err)
			}
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return fmt.Errorf("socket %d: %w", len(s.fds), err)
		}
		if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("connect %d: %w", len(s.fds), err)
		}
	}
	request := upgrade("/")
	for i, fd := range s.fds[first:] {
		if err := connected(fd); err != nil {
			return fmt.Errorf("connection %d: %w", first+i, err)
		}
		if _, err := unix.Write(fd, request); err != nil {
			return fmt.Errorf("connection %d: sending the handshake: %w", first+i, err)
		}
	}
	for i, fd := range s.fds[first:] {
		if err := s.switched(fd); err != nil {
			return fmt.Errorf("connection %d: %w", first+i, err)
		}
	}
	return nil
}

// connected waits until a socket is connected, and makes it one that blocks, with a
// bound.
func connected(fd int) error {
	writable := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(writable, int(patience.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return fmt.Errorf("waiting to be connected: %d ready, %w", n, err)
		}
		break
	}
	if code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		return fmt.Errorf("connecting: %w, %v", unix.Errno(code), err)
	}
	bound := unix.NsecToTimeval(int64(patience / time.Nanosecond))
	return errors.Join(
		unix.SetNonblock(fd, false),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &bound),
		// Closing resets the connection, so that its port is free at once.
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
	)
}

// switched reads a 101 response.
func (s *swarm) switched(fd int) error {
	have := 0
	for !bytes.HasSuffix(s.buf[:have], []byte("\r\n\r\n")) {
		n, err := readBlocking(fd, s.buf[have:])
		if err != nil || n == 0 {
			return fmt.Errorf("reading the response: %d bytes, %w", n, err)
		}
		have += n
	}
	if !bytes.HasPrefix(s.buf[:have], []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("response is %q", s.buf[:have])
	}
	return nil
}

// echo sends a message of its own on every connection, and then reads every echo.
func (s *swarm) echo() error {
	for i, fd := range s.fds {
		if _, err := unix.Write(fd, text(fmt.Sprintf("message of connection %d", i))); err != nil {
			return fmt.Errorf("connection %d: sending: %w", i, err)
		}
	}
	for i, fd := range s.fds {
		want := frame.AppendMessage(nil, frame.Text, fmt.Appendf(nil, "message of connection %d", i))
		if err := s.expect(fd, want); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

// expect reads exactly these bytes. It does not allocate unless it fails.
func (s *swarm) expect(fd int, want []byte) error {
	for have := 0; have < len(want); {
		n, err := readBlocking(fd, s.buf[have:len(want)])
		if err != nil || n == 0 {
			return fmt.Errorf("read %q, then %d bytes and %v; want %q", s.buf[:have], n, err, want)
		}
		have += n
	}
	if got := s.buf[:len(want)]; !bytes.Equal(got, want) {
		return fmt.Errorf("read %q; want %q", got, want)
	}
	return nil
}

// readBlocking is read, again after a signal.
func readBlocking(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func (s *swarm) close() {
	for _, fd := range s.fds {
		_ = unix.Close(fd)
	}
	s.fds = nil
}
