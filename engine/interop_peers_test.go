package engine_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/weirws/weir/frame"
)

// A peer is a connection of another library's client. One goroutine reads and one
// writes.
type peer interface {
	send(op frame.Opcode, payload []byte) error
	// sendFragments sends one message, each piece in a frame of its own or in several.
	sendFragments(op frame.Opcode, pieces [][]byte) error
	// receive returns the next message, and answers pings meanwhile. A close frame is
	// the error peerClosed.
	receive() (frame.Opcode, []byte, error)
	// ping sends a ping and returns when its pong has come.
	ping() error
	// close sends a close frame, and does of the close handshake what its library does.
	close(code frame.CloseCode, reason string) error
	// abandon closes the socket.
	abandon()
}

// libraries are the clients, each as its documentation uses it. dial reports whether
// compression was negotiated.
var libraries = []struct {
	name     string
	compress bool
	dial     func(t *testing.T, address string, compress bool) (p peer, compressed bool)
}{
	{"gorilla", false, dialGorilla},
	{"gorilla compressing", true, dialGorilla},
	{"coder", false, dialCoder(coder.CompressionDisabled)},
	{"coder compressing", true, dialCoder(coder.CompressionNoContextTakeover)},
	{"coder compressing with context", true, dialCoder(coder.CompressionContextTakeover)},
	{"gobwas", false, dialGobwas},
	{"gobwas compressing", true, dialGobwas},
	{"gws", false, dialGws},
	{"gws compressing", true, dialGws},
}

func offersDeflate(h http.Header) bool {
	return strings.Contains(h.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
}

type gorillaPeer struct{ conn *websocket.Conn }

func dialGorilla(t *testing.T, address string, compress bool) (peer, bool) {
	dialer := websocket.Dialer{EnableCompression: compress, WriteBufferSize: 8 << 10}
	conn, response, err := dialer.Dial("ws://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return gorillaPeer{conn}, offersDeflate(response.Header)
}

func (p gorillaPeer) send(op frame.Opcode, payload []byte) error {
	return p.conn.WriteMessage(int(op), payload)
}

func (p gorillaPeer) sendFragments(op frame.Opcode, pieces [][]byte) error {
	w, err := p.conn.NextWriter(int(op)) // sends a frame whenever its buffer is full
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return w.Close()
}

func (p gorillaPeer) receive() (frame.Opcode, []byte, error) {
	op, payload, err := p.conn.ReadMessage()
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		err = peerClosed{frame.CloseCode(closed.Code), closed.Text}
	}
	return frame.Opcode(op), payload, err
}

func (p gorillaPeer) ping() error {
	got := ""
	p.conn.SetPongHandler(func(s string) error { got = s; return nil })
	err := p.conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience))
	if err != nil {
		return err
	}
	if err := p.send(frame.Text, []byte("behind the ping")); err != nil { // a pong alone does not return from ReadMessage
		return err
	}
	if _, _, err := p.receive(); err != nil || got != "are you there" {
		return fmt.Errorf("pong with %q, %w", got, err)
	}
	return nil
}

func (p gorillaPeer) close(code frame.CloseCode, reason string) error {
	err := p.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), reason), time.Now().Add(patience))
	if err != nil {
		return err
	}
	_, _, err = p.receive()
	return answered(err, code)
}

func (p gorillaPeer) abandon() { _ = p.conn.Close() }

// answered returns nil if err is a close frame with this code.
func answered(err error, code frame.CloseCode) error {
	var closed peerClosed
	if errors.As(err, &closed) && closed.code == code {
		return nil
	}
	return fmt.Errorf("close frame not answered with %d: %w", code, err)
}

type coderPeer struct{ conn *coder.Conn }

