package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// So many clients begin a handshake at once, more than are under way at a time, and
// every one gets through.
func TestTLSHandshakeFlood(t *testing.T) {
	const clients = 2000
	needDescriptors(t, 2*clients)
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Loops: 1, HeaderTimeout: 4 * patience})
	var wait sync.WaitGroup
	var echoed atomic.Int64
	all := make([]*rawClient, clients)
	for i := range all {
		all[i] = dialTCP(t, e)
	}
	for _, c := range all {
		wait.Go(func() {
			conn := tls.Client(c.Conn, ca.client())
			c = &rawClient{Conn: conn, in: bufio.NewReader(conn)}
			if _, err := c.Write(append(upgrade("/"), text("hello")...)); err != nil {
				t.Errorf("write: %v", err)
				return
			}
			if _, err := http.ReadResponse(c.in, nil); err != nil {
				t.Errorf("response: %v", err)
				return
			}
			if _, p, err := c.readMessage(); err != nil || string(p) != "hello" {
				t.Errorf("got %q, error %v", p, err)
				return
			}
			echoed.Add(1)
		})
	}
	wait.Wait()
	if got := echoed.Load(); got != clients {
		t.Errorf("%d echoes; want %d", got, clients)
	}
	for _, c := range all {
		_ = c.Close()
	}
	eventually(t, "all connections to end", func() bool { return e.Counters().Sockets == 0 })
}

// clientHello is what a TLS client says first.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() { // ends when the pipe is closed
		_ = tls.Client(theirs, &tls.Config{ServerName: "localhost"}).Handshake()
	}()
	header := make([]byte, 5)
	if _, err := io.ReadFull(ours, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	return append(header, body...)
}

// Clients that do not go on with their handshake are cut after HeaderTimeout, wherever
// they stopped, and keep no goroutine.
func TestTLSHalfHandshakes(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), HeaderTimeout: 200 * time.Millisecond})
	open := dialSecure(t, e, ca.client(), "/")
	before := runtime.NumGoroutine()
	first := clientHello(t)
	var cut sync.WaitGroup
	for _, part := range [][]byte{nil, first[:1], first[:5], first[:6], first[:len(first)-1], first} {
		for range 20 {
			c := dialTCP(t, e)
			c.put(t, part)
			cut.Go(func() {
				if _, err := io.Copy(io.Discard, c.in); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("after %d bytes of the hello: %v", len(part), err)
				}
			})
		}
	}
	cut.Wait()
	eventually(t, "the connections to end", func() bool { return e.Counters().Sockets == 1 })
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	open.put(t, text("still here"))
	open.expectText(t, "still here")
}

// A client that is through with TLS and sends no request is told so.
func TestTLSRequestTimeout(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), HeaderTimeout: 50 * time.Millisecond})
	c := dialTLS(t, e, ca.client())
	c.expectStatus(t, http.StatusRequestTimeout)
	c.expectEnd(t)
}

// An engine that closes ends the handshakes that are under way, and waits for them.
func TestTLSCloseDuringHandshakes(t *testing.T) {
	ca := newAuthority(t)
	o := withCertificate(ca.issue(t, "server"))
	inside := make(chan struct{}, 10)
	pair := o.Config.Certificates[0]
	o.Config.Certificates = nil
	o.Config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		inside <- struct{}{}
		<-hello.Context().Done()
		return &pair, nil
	}
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), TLS: o, Loops: 1})
	first := clientHello(t)
	for range cap(inside) {
		c := dialTCP(t, e)
		c.put(t, first)
	}
	for range cap(inside) {
		receive(t, "GetCertificate", inside)
	}
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A panic in a callback of the configuration ends its handshake only.
func TestTLSCallbackPanics(t *testing.T) {
	ca := newAuthority(t)
	o := withCertificate(ca.issue(t, "server"))
	pair := o.Config.Certificates[0]
	o.Config.Certificates = nil
	var calls atomic.Int64
	o.Config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if calls.Add(1) == 1 {
			panic("first")
		}
		return &pair, nil
	}
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), TLS: o})
	if err := tls.Client(dialTCP(t, e).Conn, ca.client()).Handshake(); err == nil {
		t.Error("the handshake succeeded")
	}
	dialSecure(t, e, ca.client(), "/")
}

