package engine_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// servers are echo servers made with other libraries, the way their documentation
// says. A text message "close" is answered with a close frame: 4000, "as you wish".
var servers = []struct {
	name     string
	compress bool
	serve    http.HandlerFunc
}{
	{"gorilla", false, serveGorilla(false)},
	{"gorilla compressing", true, serveGorilla(true)},
	{"coder", false, serveCoder(coder.CompressionDisabled)},
	{"coder compressing", true, serveCoder(coder.CompressionNoContextTakeover)},
	{"coder offering context", true, serveCoder(coder.CompressionContextTakeover)},
	{"gws", false, serveGws(false)},
	{"gws compressing", true, serveGws(true)},
}

// speaksEcho is for all of them: gws refuses clients without a sub-protocol of its own.
var speaksEcho = engine.DialOptions{Subprotocols: []string{"other", "echo"}}

const askToClose, closedAsAsked = "close", "as you wish"

func serveGorilla(compress bool) http.HandlerFunc {
	u := websocket.Upgrader{EnableCompression: compress, Subprotocols: []string{"echo"}}
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			op, payload, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if string(payload) == askToClose {
				bye := websocket.FormatCloseMessage(4000, closedAsAsked)
				_ = conn.WriteMessage(websocket.CloseMessage, bye)
				continue // until the answer
			}
			if err := conn.WriteMessage(op, payload); err != nil {
				return
			}
		}
	}
}

func serveCoder(mode coder.CompressionMode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: mode, Subprotocols: []string{"echo"}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(-1)
		for {
			op, payload, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if string(payload) == askToClose {
				_ = conn.Close(4000, closedAsAsked)
				return
			}
			if err := conn.Write(r.Context(), op, payload); err != nil {
				return
			}
		}
	}
}

func serveGws(compress bool) http.HandlerFunc {
	u := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{
		PermessageDeflate:   gws.PermessageDeflate{Enabled: compress},
		ReadMaxPayloadSize:  2 * interopMost,
		WriteMaxPayloadSize: 2 * interopMost,
		SubProtocols:        []string{"echo"},
	})
	return func(w http.ResponseWriter, r *http.Request) {
		if conn, err := u.Upgrade(w, r); err == nil {
			conn.ReadLoop()
		}
	}
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }

func (gwsEcho) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	if m.Data.String() == askToClose {
		_ = conn.WriteClose(4000, []byte(closedAsAsked))
		return
	}
	_ = conn.WriteMessage(m.Opcode, m.Bytes())
}

// eachServer runs a test against every server in every mode.
func eachServer(t *testing.T, test func(t *testing.T, callers *engine.Engine, url string, compress bool)) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		for _, server := range servers {
			t.Run(server.name, func(t *testing.T) {
				s := httptest.NewServer(server.serve)
				t.Cleanup(s.Close)
				callers := startCallers(t, engine.Options{
					Mode: mode, MaxMessageBytes: interopMost, OutboxHardBytes: 4 * interopMost,
					Deflate: frame.DeflateOptions{Enabled: true},
				})
				test(t, callers, strings.Replace(s.URL, "http:", "ws:", 1), server.compress)
			})
		}
	})
}

func TestDialInteropEcho(t *testing.T) {
	var texts, binaries [][]byte
	for _, size := range interopSizes {
		texts, binaries = append(texts, sentences(size)), append(binaries, randomBytes(size))
	}
	eachServer(t, func(t *testing.T, callers *engine.Engine, url string, compress bool) {
		type message struct {
			op      frame.Opcode
			payload []byte
		}
		echoes := make(chan message, 1)
		h := handler.Func(func(_ handler.Conn, op frame.Opcode, p []byte) { echoes <- message{op, bytes.Clone(p)} })
		c := dial(t, callers, url, h, speaksEcho)
		if c.Subprotocol() != "echo" {
			t.Errorf("sub-protocol %q; want echo", c.Subprotocol())
		}
		for i, size := range interopSizes {
			if size == interopMost && (compress || callers.Options().Mode != engine.Workers) {
				continue // it takes the servers long
			}
			for op, payload := range map[frame.Opcode][]byte{frame.Text: texts[i], frame.Binary: binaries[i]} {
				if err := c.Send(op, payload); err != nil {
					t.Fatal(err)
				}
				if got := receive(t, "the echo", echoes); got.op != op || !bytes.Equal(got.payload, payload) {
					t.Errorf("%v of %d bytes came back as %v of %d", op, size, got.op, len(got.payload))
				}
			}
		}
	})
}

// What can be compressed is, in both directions, if the server wants it.
func TestDialInteropCompresses(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			s := httptest.NewServer(server.serve)
			defer s.Close()
			callers := startCallers(t, engine.Options{Deflate: frame.DeflateOptions{Enabled: true}})
			echoed := make(chan struct{}, 1)
			h := handler.Func(func(handler.Conn, frame.Opcode, []byte) { echoed <- struct{}{} })
			c := dial(t, callers, strings.Replace(s.URL, "http:", "ws:", 1), h, speaksEcho)
			message := sentences(1 << 20)
			_ = c.Send(frame.Text, message)
			receive(t, "the echo", echoed)
			few := uint64(len(message) / 2)
			if n := callers.Counters(); (n.BytesIn < few) != server.compress || (n.BytesOut < few) != server.compress {
				t.Errorf("%d bytes in, %d out; want compression %t", n.BytesIn, n.BytesOut, server.compress)
			}
			_ = c.Close(frame.CloseNormal, "")
			<-c.Done()
		})
	}
}

// Many messages under way at a time come back in order.
func TestDialInteropPipelined(t *testing.T) {
	const messages = 200
	eachServer(t, func(t *testing.T, callers *engine.Engine, url string, _ bool) {
		sizes := make(chan int, messages)
		h := handler.Func(func(_ handler.Conn, _ frame.Opcode, p []byte) { sizes <- len(p) })
		c := dial(t, callers, url, h, speaksEcho)
		for i := range messages {
			if err := c.Send(frame.Binary, randomBytes(i*20)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range messages {
			if got := receive(t, "an echo", sizes); got != i*20 {
				t.Fatalf("message %d has %d bytes; want %d", i, got, i*20)
			}
		}
	})
}

func TestDialInteropCloses(t *testing.T) {
	eachServer(t, func(t *testing.T, callers *engine.Engine, url string, _ bool) {
		h := newCaller()
		c := dial(t, callers, url, h, speaksEcho)
		_ = c.Ping([]byte("are you there"))
		_ = c.Send(frame.Text, []byte(askToClose))
		want := handler.CloseStatus{Code: 4000, Reason: closedAsAsked, Clean: true}
		if s := receive(t, "OnClose", h.ends); s != want {
			t.Errorf("the server began: OnClose got %+v; want %+v", s, want)
		}
		h = newCaller()
		c = dial(t, callers, url, h, speaksEcho)
		if err := c.Close(4001, "enough"); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(frame.Text, nil); !errors.Is(err, handler.ErrClosed) {
			t.Errorf("Send after Close: %v; want ErrClosed", err)
		}
		if s := receive(t, "OnClose", h.ends); s.Code != 4001 || !s.Clean {
			t.Errorf("the client began: OnClose got %+v; want a clean 4001", s)
		}
	})
}
