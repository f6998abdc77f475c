package engine_test

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gobwas/ws"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// The conformance tests are the case list of the Autobahn|Testsuite's fuzzing client,
// under the numbers it has there, against an echo server. Where the suite
// tolerates several outcomes, as "non-strict" or "informational", one is demanded here: the
// strict one.

// conformanceGroups are the groups of short cases.
var conformanceGroups = []struct {
	name  string
	cases iter.Seq[conformanceCase]
	count int // of cases in the suite
}{
	{"1 framing", slices.Values(framingCases()), 16},
	{"2 pings and pongs", slices.Values(pingCases()), 11},
	{"3 reserved bits", slices.Values(reservedBitCases()), 7},
	{"4 opcodes", slices.Values(opcodeCases()), 10},
	{"5 fragmentation", slices.Values(fragmentationCases()), 20},
	{"6 UTF-8", slices.Values(textCases()), 145},
	{"7 close handling", slices.Values(closeCases()), 37},
	{"10 automatic fragmentation", slices.Values(automaticFragmentationCases()), 1},
}

// casesLeftOut are the numbers that the suite's index mentions and that are not run.
var casesLeftOut = []struct{ ids, reason string }{
	{"7.2, 7.4, 7.6, 7.8, 7.10, 7.11", "disabled in the suite: the server would have to begin the close handshake, which an echo server does not"},
	{"9.9, 9.10", "disabled in the suite: a message without end; the engine has a bound, MaxMessageBytes"},
	{"0, 8, 11", "without cases in the suite"},
}

func TestConformance(t *testing.T) {
	for _, out := range casesLeftOut {
		t.Logf("left out: %s: %s", out.ids, out.reason)
	}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startConformance(t, mode)
		for _, g := range conformanceGroups {
			if n := runCases(t, e, g.cases); n != g.count {
				t.Errorf("group %s has %d cases; want %d", g.name, n, g.count)
			}
		}
	})
}

// startConformance starts an echo server that could compress, and has room for the
// largest messages of the suite.
func startConformance(t *testing.T, mode engine.Mode) *engine.Engine {
	return startEngine(t, engine.Options{
		Mux:             routes(handler.Echo{}),
		Mode:            mode,
		Deflate:         frame.DeflateOptions{Enabled: true},
		MaxMessageBytes: 16 << 20,
		PingInterval:    -1, // a ping in between is none of the outcomes
		Logger:          slog.New(slog.DiscardHandler),
	})
}

// runCases runs each case as a subtest, and once more in single octets if it is
// short. It returns their number.
func runCases(t *testing.T, e *engine.Engine, cases iter.Seq[conformanceCase]) (n int) {
	const short = 1 << 10
	for c := range cases {
		n++
		t.Run(c.id, func(t *testing.T) {
			c.run(t, e, c.chop)
			if c.chop != 1 && c.octets() <= short {
				c.run(t, e, 1)
			}
		})
	}
	return n
}

// A conformanceCase is what the client sends, and all that the server may send.
type conformanceCase struct {
	id    string
	steps []caseStep
	chop  int             // steps are written in pieces of so many octets; 0: in one
	code  frame.CloseCode // in the server's close frame
	ends  bool            // the steps end the connection, by a close frame or a violation
	late  bool            // octets follow the client's close frame, and may meet a closed socket
}

// A caseStep is octets that are written together, and the frames that are read before
// the next step.
type caseStep struct {
	send []byte
	want []serverFrame
}

// A serverFrame is a whole, unfragmented frame from the server.
type serverFrame struct {
	op      frame.Opcode
	payload string
}

// echoes is a case in which everything is legal. When all is read the client closes
// with 1000.
func echoes(id string, steps ...caseStep) conformanceCase {
	return conformanceCase{id: id, steps: steps, code: frame.CloseNormal}
}

// ends is a case whose steps end the connection: the server's last frame is a close
// frame with code.
func ends(id string, code frame.CloseCode, steps ...caseStep) conformanceCase {
	return conformanceCase{id: id, steps: steps, code: code, ends: true}
}

// chopped returns c with its steps written in pieces of n octets.
func (c conformanceCase) chopped(n int) conformanceCase {
	c.chop = n
	return c
}