// An idle connection has no goroutine.
func TestTLSIdleHasNoGoroutine(t *testing.T) {
	const held = 50
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	c := dialSecure(t, e, ca.client(), "/")
	c.put(t, text("a worker starts"))
	c.expectText(t, "a worker starts")
	before := runtime.NumGoroutine()
	for range held {
		dialSecure(t, e, ca.client(), "/")
	}
	eventually(t, "the goroutines of handshakes to end", func() bool { return runtime.NumGoroutine() <= before+held/10 })
}

// Of what a slow reader is owed a bounded part only is encrypted; the rest waits as
// references, and reaches the reader in order, or the close frame with 1008 does.
func TestTLSSlowReader(t *testing.T) {
	const size, messages, clients = 1 << 20, 24, 4
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode, OutboxHardBytes: 2 * messages * size, SlowTimeout: -1})
		var all []*rawClient
		for range clients {
			c := dialTCP(t, e)
			fixReceiveBuffer(t, c)
			c = secured(t, c, ca.client())
			c.put(t, upgrade("/"))
			c.expectStatus(t, http.StatusSwitchingProtocols)
			all = append(all, c)
		}
		eventually(t, "all to be open", func() bool { return e.Hub().Count("") == clients })
		before := liveHeap()
		payload := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		for range messages {
			e.Hub().Broadcast(frame.Binary, payload, handler.Audience{})
		}
		eventually(t, "the readers to be behind", func() bool { return e.Counters().Pauses == clients })
		if heap := liveHeap() - before; heap > 2*messages*size {
			t.Errorf("%d bytes of heap for %d connections; want one copy of %d bytes", heap, clients, messages*size)
		}
		for _, c := range all {
			for range messages {
				if _, got, err := c.readMessage(); err != nil || !bytes.Equal(got, payload) {
					t.Fatalf("got %d bytes, error %v", len(got), err)
				}
			}
		}
	})
}

func TestTLSOutboxHardMark(t *testing.T) {
	const hard, message = 4 << 20, 64 << 10
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		conns, ends := make(chan handler.Conn, 1), make(chan handler.CloseStatus, 1)
		e, ca := startTLS(t, engine.Options{Mode: mode, OutboxHardBytes: hard, Mux: routes(handler.Funcs{
			Message: func(c handler.Conn, _ frame.Opcode, _ []byte) { conns <- c },
			Close:   func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
		})})
		c := dialTCP(t, e)
		fixReceiveBuffer(t, c)
		c = secured(t, c, ca.client())
		c.put(t, upgrade("/"), text("hello"))
		c.expectStatus(t, http.StatusSwitchingProtocols)
		conn := receive(t, "OnMessage", conns)
		payload := make([]byte, message)
		var err error
		for sent := 0; err == nil && sent < 64*hard; sent += message {
			err = conn.Send(frame.Binary, payload)
		}
		if !errors.Is(err, handler.ErrSlowConsumer) {
			t.Fatalf("Send: %v; want ErrSlowConsumer", err)
		}
		for { // what had been encrypted is whole, then comes the close frame
			_, p, err := c.readMessage()
			if closed, ok := errors.AsType[peerClosed](err); ok {
				if closed.code != frame.ClosePolicyViolation {
					t.Errorf("close code %d; want 1008", closed.code)
				}
				break
			}
			if err != nil || len(p) != message {
				t.Fatalf("got %d bytes, error %v", len(p), err)
			}
		}
		c.expectEnd(t)
		_ = c.Close()
		if s := receive(t, "OnClose", ends); !errors.Is(s.Err, handler.ErrSlowConsumer) {
			t.Errorf("OnClose got %+v; want ErrSlowConsumer", s)
		}
	})
}

// A drain says goodbye: a close frame, then the end of TLS.
func TestTLSDrain(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		c, unused, secure := dialSecure(t, e, ca.client(), "/"), dialTCP(t, e), dialTLS(t, e, ca.client())
		eventually(t, "all are accepted", func() bool { return e.Counters().Sockets == 3 })
		ended := make(chan error, 1)
		go func() { ended <- e.Shutdown(context.Background()) }() // ends with the clients
		c.expectClose(t, frame.CloseGoingAway)
		c.put(t, closeFrame(frame.CloseGoingAway, ""))
		c.expectEnd(t)
		unused.expectEnd(t)
		secure.expectEnd(t)
		expectNil(t, "Shutdown", ended)
	})
}
