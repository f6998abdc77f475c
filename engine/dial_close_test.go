package engine_test

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// readMasked reads one frame, which must be masked, and returns it unmasked with its
// key.
func readMasked(in *bufio.Reader) (frame.Opcode, []byte, [4]byte, error) {
	h, err := ws.ReadHeader(in)
	if err != nil {
		return 0, nil, h.Mask, err
	}
	if !h.Masked {
		return 0, nil, h.Mask, errFrame
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(in, payload)
	ws.Cipher(payload, h.Mask, 0)
	return frame.Opcode(h.OpCode), payload, h.Mask, err
}

// awaitClose reads up to the client's close frame and returns its code.
func awaitClose(in *bufio.Reader) frame.CloseCode {
	for {
		op, payload, _, err := readMasked(in)
		if err != nil {
			return frame.CloseAbnormal
		}
		if op == frame.Close {
			code, _, _ := frame.ParseClosePayload(payload)
			return code
		}
	}
}

// Every frame of a client is masked, each with a key of its own.
func TestDialMasks(t *testing.T) {
	type sent struct {
		op      frame.Opcode
		payload string
		key     [4]byte
	}
	frames := make(chan sent, 100)
	address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
		respond(conn, r, acceptance+"\x89\x03abc") // and a ping
		for {
			op, payload, key, err := readMasked(in)
			if err != nil {
				frames <- sent{payload: err.Error()}
				return
			}
			frames <- sent{op, string(payload), key}
		}
	})
	callers := startCallers(t, engine.Options{CloseTimeout: 10 * time.Millisecond})
	c := dial(t, callers, "ws://"+address+"/", newCaller(), engine.DialOptions{})
	if f := receive(t, "the pong", frames); f.op != frame.Pong || f.payload != "abc" {
		t.Fatalf("got %+v; want a pong", f)
	}
	keys := make(map[[4]byte]bool)
	prepared := frame.Prepare(frame.Text, []byte("same"), nil)
	for range 10 {
		_ = c.SendPrepared(prepared)
		_ = c.Send(frame.Text, []byte("same"))
		_ = c.Ping([]byte("same"))
		callers.Hub().Broadcast(frame.Text, []byte("same"), handler.Audience{})
		for range 4 {
			f := receive(t, "a frame", frames)
			if f.payload != "same" {
				t.Fatalf("got %+v", f)
			}
			keys[f.key] = true
		}
	}
	_ = c.Close(4000, "bye")
	f := receive(t, "the close frame", frames)
	if f.op != frame.Close || f.payload[2:] != "bye" {
		t.Errorf("got %+v; want a close frame", f)
	}
	if len(keys) != 40 {
		t.Errorf("%d different keys for 40 frames", len(keys))
	}
}

// nothingArrived returns an error if there is something to read: bytes, or the end.
func nothingArrived(conn net.Conn) error {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var n int
	if e := raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return true
	}); e != nil {
		return e
	}
	if !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("%d bytes, %w", n, cmp.Or(err, io.EOF))
	}
	return nil
}

// The client waits for the server to end the stream, whoever has begun to close.
func TestDialServerEndsStream(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who+" begins", func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode engine.Mode) {
				proceed, waited := make(chan struct{}), make(chan error, 1)
				address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
					bye := string(frame.AppendMessage(nil, frame.Close, frame.AppendClosePayload(nil, 4000, "bye")))
					respond(conn, r, acceptance)
					if who == "server" {
						_, _ = conn.Write([]byte(bye))
					}
					awaitClose(in)
					if who == "client" {
						_, _ = conn.Write([]byte(bye))
					}
					<-proceed
					waited <- nothingArrived(conn)
				})
				callers := startCallers(t, engine.Options{Mode: mode, CloseTimeout: time.Hour})
				h := newCaller()
				c := dial(t, callers, "ws://"+address+"/", h, engine.DialOptions{})
				if who == "client" {
					_ = c.Close(4001, "")
				}
				eventually(t, "the client to have the server's close frame", func() bool {
					return callers.Hub().Count("") == 0 && callers.Counters().BytesIn > uint64(len(acceptance)+len("bye"))
				})
				close(proceed)
				if err := receive(t, "the server", waited); err != nil {
					t.Errorf("the client ended the stream first: %v", err)
				}
				want := handler.CloseStatus{Code: 4000, Reason: "bye", Clean: true}
				if s := receive(t, "OnClose", h.ends); s != want {
					t.Errorf("OnClose got %+v; want %+v", s, want)
				}
			})
		})
	}
}

