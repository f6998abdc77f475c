package engine_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// stamped is a message of a feed that begins with the time, in 8 bytes.
func stamped(size int) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, size), uint64(time.Now().UnixNano()))[:size]
}

// readers are connections that read what is published as it comes, in a process of their
// own.
type readers struct {
	conns []net.Conn
	in    []*bufio.Reader
}

// newReadersRole is a process of readers. Its commands are "connect N ADDRESS", "close", and
// "read N SIZE SKIP": read N stamped messages of SIZE bytes on every connection, and answer
// with the percentiles 50 and 99 of the nanoseconds that all but the first SKIP took.
func newReadersRole() role { return new(readers).play }

// play carries out a command of newReadersRole.
func (r *readers) play(command string) (string, error) {
	var n, size, skip int
	var address string
	if command == "close" {
		return "ok", r.close()
	}
	if _, err := fmt.Sscanf(command, "connect %d %s", &n, &address); err == nil {
		return "ok", r.connect(n, address)
	}
	if _, err := fmt.Sscanf(command, "read %d %d %d", &n, &size, &skip); err != nil {
		return "", err
	}
	return r.read(n, size, skip)
}

// connect adds n connections.
func (r *readers) connect(n int, address string) error {
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		in := bufio.NewReader(conn)
		r.conns, r.in = append(r.conns, conn), append(r.in, in)
		if _, err := conn.Write(upgrade("/")); err != nil {
			return err
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusSwitchingProtocols {
			return errors.New(response.Status)
		}
	}
	return nil
}

// read is the command of this name.
func (r *readers) read(n, size, skip int) (string, error) {
	took := make([][]time.Duration, len(r.conns))
	errs := make([]error, len(r.conns))
	var reading sync.WaitGroup
	for i, in := range r.in {
		reading.Go(func() { took[i], errs[i] = readStamped(in, n, size, skip) })
	}
	reading.Wait()
	all := slices.Concat(took...)
	if err := errors.Join(errs...); err != nil || len(all) == 0 {
		return "", fmt.Errorf("%d messages, %w", len(all), err)
	}
	slices.Sort(all)
	return fmt.Sprintf("%d %d", all[(len(all)-1)/2], all[(len(all)-1)*99/100]), nil
}

// readStamped reads n messages of 126 bytes to 64 KiB, and returns how long all but the
// first ones took to come.
func readStamped(in io.Reader, n, size, skip int) ([]time.Duration, error) {
	const header = 4 // of such a frame, RFC 6455 section 5.2
	took := make([]time.Duration, 0, n)
	message := make([]byte, header+size)
	for i := range n {
		if _, err := io.ReadFull(in, message); err != nil {
			return nil, err
		}
		if length := binary.BigEndian.Uint16(message[2:]); message[1] != 126 || int(length) != size {
			return nil, fmt.Errorf("message %d begins with % x; want %d bytes", i, message[:header], size)
		}
		if i >= skip {
			at := int64(binary.BigEndian.Uint64(message[header:]))
			took = append(took, time.Duration(time.Now().UnixNano()-at))
		}
	}
	return took, nil
}

// close closes all connections.
func (r *readers) close() error {
	var errs []error
	for _, c := range r.conns {
		errs = append(errs, c.Close())
	}
	r.conns, r.in = nil, nil
	return errors.Join(errs...)
}
