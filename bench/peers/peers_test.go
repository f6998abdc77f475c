package peers

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/bench/peers/target"
)

// patience bounds every wait; nothing is measured by it.
const patience = 20 * time.Second

var (
	// directory has the programs.
	directory string
	// plain are the servers that speak nothing but WebSocket; the floors are the first two.
	plain, floors []target.Target
)

func TestMain(m *testing.M) {
	var err error
	if directory, err = os.MkdirTemp("", "peers"); err == nil {
		err = target.Build(context.Background(), directory, target.All)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	plain = slices.DeleteFunc(slices.Clone(target.All), func(s target.Target) bool { return s.Protocol != "" })
	floors = plain[:2]
	code := m.Run()
	os.RemoveAll(directory)
	os.Exit(code)
}

// start runs s until the test ends and returns its address.
func start(t *testing.T, s target.Target) string {
	t.Helper()
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := probe.Addr().String()
	probe.Close()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	line := s.CommandLine(directory, port)
	command := exec.Command(line[0], line[1:]...)
	var said bytes.Buffer // read once the server has ended
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("the server said: %s", said.Bytes())
		}
	})
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address
		}
	}
	t.Fatalf("%s does not accept", s.Name)
	return ""
}

// dial opens path and also returns the connection below, to write cut frames.
func dial(t *testing.T, address, path string) (*websocket.Conn, net.Conn) {
	t.Helper()
	return dialWith(t, *websocket.DefaultDialer, address, path)
}

func dialWith(t *testing.T, dialer websocket.Dialer, address, path string) (*websocket.Conn, net.Conn) {
	t.Helper()
	c, _, err := dialer.Dial("ws://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	c.SetWriteDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c, c.NetConn()
}

func eachServer(t *testing.T, servers []target.Target, test func(t *testing.T, address string)) {
	for _, s := range servers {
		t.Run(s.Name, func(t *testing.T) { test(t, start(t, s)) })
	}
}

// payload is n bytes in which no two places of a message look alike for long.
func payload(n, seed int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i/251 + seed)
	}
	return p
}

// masked encodes one client frame.
func masked(opcode byte, payload []byte) []byte {
	p := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		p = append(p, 0x80|byte(n))
	case n <= 0xffff:
		p = binary.BigEndian.AppendUint16(append(p, 0x80|126), uint16(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, 0x80|127), uint64(n))
	}
	key := [4]byte{0x12, 0xa7, 0x00, 0xfe}
	p = append(p, key[:]...)
	for i, b := range payload {
		p = append(p, b^key[i%4])
	}
	return p
}

func expect(t *testing.T, c *websocket.Conn, want []byte) {
	t.Helper()
	kind, got, err := c.ReadMessage()
	if err != nil {
		t.Fatalf("reading an echo of %d bytes: %v", len(want), err)
	}
	if kind != websocket.BinaryMessage || !bytes.Equal(got, want) {
		t.Fatalf("got a message of kind %d and %d bytes that is not the %d bytes sent", kind, len(got), len(want))
	}
}

func TestEchoSizes(t *testing.T) {
	eachServer(t, plain, func(t *testing.T, address string) {
		c, _ := dial(t, address, "/echo")
		for _, n := range []int{1, 125, 126, 128, 4095, 65535, 65536, 1 << 20} {
			want := payload(n, n)
			if err := c.WriteMessage(websocket.BinaryMessage, want); err != nil {
				t.Fatal(err)
			}
			expect(t, c, want)
		}
	})
}

func TestEchoOfEmptyMessages(t *testing.T) {
	capable := slices.DeleteFunc(slices.Clone(plain), func(s target.Target) bool {
		return s.Name == "nbio" // v1.6.12 passes over an empty message
	})
	eachServer(t, capable, func(t *testing.T, address string) {
		c, raw := dial(t, address, "/echo")
		stream := masked(websocket.BinaryMessage, nil)
		for _, b := range append(stream, stream...) {
			if _, err := raw.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, c, nil)
		expect(t, c, nil)
	})
}

