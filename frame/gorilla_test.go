package frame

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

var interopSizes = []int{0, 1, 125, 126, 127, 500, 4096, 65535, 65536, 300_000}

// interopMessages are text that compresses and bytes that do not.
func interopMessages() (messages []received) {
	for _, n := range interopSizes {
		messages = append(messages, received{op: Text, payload: string(records(n))}, received{op: Binary, payload: string(repeating(n)[:n])})
	}
	return messages
}

// echo returns every message and answers every ping that arrives on conn, until a
// close frame or an error. write encodes a message.
func echo(conn net.Conn, d Decoder, write func(op Opcode, payload []byte) []byte) error {
	defer d.Release()
	in := make([]byte, 1500)
	for {
		n, err := conn.Read(in)
		if err != nil {
			return err
		}
		for rest := in[:n]; len(rest) > 0; {
			m, n, err := d.Decode(rest)
			if err != nil {
				return err
			}
			rest = rest[n:]
			if m.Op == Continuation {
				continue
			}
			if m.Op == Ping {
				m.Op = Pong
			}
			_, err = conn.Write(write(m.Op, m.Payload))
			m.Buffer.Release()
			if m.Op == Close || err != nil {
				return err
			}
		}
	}
}

// Our server side with gorilla's client, over a pipe.
func TestGorillaClient(t *testing.T) {
	for _, compress := range []bool{false, true} {
		for _, fragment := range []int{0, 100} {
			t.Run(fmt.Sprintf("compress=%v,fragment=%d", compress, fragment), func(t *testing.T) {
				ours, theirs := net.Pipe()
				done := make(chan error, 1)
				go func() { done <- serveGorilla(ours, compress) }()
				dialer := websocket.Dialer{
					NetDial:           func(string, string) (net.Conn, error) { return theirs, nil },
					EnableCompression: compress,
					WriteBufferSize:   fragment,
				}
				conn, _, err := dialer.Dial("ws://example.com/", nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := exchange(conn); err != nil {
					t.Errorf("gorilla: %v", err)
				}
				if err := <-done; err != nil {
					t.Errorf("our side: %v", err)
				}
			})
		}
	}
}

// serveGorilla answers the opening handshake on conn and echoes.
func serveGorilla(conn net.Conn, compress bool) error {
	defer conn.Close()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	opts := DeflateOptions{Enabled: compress}
	deflate, response := NegotiateDeflate(opts, req.Header["Sec-Websocket-Extensions"])
	if deflate.Enabled() != compress {
		return fmt.Errorf("offers %q negotiated %+v", req.Header["Sec-Websocket-Extensions"], deflate)
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if response != "" {
		head += "Sec-WebSocket-Extensions: " + response + "\r\n"
	}
	if _, err := conn.Write([]byte(head + "\r\n")); err != nil {
		return err
	}
	return echo(conn, NewDecoder(&DecoderOptions{}, deflate.Enabled()), func(op Opcode, payload []byte) []byte {
		return deflate.AppendMessage(nil, op, payload, &opts)
	})
}

// exchange sends messages and pings over gorilla's end, wants them back, and closes.
func exchange(conn *websocket.Conn) error {
	defer conn.Close()
	pongs := 0
	conn.SetPongHandler(func(string) error {
		pongs++
		return nil
	})
	for _, m := range interopMessages() {
		if err := conn.WriteMessage(websocket.PingMessage, []byte("ping")); err != nil {
			return err
		}
		sent := make(chan error, 1)
		go func() { sent <- writeInParts(conn, m) }()
		kind, payload, err := conn.ReadMessage()
		if err != nil || Opcode(kind) != m.op || string(payload) != m.payload {
			return fmt.Errorf("%v of %d bytes came back as %d, %d bytes, %w", m.op, len(m.payload), kind, len(payload), err)
		}
		if err := <-sent; err != nil {
			return err
		}
	}
	if pongs != 2*len(interopSizes) {
		return fmt.Errorf("%d pongs; want %d", pongs, 2*len(interopSizes))
	}
	bye := websocket.FormatCloseMessage(websocket.CloseGoingAway, "bye")
	if err := conn.WriteMessage(websocket.CloseMessage, bye); err != nil {
		return err
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		return fmt.Errorf("after close: %w; want code 1001", err)
	}
	return nil
}

// writeInParts gives gorilla occasion to fragment.
func writeInParts(conn *websocket.Conn, m received) error {
	w, err := conn.NextWriter(int(m.op))
	if err != nil {
		return err
	}
	for part := range slices.Chunk([]byte(m.payload), 10_000) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// Our client side with gorilla's server, over a socket.
func TestGorillaServer(t *testing.T) {
	for _, compress := range []bool{false, true} {
		t.Run(fmt.Sprintf("compress=%v", compress), func(t *testing.T) {
			done := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				upgrader := websocket.Upgrader{EnableCompression: compress}
				conn, err := upgrader.Upgrade(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if err := exchange(conn); err != nil {
					t.Errorf("gorilla: %v", err)
				}
			}))
			defer server.Close()
			if err := dialGorilla(server.URL, compress); err != nil {
				t.Errorf("our side: %v", err)
			}
			<-done
		})
	}
}

// dialGorilla makes the opening handshake with url and echoes.
func dialGorilla(rawURL string, compress bool) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	opts := DeflateOptions{Enabled: true}
	head := "GET / HTTP/1.1\r\nHost: " + u.Host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Extensions: " + OfferDeflate(opts) + "\r\n\r\n"
	if _, err := conn.Write([]byte(head)); err != nil {
		return err
	}
	// The first frame may come with the response.
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	extensions := strings.Join(resp.Header["Sec-Websocket-Extensions"], ", ")
	deflate, err := AcceptDeflate(opts, extensions)
	if err != nil || deflate.Enabled() != compress {
		return fmt.Errorf("response %q: %+v, %w", extensions, deflate, err)
	}
	early, err := r.Peek(r.Buffered())
	if err != nil {
		return err
	}
	conn = &replayed{Conn: conn, early: bytes.Clone(early)}
	return echo(conn, NewDecoder(&DecoderOptions{Role: Client}, compress), func(op Opcode, payload []byte) []byte {
		return deflate.AppendMasked(nil, op, testKey, payload, &opts)
	})
}

// replayed is a connection of which some bytes have been read already.
type replayed struct {
	net.Conn
	early []byte
}

func (c *replayed) Read(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.early)
	c.early = c.early[n:]
	return n, nil
}