func dialCoder(mode coder.CompressionMode) func(*testing.T, string, bool) (peer, bool) {
	return func(t *testing.T, address string, _ bool) (peer, bool) {
		conn, response, err := coder.Dial(t.Context(), "ws://"+address, &coder.DialOptions{CompressionMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadLimit(-1)
		return coderPeer{conn}, offersDeflate(response.Header)
	}
}

// bounded is a context for one call of coder's client.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*patience)
}

func (p coderPeer) send(op frame.Opcode, payload []byte) error {
	ctx, cancel := bounded()
	defer cancel()
	return p.conn.Write(ctx, coder.MessageType(op), payload)
}

func (p coderPeer) sendFragments(op frame.Opcode, pieces [][]byte) error {
	ctx, cancel := bounded()
	defer cancel()
	w, err := p.conn.Writer(ctx, coder.MessageType(op)) // sends a frame for each Write
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return w.Close()
}

func (p coderPeer) receive() (frame.Opcode, []byte, error) {
	ctx, cancel := bounded()
	defer cancel()
	op, payload, err := p.conn.Read(ctx)
	var closed coder.CloseError
	if errors.As(err, &closed) {
		err = peerClosed{frame.CloseCode(closed.Code), closed.Reason}
	}
	return frame.Opcode(op), payload, err
}

func (p coderPeer) ping() error {
	ctx, cancel := bounded()
	defer cancel()
	done := make(chan error, 1)
	go func() { // ends with the pong, or with ctx
		err := p.conn.Ping(ctx)
		done <- errors.Join(err, p.send(frame.Text, []byte("behind the ping")))
	}()
	_, _, err := p.receive()
	return errors.Join(<-done, err)
}

func (p coderPeer) close(code frame.CloseCode, reason string) error {
	return p.conn.Close(coder.StatusCode(code), reason) // waits for the answer
}

func (p coderPeer) abandon() { _ = p.conn.CloseNow() }

// quickFlate is wsflate.DefaultHelper at the level that takes the least time.
var quickFlate = wsflate.Helper{
	Compressor: func(w io.Writer) wsflate.Compressor {
		c, _ := flate.NewWriter(w, flate.BestSpeed) // fails for levels that there are not
		return c
	},
	Decompressor: func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) },
}

// A gobwasPeer writes with wsutil, and reads and compresses frame by frame, as the
// examples of gobwas/ws do.
type gobwasPeer struct {
	conn     net.Conn
	in       io.Reader
	compress bool
}

func dialGobwas(t *testing.T, address string, compress bool) (peer, bool) {
	var dialer ws.Dialer
	if compress {
		dialer.Extensions = []httphead.Option{wsflate.DefaultParameters.Option()}
	}
	conn, br, handshake, err := dialer.Dial(t.Context(), "ws://"+address)
	if err != nil {
		t.Fatal(err)
	}
	p := &gobwasPeer{conn: conn, in: conn, compress: compress}
	if br != nil {
		p.in = br
	} else {
		p.in = bufio.NewReader(conn)
	}
	return p, len(handshake.Extensions) > 0
}

func (p *gobwasPeer) send(op frame.Opcode, payload []byte) error {
	if !p.compress {
		return wsutil.WriteClientMessage(p.conn, ws.OpCode(op), payload)
	}
	f, err := quickFlate.CompressFrame(ws.NewFrame(ws.OpCode(op), true, bytes.Clone(payload)))
	if err != nil {
		return err
	}
	return ws.WriteFrame(p.conn, ws.MaskFrameInPlace(f))
}

func (p *gobwasPeer) sendFragments(op frame.Opcode, pieces [][]byte) error {
	state := ws.StateClientSide
	var message wsflate.MessageState
	if p.compress {
		state |= ws.StateExtended
	}
	w := wsutil.NewWriter(p.conn, state, ws.OpCode(op))
	var to io.Writer = w
	closeMessage := func() error { return nil }
	if p.compress {
		message.SetCompressed(true)
		w.SetExtensions(&message)
		deflater := wsflate.NewWriter(w, quickFlate.Compressor)
		to, closeMessage = deflater, deflater.Close
	}
	for _, piece := range pieces {
		if _, err := to.Write(piece); err != nil {
			return err
		}
		if err := w.FlushFragment(); err != nil {
			return err
		}
	}
	return errors.Join(closeMessage(), w.Flush())
}

