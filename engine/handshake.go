package engine

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/gobwas/ws"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A handshake is the state of an opening handshake, from the first byte to OnOpen's
// verdict.
type handshake struct {
	// Owned by the loop.
	bytes   *frame.Buffer // what has arrived: the header, and behind it frames
	scanned int           // the end of the header is not in bytes before here
	memory  memory
	size    int // of the header; 0: not whole yet

	// The runner's while OnOpen runs, the loop's otherwise.
	request   *handler.Request
	extension string // the answer to the offers of extensions
	err       error  // what OnOpen returned
}

var handshakes = sync.Pool{New: func() any { return new(handshake) }}

// recycle gives back what the handshake holds, and itself.
func (h *handshake) recycle() {
	h.bytes.Release()
	*h = handshake{}
	handshakes.Put(h)
}

var (
	emptyLine = []byte("\r\n")
	headerEnd = []byte("\r\n\r\n")
)

// readHeader gathers the opening handshake and acts on it once it is whole.
func (c *Conn) readHeader(in []byte) {
	hs := c.hs
	if hs.bytes == nil {
		hs.bytes = frame.NewBuffer(len(in))
	}
	hs.bytes.Append(in)
	if hs.scanned == 0 && !c.beginHeader() {
		return
	}
	have := hs.bytes.B
	i := bytes.Index(have[hs.scanned:], headerEnd)
	size := hs.scanned + i + len(headerEnd)
	switch most := c.loop.engine.options.MaxHeaderBytes; {
	case i >= 0 && size <= most:
		hs.size = size
		c.handshakeArrived()
	case i >= 0 || len(have) > most:
		c.refuse(handler.Refuse(http.StatusRequestHeaderFieldsTooLarge, "request header too large"))
	default:
		hs.scanned = max(0, len(have)-len(headerEnd)+1)
	}
}

// beginHeader looks at how a request begins. It reports false if there is nothing of it
// yet, or it was refused.
func (c *Conn) beginHeader() bool {
	b := c.hs.bytes
	rest := b.B
	for bytes.HasPrefix(rest, emptyLine) {
		rest = rest[len(emptyLine):] // RFC 9112 section 2.2: to be ignored before a request
	}
	b.B = b.B[:copy(b.B, rest)]
	switch {
	case len(b.B) == 0, len(b.B) == 1 && b.B[0] == emptyLine[0]:
		return false
	case b.B[0] < 'A' || b.B[0] > 'Z':
		// No HTTP method begins so; a TLS ClientHello does.
		c.refuse(handler.Refuse(http.StatusBadRequest, "not an HTTP request"))
		return false
	}
	return true
}

// handshakeArrived routes a request whose header is whole.
func (c *Conn) handshakeArrived() {
	e, hs := c.loop.engine, c.hs
	r, err := handler.ParseRequest(hs.bytes.B[:hs.size])
	if err != nil {
		c.refuseError(err)
		return
	}
	r.RemoteAddr = c.remote.addrPort()
	r.TLS = c.tls.state()
	if !r.IsUpgrade() && e.options.HTTP != nil && !e.isRoute(r.Path) {
		c.handOff()
		return
	}
	route, refusal := e.options.Mux.Decide(r, e.policy())
	if refusal != nil {
		c.refuse(refusal)
		return
	}
	if refusal := e.admit(); refusal != nil {
		c.refuse(refusal)
		return
	}
	c.admitted = true
	c.id = e.ids.Add(1)
	c.path = e.pathOf(route)
	c.setSubprotocol(r.Subprotocol)
	c.outbox.deflate, hs.extension = frame.NegotiateDeflate(e.options.Deflate, r.Header.Values("Sec-WebSocket-Extensions"))
	hs.request = r
	c.startOpening()
}

// startOpening calls OnOpen, or has it called.
func (c *Conn) startOpening() {
	c.state = stateOpening
	c.paused |= pauseOpening
	c.wake(c.loop.at(farAhead))
	if c.loop.engine.options.Mode == OnLoop {
		defer c.decideOpen() // also if OnOpen ends the goroutine
		c.callOpen()
		return
	}
	c.notify(eventOpen)
}

// decideOpen acts on OnOpen's verdict: it sends the response, unless we are the client,
// and behind it what OnOpen has sent.
func (c *Conn) decideOpen() {
	hs := c.hs
	if c.fd < 0 {
		c.openedTooLate()
		return
	}
	switch {
	case hs.err != nil && c.client != nil:
		c.decline(hs.err)
		return
	case hs.err != nil:
		c.refuseError(hs.err)
		return
	case c.client == nil:
		c.outbox.putFirst(c.acceptResponse())
	}
	c.open()
	if rest := hs.bytes.B[hs.size:]; len(rest) > 0 && c.fd >= 0 {
		c.consume(rest)
	}
	hs.recycle()
	if c.fd >= 0 {
		c.resume(pauseOpening)
	}
}