// send is a step of these frames, after which nothing is read yet.
func send(frames ...clientFrame) caseStep {
	var s caseStep
	for _, f := range frames {
		s.send = f.append(s.send)
	}
	return s
}

// hear returns s with the frames that the server must send then.
func (s caseStep) hear(want ...serverFrame) caseStep {
	s.want = want
	return s
}

// A clientFrame is a frame as a client sends it, legal or not.
type clientFrame struct {
	more    bool // FIN is not set
	rsv     byte
	op      frame.Opcode
	payload string
}

// whole is an unfragmented frame, or the last of a fragmented message.
func whole(op frame.Opcode, payload string) clientFrame {
	return clientFrame{op: op, payload: payload}
}

// fragment is a frame with more to follow.
func fragment(op frame.Opcode, payload string) clientFrame {
	return clientFrame{more: true, op: op, payload: payload}
}

// reserved is an unfragmented frame with reserved bits set.
func reserved(rsv byte, op frame.Opcode, payload string) clientFrame {
	return clientFrame{rsv: rsv, op: op, payload: payload}
}

// fragments is a message in frames of at most size octets.
func fragments(op frame.Opcode, payload string, size int) (frames []clientFrame) {
	for len(payload) > size {
		frames = append(frames, fragment(op, payload[:size]))
		op, payload = frame.Continuation, payload[size:]
	}
	return append(frames, whole(op, payload))
}

// append appends the frame's octets to p.
func (f clientFrame) append(p []byte) []byte {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d} // RFC 6455 section 5.7
	h := ws.Header{Fin: !f.more, Rsv: f.rsv, OpCode: ws.OpCode(f.op), Masked: true, Mask: key, Length: int64(len(f.payload))}
	p = slices.Grow(p, ws.MaxHeaderSize+len(f.payload))
	b := bytes.NewBuffer(p)
	if err := ws.WriteHeader(b, h); err != nil {
		panic(err) // a buffer takes everything
	}
	p = b.Bytes()
	for i := range len(f.payload) {
		p = append(p, f.payload[i]^key[i%4])
	}
	return p
}

// octets is the number of octets the client sends before it closes.
func (c conformanceCase) octets() (n int) {
	for _, s := range c.steps {
		n += len(s.send)
	}
	return n
}

// run plays the case on a connection of its own.
func (c conformanceCase) run(t *testing.T, e *engine.Engine, chop int) {
	client := dialRaw(t, e, "/")
	for _, s := range c.steps {
		c.write(t, client, s.send, chop)
		for _, want := range s.want {
			op, payload, err := client.readFrame()
			if err != nil || op != want.op || string(payload) != want.payload {
				t.Fatalf("in pieces of %d: got %d octets with opcode %d, %.100q, error %v; want %d with opcode %d, %.100q",
					chop, len(payload), op, payload, err, len(want.payload), want.op, want.payload)
			}
		}
	}
	if !c.ends {
		client.put(t, closeFrame(frame.CloseNormal, ""))
	}
	op, payload, err := client.readFrame()
	code, _, invalid := frame.ParseClosePayload(payload)
	if err != nil || op != frame.Close || invalid != nil || code != c.code {
		t.Fatalf("in pieces of %d: got opcode %d, %.100q, error %v; want a close frame with %v", chop, op, payload, err, c.code)
	}
	if b, err := client.in.ReadByte(); err != io.EOF && !(c.late && isHangUp(err)) {
		t.Errorf("in pieces of %d: got byte %#x, error %v; want the end of the stream", chop, b, err)
	}
}

// write sends p in pieces, each in a segment of its own unless the kernel joins them.
func (c conformanceCase) write(t *testing.T, client *rawClient, p []byte, chop int) {
	if chop == 0 {
		chop = max(1, len(p))
	}
	for piece := range slices.Chunk(p, chop) {
		if _, err := client.Write(piece); err != nil && !(c.late && isHangUp(err)) {
			t.Fatalf("write in pieces of %d: %v", chop, err)
		}
	}
}

// isHangUp reports whether err is what a peer gets that sends to a closed socket.
func isHangUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// repeated is a payload of n octets that repeats p.
func repeated(p string, n int) string {
	return strings.Repeat(p, n/len(p)+1)[:n]
}