func TestEchoFramesCutByteByByte(t *testing.T) {
	eachServer(t, plain, func(t *testing.T, address string) {
		c, raw := dial(t, address, "/echo")
		for _, n := range []int{1, 5, 300} {
			want := payload(n, n)
			for _, b := range masked(websocket.BinaryMessage, want) {
				if _, err := raw.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			expect(t, c, want)
		}
	})
}

func TestEchoSeveralFramesInOneSegment(t *testing.T) {
	sizes := []int{3, 1, 125, 126, 1000, 65536, 40}
	var stream []byte
	for i, n := range sizes {
		stream = append(stream, masked(websocket.BinaryMessage, payload(n, i))...)
	}
	eachServer(t, plain, func(t *testing.T, address string) {
		for _, cut := range []int{1, 2, 5, 7, 9, 13, 140, 143, 500, len(stream) - 1, len(stream)} {
			c, raw := dial(t, address, "/echo")
			for _, part := range [][]byte{stream[:cut], stream[cut:]} {
				if _, err := raw.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			for i, n := range sizes {
				expect(t, c, payload(n, i))
			}
		}
	})
}

// TestEchoToSlowReader sends messages that are larger than a send buffer may
// grow, to a peer with a small receive buffer: writes are cut short.
func TestEchoToSlowReader(t *testing.T) {
	const size, messages = 8 << 20, 3
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var setErr error
		err := c.Control(func(fd uintptr) {
			setErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10)
		})
		return errors.Join(err, setErr)
	}}
	eachServer(t, floors, func(t *testing.T, address string) {
		c, _ := dialWith(t, websocket.Dialer{NetDialContext: dialer.DialContext}, address, "/echo")
		sent := make(chan error, 1)
		go func() { // ends when all is sent, or at the deadline of c
			for i := range messages {
				if err := c.WriteMessage(websocket.BinaryMessage, payload(size, i)); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for i := range messages {
			expect(t, c, payload(size, i))
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

func TestControlFrames(t *testing.T) {
	eachServer(t, floors, func(t *testing.T, address string) {
		c, raw := dial(t, address, "/echo")
		pong := ""
		c.SetPongHandler(func(data string) error { pong = data; return nil })
		stream := append(masked(websocket.PingMessage, []byte("are you there")), masked(websocket.BinaryMessage, []byte("x"))...)
		stream = append(stream, masked(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))...)
		if _, err := raw.Write(stream); err != nil {
			t.Fatal(err)
		}
		expect(t, c, []byte("x"))
		if pong != "are you there" {
			t.Errorf("pong %q, want the ping's payload", pong)
		}
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("after a close frame: %v, want the close frame back", err)
		}
	})
}

// awaitJoined returns once the server has answered a ping, which it does after it
// has counted the connection among its subscribers.
func awaitJoined(t *testing.T, raw net.Conn) {
	t.Helper()
	if _, err := raw.Write(masked(websocket.PingMessage, nil)); err != nil {
		t.Fatal(err)
	}
	pong := make([]byte, 2)
	if _, err := io.ReadFull(raw, pong); err != nil || pong[0] != 0x80|websocket.PongMessage || pong[1] != 0 {
		t.Fatalf("got % x, %v in answer to a ping; want an empty pong", pong, err)
	}
}

func TestBroadcast(t *testing.T) {
	eachServer(t, plain, func(t *testing.T, address string) {
		var subscribers []*websocket.Conn
		for range 20 {
			c, raw := dial(t, address, "/broadcast")
			awaitJoined(t, raw)
			subscribers = append(subscribers, c)
		}
		for i, publisher := range subscribers[:3] {
			want := payload(128, i)
			if err := publisher.WriteMessage(websocket.BinaryMessage, want); err != nil {
				t.Fatal(err)
			}
			for _, c := range subscribers {
				expect(t, c, want)
			}
		}
	})
}

func TestFloorFrameInTheSegmentOfTheHandshake(t *testing.T) {
	request := "GET /echo HTTP/1.1\r\nHost: floor\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x82\x02hi"
	stream := append([]byte(request), masked(websocket.BinaryMessage, []byte("hi"))...)
	for _, s := range floors {
		t.Run(s.Name, func(t *testing.T) {
			address := start(t, s)
			for _, cut := range []int{1, len(request) - 1, len(request) + 3, len(stream)} {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(patience))
				for _, part := range [][]byte{stream[:cut], stream[cut:]} {
					if _, err := c.Write(part); err != nil {
						t.Fatal(err)
					}
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
					t.Errorf("cut at %d: %q, %v; want %q", cut, got, err, want)
				}
				c.Close()
			}
		})
	}
}

func TestFloorRefusesUnmaskedFrame(t *testing.T) {
	for _, s := range floors {
		t.Run(s.Name, func(t *testing.T) {
			c, raw := dial(t, start(t, s), "/echo")
			if _, err := raw.Write([]byte{0x82, 0x01, 'x'}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.ReadMessage(); err == nil {
				t.Error("an unmasked frame was answered")
			}
		})
	}
}

func TestCentrifuge(t *testing.T) {
	at := slices.IndexFunc(target.All, func(s target.Target) bool { return s.Name == "centrifuge" })
	address := start(t, target.All[at])
	for path, want := range map[string]string{
		"/echo":      `{"push":{"message":{"data":"hello"}}}`,
		"/broadcast": `{"push":{"channel":"all","pub":{"data":"hello"}}}`,
	} {
		t.Run(path, func(t *testing.T) {
			var clients []*websocket.Conn
			for range 20 {
				c, _ := dial(t, address, path)
				if err := c.WriteMessage(websocket.TextMessage, []byte(`{"id":1,"connect":{}}`)); err != nil {
					t.Fatal(err)
				}
				if _, reply, err := c.ReadMessage(); err != nil || !bytes.HasPrefix(reply, []byte(`{"id":1,"connect":`)) {
					t.Fatalf("connecting: %s, %v", reply, err)
				}
				clients = append(clients, c)
			}
			if err := clients[0].WriteMessage(websocket.TextMessage, []byte(`{"send":{"data":"hello"}}`)); err != nil {
				t.Fatal(err)
			}
			if path == "/echo" {
				clients = clients[:1]
			}
			for _, c := range clients {
				if _, got, err := c.ReadMessage(); err != nil || string(got) != want {
					t.Errorf("got %s, %v; want %s", got, err, want)
				}
			}
		})
	}
}
