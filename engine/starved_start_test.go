package engine_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// A Start that fails for want of descriptors, wherever it ran out of them, leaves the port
// free.
func TestStartWithoutDescriptors(t *testing.T) {
	starter := startProcess(t, "starved starter")
	if failed := starter.ask(t, "try"); failed == "0" {
		t.Error("Start succeeded with one descriptor")
	}
}

// newStarvedStarterRole is a process that starts an engine with few descriptors. Its one
// command tries it with ever more and tells how many tries failed, of which the first has
// found one descriptor.
func newStarvedStarterRole() role {
	return func(string) (string, error) {
		const limit, most = 64, 12
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return "", fmt.Errorf("setrlimit: %w", err)
		}
		probe, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		address := probe.Addr().String()
		if err := probe.Close(); err != nil {
			return "", err
		}
		failed := 0
		for free := 1; free <= most; free++ {
			err := startStarved(address, free)
			if err != nil {
				failed++
			}
			l, again := net.Listen("tcp", address)
			if again != nil {
				return "", fmt.Errorf("with %d descriptors Start: %w; then: %w", free, err, again)
			}
			if err := l.Close(); err != nil {
				return "", err
			}
		}
		return fmt.Sprint(failed), nil
	}
}

// startStarved starts and closes an engine while so many descriptors are free, and returns
// the error of Start.
func startStarved(address string, free int) error {
	e, err := engine.New(engine.Options{Address: address, Loops: 1, MaxConnections: 1, Mux: routes(handler.Echo{})})
	if err != nil {
		return err
	}
	var taken []int
	for {
		fd, err := unix.Dup(1)
		if errors.Is(err, unix.EMFILE) {
			break
		}
		if err != nil {
			return err
		}
		taken = append(taken, fd)
	}
	for _, fd := range taken[:free] {
		_ = unix.Close(fd)
	}
	err = e.Start()
	for _, fd := range taken[free:] {
		_ = unix.Close(fd)
	}
	return errors.Join(err, e.Close())
}
