package engine_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
)

// The suite sends 1000 messages in each case of groups 12 and 13, 11 GB in all. Here a
// case sends as many as fit in so many octets, at least two and at most 100. The sizes
// are the suite's.
const deflateCaseOctets = 128 << 10

// deflateSizes are the messages of a subgroup: their size, and that of the fragments
// in which the compressed message is sent, 0 for one frame.
var deflateSizes = []struct{ message, fragment int }{
	{16, 0}, {64, 0}, {256, 0}, {1 << 10, 0}, {4 << 10, 0}, {8 << 10, 0}, {16 << 10, 0}, {32 << 10, 0}, {64 << 10, 0}, {128 << 10, 0},
	{8 << 10, 256}, {16 << 10, 256}, {32 << 10, 256}, {64 << 10, 256}, {128 << 10, 256},
	{128 << 10, 1 << 10}, {128 << 10, 4 << 10}, {128 << 10, 32 << 10},
}

// A corpus is what messages are cut from: in place of the suite's files, octets of the
// same number and nature.
type corpus struct {
	op         frame.Opcode
	data       []byte
	compresses bool // from the engine's threshold on, in any cut
}

// A deflateGroup is a subgroup: 18 cases on one corpus and one offer.
type deflateGroup struct {
	id     string
	corpus corpus
	offer  string // the client's Sec-WebSocket-Extensions, without permessage-deflate before it
	answer string // the server's
}

const (
	defaultOffer = "; client_no_context_takeover; client_max_window_bits"
	noTakeover   = "; server_no_context_takeover; client_no_context_takeover"
)

// TestConformanceDeflate runs group 12, permessage-deflate on various data.
func TestConformanceDeflate(t *testing.T) {
	r := corpusSource()
	runDeflate(t, engine.Workers, []deflateGroup{
		{"12.1", jsonCorpus(r), defaultOffer, noTakeover},
		{"12.2", corpus{frame.Binary, bitmap(r, 263222), true}, defaultOffer, noTakeover},
		{"12.3", corpus{frame.Binary, prose(r, 222218), true}, defaultOffer, noTakeover},
		{"12.4", corpus{frame.Text, htmlData(r, 263527), true}, defaultOffer, noTakeover},
		{"12.5", corpus{frame.Binary, noise(r, 1042328), false}, defaultOffer, noTakeover},
	})
}

// TestConformanceDeflateParameters runs group 13, what a client may ask of the server.
// The server never keeps its window from one message to the next, and tells the client
// not to, whatever is offered.
func TestConformanceDeflateParameters(t *testing.T) {
	const fresh, narrow, wide = "; server_no_context_takeover", "; server_max_window_bits=9", "; server_max_window_bits=15"
	const further = ", permessage-deflate" + defaultOffer
	json := jsonCorpus(corpusSource())
	runDeflate(t, engine.OnLoop, []deflateGroup{
		{"13.1", json, defaultOffer, noTakeover},
		{"13.2", json, defaultOffer + fresh, noTakeover},
		{"13.3", json, defaultOffer + narrow, noTakeover + narrow},
		{"13.4", json, defaultOffer + wide, noTakeover + wide},
		{"13.5", json, defaultOffer + fresh + narrow, noTakeover + narrow},
		{"13.6", json, defaultOffer + fresh + wide, noTakeover + wide},
		{"13.7", json, defaultOffer + fresh + narrow + further + fresh + further, noTakeover + narrow},
	})
}

// runDeflate runs the 18 cases of each group as subtests.
func runDeflate(t *testing.T, mode engine.Mode, groups []deflateGroup) {
	e := startConformance(t, mode)
	for _, g := range groups {
		for i, size := range deflateSizes {
			t.Run(fmt.Sprintf("%s.%d", g.id, i+1), func(t *testing.T) { g.run(t, e, size.message, size.fragment) })
		}
	}
}

// run plays one case on a connection of its own.
func (g deflateGroup) run(t *testing.T, e *engine.Engine, size, fragmentSize int) {
	client := dialTCP(t, e)
	client.put(t, upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate"+g.offer))
	response, _ := client.expectStatus(t, http.StatusSwitchingProtocols)
	if got, want := response.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"+g.answer; got != want {
		t.Fatalf("offer %q is answered %q; want %q", g.offer, got, want)
	}
	deflater := deflateWriter(t)
	at := 0
	for range min(max(deflateCaseOctets/size, 2), 100) {
		message := g.corpus.cut(&at, size)
		client.put(t, compressedFrames(t, deflater, g.corpus.op, message, fragmentSize))
		op, payload, compressed := readCompressed(t, client)
		if op != g.corpus.op || !bytes.Equal(payload, message) {
			t.Fatalf("got %d octets with opcode %d, %.100q; want %d with opcode %d, %.100q",
				len(payload), op, payload, len(message), g.corpus.op, message)
		}
		if want := g.corpus.compresses && size >= 512; compressed != want {
			t.Errorf("echo of %d octets is compressed: %v; want %v", size, compressed, want)
		}
	}
	g.probeWindow(t, client, deflater)
	client.put(t, closeFrame(frame.CloseNormal, ""))
	client.expectClose(t, frame.CloseNormal)
	client.expectEnd(t)
}