// open begins the life of a connection whose handshake is over.
func (c *Conn) open() {
	l, e := c.loop, c.loop.engine
	c.hs = nil
	c.opened = true
	c.state = stateOpen
	_, c.controls = c.application().(handler.ControlHandler)
	c.decoder = frame.NewDecoder(c.decoderOptions(), c.outbox.deflate.Enabled())
	c.told, c.heard = l.now, l.now
	c.wake(l.at(e.pingDelay()))
	if idle := e.options.IdleTimeout; idle > 0 {
		c.wakeBefore(l.at(idle))
	}
	l.slots[c.slot].open = true
	l.pathList(c.path).add(c, &c.pathAt)
	e.registry.add(c)
	e.count.opened.Add(1)
	switch {
	case c.hushed.Load(): // OnOpen has closed it
		c.startClosing()
	case e.draining.Load():
		_ = c.Close(frame.CloseGoingAway, drainReason)
	}
	if c.client != nil {
		c.dialled(nil)
	}
	c.flush()
}

// openedTooLate is decideOpen for a connection that has been dropped since.
func (c *Conn) openedTooLate() {
	err := c.hs.err
	c.dropHandshake()
	if c.client != nil {
		c.dialled(err)
	}
	if err == nil {
		c.closed()
	}
	c.backlog = nil
}

// acceptResponse makes the 101 response (RFC 6455 section 4.2.2). The Upgrader gets to
// see what it needs of the request and no more: the rest has been checked, and a
// connection that OnOpen has accepted must not be refused for it.
func (c *Conn) acceptResponse() *frame.Buffer {
	hs := c.hs
	request := "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + hs.request.Header.Get("Sec-WebSocket-Key") + "\r\n\r\n"
	var extra bytes.Buffer
	if c.subprotocol != nil {
		extra.WriteString("Sec-WebSocket-Protocol: " + *c.subprotocol + "\r\n")
	}
	if hs.extension != "" {
		extra.WriteString("Sec-WebSocket-Extensions: " + hs.extension + "\r\n")
	}
	if h := hs.request.ResponseHeader(); len(h) > 0 {
		_ = h.Write(&extra)
	}
	rw := &hs.memory
	rw.in.Reset(request)
	rw.out = frame.NewBuffer(256)
	u := ws.Upgrader{Header: ws.HandshakeHeaderBytes(extra.Bytes())}
	_, _ = u.Upgrade(rw) // cannot fail: nothing in it is the peer's but the key, which is valid
	return rw.out
}

// memory is a connection in memory, for the Upgrader.
type memory struct {
	in  strings.Reader
	out *frame.Buffer
}

func (m *memory) Read(p []byte) (int, error) { return m.in.Read(p) }

func (m *memory) Write(p []byte) (int, error) {
	m.out.Append(p)
	return len(p), nil
}

var _ io.ReadWriter = (*memory)(nil)

// refuseError answers an opening handshake that failed with err.
func (c *Conn) refuseError(err error) {
	var refusal *handler.Refusal
	if !errors.As(err, &refusal) {
		if !errors.Is(err, handler.ErrPanic) {
			c.loop.engine.options.Logger.LogAttrs(noContext, slog.LevelError, "OnOpen failed",
				slog.Uint64("conn", c.id), slog.Any("err", err))
		}
		refusal = &handler.Refusal{Status: http.StatusInternalServerError}
	}
	c.refuse(refusal)
}

// refuse answers with an HTTP response, after which the connection ends.
func (c *Conn) refuse(r *handler.Refusal) {
	status := r.Status
	if status < 300 || status > 599 {
		status = http.StatusInternalServerError
	}
	c.loop.engine.count.refused(status)
	c.loop.engine.logRefusal(c, status, r)
	response := &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: r.Header, ContentLength: int64(len(r.Body)), Body: io.NopCloser(bytes.NewReader(r.Body)),
	}
	if b := c.hs.bytes; b != nil && bytes.HasPrefix(b.B, []byte("HEAD ")) {
		response.Request = &http.Request{Method: http.MethodHead} // leaves the body out
	}
	b := frame.NewBuffer(512)
	_ = response.Write(&memory{out: b})
	c.dropHandshake()
	c.leave()
	c.backlog = nil
	c.outbox.replace(b)
	c.linger()
}

// dropHandshake gives back what an opening handshake holds.
func (c *Conn) dropHandshake() {
	if c.hs != nil {
		c.hs.recycle()
		c.hs = nil
	}
}
