package engine

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/weirws/weir/frame"
)

// A tlsWire is what a tls.Conn has for a network: records go in and out in memory,
// and the loop carries them from and to the socket. During the handshake, which runs
// on a goroutine, reading waits for records. Later reading finds errNoRecord when
// there is none, and only the loop reads and writes. A connection that has left its
// loop for the HTTP server uses its socket directly.
type tlsWire struct {
	owner  *Conn    // whose loop is told what the handshake writes; nil once it is over
	socket net.Conn // of a connection that has left its loop, nil otherwise

	mu      sync.Mutex
	in      []byte        // arrived and not read: borrowed from the loop, or in kept
	kept    *frame.Buffer // holds what arrives during the handshake
	arrived chan struct{} // holds a token when something has arrived; nil without a handshake
	out     *frame.Buffer // written and not collected, nil if nothing
	ended   bool          // nothing arrives any more
	held    bool          // the loop does not read on until what is here has been read
	closed  bool
}

// errNoRecord is what a tls.Conn on the loop reads between records. It says that it is
// temporary, which leaves the tls.Conn readable, wherever in a record that was.
var errNoRecord net.Error = noRecord{}

type noRecord struct{}

func (noRecord) Error() string   { return "engine: no TLS record at hand" }
func (noRecord) Timeout() bool   { return true }
func (noRecord) Temporary() bool { return true }

// Read implements net.Conn.
func (w *tlsWire) Read(p []byte) (int, error) {
	if w.socket != nil {
		return w.socket.Read(p)
	}
	for {
		n, wait, err := w.readMemory(p)
		if wait == nil {
			return n, err
		}
		if owner := w.letGo(); owner != nil {
			owner.ask(wantRecords)
		}
		<-wait // something arrives, or close
	}
}

// readMemory reads what is at hand. If there is nothing yet, wait is not nil.
func (w *tlsWire) readMemory(p []byte) (n int, wait chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return 0, nil, net.ErrClosed
	case len(w.in) > 0:
		n = copy(p, w.in)
		w.in = w.in[n:]
		return n, nil, nil
	case w.arrived == nil:
		return 0, nil, errNoRecord
	case w.ended:
		return 0, nil, io.EOF
	}
	return 0, w.arrived, nil
}

// letGo returns the connection whose loop is to read on, if it does not.
func (w *tlsWire) letGo() *Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held || len(w.in) > 0 {
		return nil
	}
	w.held = false
	return w.owner
}

// Write implements net.Conn. It never blocks unless the connection has left its loop.
func (w *tlsWire) Write(p []byte) (int, error) {
	if w.socket != nil {
		if b := w.collect(); b != nil {
			defer b.Release()
			if _, err := w.socket.Write(b.B); err != nil {
				return 0, err
			}
		}
		return w.socket.Write(p)
	}
	owner, err := w.writeMemory(p)
	if err != nil {
		return 0, err
	}
	if owner != nil {
		owner.ask(wantFlush)
	}
	return len(p), nil
}

// writeMemory keeps p for the loop. It returns the connection whose loop is to be told.
func (w *tlsWire) writeMemory(p []byte) (*Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, net.ErrClosed
	}
	w.room(len(p))
	w.out.Append(p)
	return w.owner, nil
}

// room makes room for n bytes in out. The lock is held.
func (w *tlsWire) room(n int) {
	if w.out == nil {
		w.out = frame.NewBuffer(n)
	}
}

// reserve makes room for what n bytes become as records.
func (w *tlsWire) reserve(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room(n + n/recordOverheadShare + recordOverhead)
}

// Records hold 1.2 kB at first, 16 KiB later. Each adds up to 22 bytes with the
// ciphers of TLS 1.3 and 29 with GCM of TLS 1.2.
const (
	recordOverhead      = 64
	recordOverheadShare = 32
)

// collect takes what was written. The caller owns it.
func (w *tlsWire) collect() *frame.Buffer {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.out
	w.out = nil
	return b
}

// putBack makes unsent bytes precede what was written.
func (w *tlsWire) putBack(unsent []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := frame.NewBuffer(len(unsent))
	b.Append(unsent)
	if w.out != nil {
		b.Append(w.out.B)
		w.out.Release()
	}
	w.out = b
}

// uncollected is the number of bytes written and not collected.
func (w *tlsWire) uncollected() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		return 0
	}
	return len(w.out.B)
}

// lend gives the reader p, which must stay as it is until the reader has found
// errNoRecord.
func (w *tlsWire) lend(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = p
}

// keep gives the reader a copy of p, behind what it has not read. It returns what
// that is in all, and whether it is enough until the reader has read it.
func (w *tlsWire) keep(p []byte) (unread []byte, held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.in)
	if w.kept == nil {
		w.kept = frame.NewBuffer(len(p))
	}
	if before == 0 {
		w.kept.B = w.kept.B[:0]
	}
	w.kept.Append(p)
	w.in = w.kept.B[len(w.kept.B)-before-len(p):]
	w.held = len(w.in) > handshakeReadAhead
	if w.arrived != nil {
		w.signal()
	}
	return w.in, w.held
}

func (w *tlsWire) signal() {
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

// end lets a handshake read the end of the stream behind what has arrived.
func (w *tlsWire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.arrived != nil {
		w.signal()
	}
}

// beginHandshake makes reading wait.
func (w *tlsWire) beginHandshake(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner = c
	w.arrived = make(chan struct{}, 1)
}

// endHandshake makes reading not wait any more. It returns the buffer in which what
// was not read yet lies; the caller owns it, and it is nil if there is none.
func (w *tlsWire) endHandshake() *frame.Buffer {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.kept
	w.owner, w.arrived, w.kept = nil, nil, nil
	return b
}

// discard ends a connection that is on its loop: a handshake finds net.ErrClosed.
func (w *tlsWire) discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.kept.Release()
	w.out.Release()
	w.in, w.kept, w.out = nil, nil, nil
	if w.arrived != nil {
		w.signal()
	}
}

// Close implements net.Conn. On the loop the socket is the loop's to close.
func (w *tlsWire) Close() error {
	if w.socket == nil {
		return nil
	}
	w.collect().Release()
	return w.socket.Close()
}

// LocalAddr implements net.Conn.
func (w *tlsWire) LocalAddr() net.Addr {
	if w.socket != nil {
		return w.socket.LocalAddr()
	}
	if w.owner != nil {
		return w.owner.loop.engine.addr
	}
	return nil
}

// RemoteAddr implements net.Conn.
func (w *tlsWire) RemoteAddr() net.Addr {
	switch {
	case w.socket != nil:
		return w.socket.RemoteAddr()
	case w.owner == nil:
		return nil
	case w.owner.remote.kind == 0:
		return &net.UnixAddr{Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(w.owner.RemoteAddr())
}

// SetDeadline implements net.Conn. The loop has deadlines of its own.
func (w *tlsWire) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (w *tlsWire) SetReadDeadline(t time.Time) error {
	if w.socket == nil {
		return nil
	}
	return w.socket.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (w *tlsWire) SetWriteDeadline(t time.Time) error {
	if w.socket == nil {
		return nil
	}
	return w.socket.SetWriteDeadline(t)
}

var _ net.Conn = (*tlsWire)(nil)