// probeWindow sends what can be compressed only with a window of 1 KiB at least. The
// server must not do that if the client has asked for 9 bits, which are 512 octets.
func (g deflateGroup) probeWindow(t *testing.T, client *rawClient, deflater *flate.Writer) {
	message := bytes.Repeat(noise(corpusSource(), 1<<10), 2)
	client.put(t, compressedFrames(t, deflater, frame.Binary, message, 0))
	op, payload, compressed := readCompressed(t, client)
	if want := !strings.HasSuffix(g.answer, "bits=9"); op != frame.Binary || !bytes.Equal(payload, message) || compressed != want {
		t.Fatalf("got %d octets with opcode %d, compressed: %v; want %d with opcode %d, compressed: %v",
			len(payload), op, compressed, len(message), frame.Binary, want)
	}
}

// cut returns the n octets at at, and moves that on. The corpus repeats itself.
func (c corpus) cut(at *int, n int) []byte {
	start := *at
	*at = (start + n) % len(c.data)
	if start+n <= len(c.data) {
		return c.data[start : start+n]
	}
	return append(bytes.Clone(c.data[start:]), c.data[:*at]...)
}

func deflateWriter(t *testing.T) *flate.Writer {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		t.Fatalf("flate: %v", err)
	}
	return w
}

// flushTail is what ends a flushed block and is not sent (RFC 7692 section 7.2.1).
const flushTail = "\x00\x00\xff\xff"

// compressedFrames compresses a message by itself and puts it in masked frames of at
// most size octets, or in one.
func compressedFrames(t *testing.T, w *flate.Writer, op frame.Opcode, message []byte, size int) []byte {
	var compressed bytes.Buffer
	w.Reset(&compressed)
	_, err := w.Write(message)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatalf("flate: %v", err)
	}
	payload := strings.TrimSuffix(compressed.String(), flushTail)
	if size == 0 {
		size = len(payload)
	}
	frames := fragments(op, payload, size)
	frames[0].rsv = 4 // RSV1, of the first frame only
	return send(frames...).send
}

// readCompressed reads one whole frame and inflates its payload if RSV1 is set.
func readCompressed(t *testing.T, client *rawClient) (op frame.Opcode, payload []byte, compressed bool) {
	h, err := ws.ReadHeader(client.in)
	if err != nil || !h.Fin || h.Masked || h.Rsv2() || h.Rsv3() {
		t.Fatalf("got frame header %+v, error %v; want a whole frame", h, err)
	}
	payload = make([]byte, h.Length)
	if _, err := io.ReadFull(client.in, payload); err != nil {
		t.Fatalf("reading %d octets: %v", h.Length, err)
	}
	if !h.Rsv1() {
		return frame.Opcode(h.OpCode), payload, false
	}
	// An empty final block lets the reader find the end of the stream.
	const end = "\x01\x00\x00\xff\xff"
	inflater := flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader(flushTail+end)))
	if payload, err = io.ReadAll(inflater); err != nil {
		t.Fatalf("inflating: %v", err)
	}
	return frame.Opcode(h.OpCode), payload, true
}

// corpusSource is the same in every run.
func corpusSource() *rand.Rand {
	const seed = 7692
	return rand.New(rand.NewPCG(seed, seed))
}

func jsonCorpus(r *rand.Rand) corpus { return corpus{frame.Text, jsonData(r, 194056), true} }

// jsonData is n octets of JSON, without regard to where they end.
func jsonData(r *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id": %d, "name": "%s %s", "balance": "$%d.%02d", "active": %v},`+"\n",
			r.Uint32(), word(r), word(r), r.IntN(10000), r.IntN(100), r.IntN(2) == 0)
	}
	return b.Bytes()[:n]
}

// htmlData is n octets of HTML.
func htmlData(r *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "<tr><td class=\"name\"><a href=\"/%s/%d\">%s</a></td><td>%d</td></tr>\n", word(r), r.IntN(1e6), word(r), r.IntN(1e4))
	}
	return b.Bytes()[:n]
}

// prose is n octets of words.
func prose(r *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(word(r))
		b.WriteByte(" \n"[min(1, r.IntN(8)/7)])
	}
	return b.Bytes()[:n]
}

var words = strings.Fields("Habe nun ach Philosophie Juristerei und Medizin und leider auch Theologie " +
	"durchaus studiert mit Bemuehn da steh ich nun ich armer Tor und bin so klug als wie zuvor")

func word(r *rand.Rand) string { return words[r.IntN(len(words))] }

// bitmap is n octets of a picture in grey: rings with some noise.
func bitmap(r *rand.Rand, n int) []byte {
	const width = 512
	p := make([]byte, n)
	for i := range p {
		x, y := i%width-width/2, i/width-width/2
		p[i] = byte((x*x+y*y)>>12&0x0f<<4 + r.IntN(2))
	}
	return p
}

// noise is n octets that cannot be compressed.
func noise(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}