func (p *gobwasPeer) receive() (frame.Opcode, []byte, error) {
	for {
		f, err := p.readFrame()
		if err != nil {
			return 0, nil, err
		}
		switch f.Header.OpCode {
		case ws.OpPing:
			if err := p.writeFrame(ws.NewPongFrame(f.Payload)); err != nil {
				return 0, nil, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			_ = p.writeFrame(f)
			return 0, nil, peerClosed{frame.CloseCode(code), reason}
		default:
			if compressed, err := wsflate.IsCompressed(f.Header); compressed || err != nil {
				if f, err = quickFlate.DecompressFrame(f); err != nil {
					return 0, nil, err
				}
			}
			return frame.Opcode(f.Header.OpCode), f.Payload, nil
		}
	}
}

func (p *gobwasPeer) readFrame() (ws.Frame, error) {
	h, err := ws.ReadHeader(p.in)
	if err != nil {
		return ws.Frame{}, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(p.in, payload)
	return ws.Frame{Header: h, Payload: payload}, err
}

func (p *gobwasPeer) writeFrame(f ws.Frame) error {
	return ws.WriteFrame(p.conn, ws.MaskFrame(f))
}

func (p *gobwasPeer) ping() error {
	if err := p.writeFrame(ws.NewPingFrame([]byte("are you there"))); err != nil {
		return err
	}
	f, err := p.readFrame()
	if err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) != "are you there" {
		return fmt.Errorf("frame %+v, %w; want the pong", f, err)
	}
	return nil
}

func (p *gobwasPeer) close(code frame.CloseCode, reason string) error {
	if err := p.writeFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason))); err != nil {
		return err
	}
	f, err := p.readFrame()
	if err != nil {
		return err
	}
	got, _ := ws.ParseCloseFrameData(f.Payload)
	return answered(peerClosed{code: frame.CloseCode(got)}, code)
}

func (p *gobwasPeer) abandon() { _ = p.conn.Close() }

// A gwsPeer collects what gws calls back with.
type gwsPeer struct {
	gws.BuiltinEventHandler
	conn     *gws.Conn
	messages chan gwsMessage
	pongs    chan string
	ended    chan error // holds why, at the end
}

type gwsMessage struct {
	op      frame.Opcode
	payload []byte
}

func dialGws(t *testing.T, address string, compress bool) (peer, bool) {
	p := &gwsPeer{messages: make(chan gwsMessage, 16), pongs: make(chan string, 1), ended: make(chan error, 1)}
	conn, response, err := gws.NewClient(p, &gws.ClientOption{
		Addr:               "ws://" + address,
		ReadMaxPayloadSize: interopMost,
		PermessageDeflate:  gws.PermessageDeflate{Enabled: compress, ServerContextTakeover: true, ClientContextTakeover: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.conn = conn
	go conn.ReadLoop() // ends with the socket
	return p, offersDeflate(response.Header)
}

func (p *gwsPeer) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }
func (p *gwsPeer) OnPong(_ *gws.Conn, payload []byte)    { p.pongs <- string(payload) }
func (p *gwsPeer) OnClose(_ *gws.Conn, err error)        { p.ended <- err }

func (p *gwsPeer) OnMessage(_ *gws.Conn, m *gws.Message) {
	p.messages <- gwsMessage{frame.Opcode(m.Opcode), bytes.Clone(m.Bytes())}
	_ = m.Close()
}

func (p *gwsPeer) send(op frame.Opcode, payload []byte) error {
	return p.conn.WriteMessage(gws.Opcode(op), payload)
}

func (p *gwsPeer) sendFragments(op frame.Opcode, pieces [][]byte) error {
	return p.conn.WriteFile(gws.Opcode(op), bytes.NewReader(bytes.Join(pieces, nil)))
}

func (p *gwsPeer) receive() (frame.Opcode, []byte, error) {
	select {
	case m := <-p.messages:
		return m.op, m.payload, nil
	case err := <-p.ended:
		select {
		case m := <-p.messages: // came before the end
			p.ended <- err
			return m.op, m.payload, nil
		default:
		}
		var closed *gws.CloseError
		if errors.As(err, &closed) {
			err = peerClosed{frame.CloseCode(closed.Code), string(closed.Reason)}
		}
		return 0, nil, err
	case <-time.After(2 * patience):
		return 0, nil, context.DeadlineExceeded
	}
}

func (p *gwsPeer) ping() error {
	if err := p.conn.WritePing([]byte("are you there")); err != nil {
		return err
	}
	select {
	case got := <-p.pongs:
		if got != "are you there" {
			return fmt.Errorf("pong with %q", got)
		}
		return nil
	case <-time.After(2 * patience):
		return context.DeadlineExceeded
	}
}

// close closes the socket behind the close frame: gws does not wait for the answer.
func (p *gwsPeer) close(code frame.CloseCode, reason string) error {
	return p.conn.WriteClose(uint16(code), []byte(reason))
}

func (p *gwsPeer) abandon() { _ = p.conn.NetConn().Close() }