// A server that does not end the stream is not waited for longer than CloseTimeout, and
// the close is clean all the same.
func TestDialServerKeepsStream(t *testing.T) {
	ended := make(chan error, 1)
	address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
		respond(conn, r, acceptance)
		code := awaitClose(in)
		_, _ = conn.Write(frame.AppendMessage(nil, frame.Close, frame.AppendClosePayload(nil, code, "")))
		_, err := in.ReadByte()
		ended <- err
	})
	callers := startCallers(t, engine.Options{CloseTimeout: 50 * time.Millisecond})
	h := newCaller()
	c := dial(t, callers, "ws://"+address+"/", h, engine.DialOptions{})
	_ = c.Close(frame.CloseNormal, "")
	if err := receive(t, "the end", ended); !errors.Is(err, io.EOF) {
		t.Errorf("the server got %v; want the end of the stream", err)
	}
	if s := receive(t, "OnClose", h.ends); !s.Clean || s.Err != nil || s.Code != frame.CloseNormal {
		t.Errorf("OnClose got %+v; want a clean close", s)
	}
}

// What servers must not send fails the connection.
func TestDialServerViolates(t *testing.T) {
	tests := []struct {
		name  string
		bytes []byte
		code  frame.CloseCode
	}{
		{"masked frame", text("masked"), frame.CloseProtocolError},
		{"masked ping", masked(frame.Ping, nil), frame.CloseProtocolError},
		{"compressed without extension", []byte{0xc1, 0x00}, frame.CloseProtocolError},
		{"bad UTF-8", []byte{0x81, 0x01, 0xff}, frame.CloseInvalidPayload},
		{"too big", []byte{0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0}, frame.CloseMessageTooBig},
		{"hangs up", nil, frame.CloseAbnormal},
	}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		callers := startCallers(t, engine.Options{Mode: mode})
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				codes := make(chan frame.CloseCode, 1)
				address := scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
					respond(conn, r, acceptance+string(tt.bytes))
					if tt.bytes == nil {
						codes <- frame.CloseAbnormal
						return
					}
					codes <- awaitClose(in)
				})
				h := newCaller()
				dial(t, callers, "ws://"+address+"/", h, engine.DialOptions{})
				if code := receive(t, "the close frame", codes); code != tt.code {
					t.Errorf("close code %d; want %d", code, tt.code)
				}
				if s := receive(t, "OnClose", h.ends); s.Err == nil || s.Clean || s.Code != frame.CloseAbnormal {
					t.Errorf("OnClose got %+v; want an error", s)
				}
			})
		}
	})
}

// Shutdown of a client engine closes its connections.
func TestDialShutdown(t *testing.T) {
	tr := newTrace(t, 1)
	server := startEngine(t, engine.Options{Mux: routes(tr)})
	callers := startCallers(t, engine.Options{})
	h := newCaller()
	dial(t, callers, urlOf(server, "/"), h, engine.DialOptions{})
	silent := scripted(t, func(_ net.Conn, in *bufio.Reader, _ *http.Request) { awaitEnd(in) })
	failed := make(chan error, 1)
	callers.DialAsync("ws://"+silent+"/", h, engine.DialOptions{}, func(_ *engine.Conn, err error) { failed <- err })
	if err := callers.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the outcome of a dialling", failed); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a dialling under way: %v; want ErrClosed", err)
	}
	if s := receive(t, "OnClose", h.ends); s.Code != frame.CloseGoingAway || !s.Clean {
		t.Errorf("OnClose got %+v; want a clean 1001", s)
	}
	if end := receive(t, "the server's OnClose", tr.ends); end.status.Code != frame.CloseGoingAway || !end.status.Clean {
		t.Errorf("the server's OnClose got %+v; want a clean 1001", end.status)
	}
}
