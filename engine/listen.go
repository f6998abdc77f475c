package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A listener is one listening socket, owned by one loop.
type listener struct {
	fd   int
	path string // of a unix socket that this listener created, to be unlinked
}

// listen opens n listening sockets on one address, one for each loop, and reports
// the bound address. A unix socket cannot be shared that way: it gets one listener.
//
// SO_REUSEPORT, which several listeners on a port need, would also let another
// process share the port unnoticed. Unless that was asked for, the port is first
// bound without it, which fails with "address in use" when it is taken.
func listen(o Options) ([]listener, net.Addr, error) {
	if o.Network == "unix" {
		return listenUnix(o.Address)
	}
	if o.Loops == 1 && !o.ReusePort {
		l, addr, err := listenTCP(o.Network, o.Address, false)
		return []listener{l}, addr, err
	}
	address := o.Address
	if !o.ReusePort {
		probe, addr, err := listenTCP(o.Network, address, false)
		if err != nil {
			return nil, nil, err
		}
		probe.close()
		address = addr.String()
	}
	var all []listener
	var bound net.Addr
	for range o.Loops {
		l, addr, err := listenTCP(o.Network, address, true)
		if err != nil {
			closeAll(all)
			return nil, nil, err
		}
		all, bound, address = append(all, l), addr, addr.String()
	}
	return all, bound, nil
}

func closeAll(ls []listener) {
	for _, l := range ls {
		l.close()
	}
}

func listenTCP(network, address string, reusePort bool) (listener, net.Addr, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	if reusePort {
		lc.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			if e := raw.Control(func(fd uintptr) {
				err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
			}); e != nil {
				return e
			}
			return err
		}
	}
	l, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		return listener{}, nil, fmt.Errorf("engine: %w", err)
	}
	defer l.Close()
	fd, err := duplicate(l.(*net.TCPListener))
	if err != nil {
		return listener{}, nil, err
	}
	// Accepted sockets inherit TCP_NODELAY, which saves a system call for each.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(fd)
		return listener{}, nil, fmt.Errorf("engine: %w", os.NewSyscallError("setsockopt", err))
	}
	return listener{fd: fd}, l.Addr(), nil
}

// listenUnix binds a unix socket. A socket file that nobody listens on any more is
// replaced; one that is in use, or that is no socket, is an error.
func listenUnix(path string) ([]listener, net.Addr, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
			return nil, nil, fmt.Errorf("engine: listen unix %s: %w", path, unix.EADDRINUSE)
		}
		if errors.Is(err, unix.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, nil, fmt.Errorf("engine: %w", err)
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	defer ul.Close()
	fd, err := duplicate(ul)
	if err != nil {
		return nil, nil, err
	}
	return []listener{{fd: fd, path: path}}, l.Addr(), nil
}

// duplicate returns a non-blocking descriptor of our own for the socket of s. The
// Go runtime's poller no longer watches the socket once s is closed.
func duplicate(s syscall.Conn) (int, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("engine: %w", err)
	}
	fd := -1
	if e := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
	}); e != nil {
		err = e
	}
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return -1, fmt.Errorf("engine: duplicating a socket: %w", err)
	}
	return fd, nil
}

func (l listener) close() {
	_ = unix.Close(l.fd)
	if l.path != "" && l.path[0] != '@' { // an abstract one has no file
		_ = os.Remove(l.path)
	}
}

// descriptorLimit is the soft limit of open files.
func descriptorLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return int(min(uint64(r.Cur), 1<<24))
}
