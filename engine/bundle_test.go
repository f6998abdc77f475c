package engine_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
)

// One publication reaches connections that compress, connections that do not, and none
// that has gone or is excepted, in whatever order they stand on the list.
func TestPublishVariants(t *testing.T) {
	const subscribers, published = 50, 20
	e := startEngine(t, engine.Options{
		Loops: 1, Deflate: frame.DeflateOptions{Enabled: true}, Mux: routes(subscriber()),
	})
	message := func(i int) string { return strings.Repeat(fmt.Sprintf("message %d ", i), 60) }
	var clients []*rawClient
	_, excepted := dialSubscriber(t, e, "feed")
	for i := range subscribers {
		var fields []string
		if i%3 == 0 {
			fields = []string{"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"}
		}
		c := dialRaw(t, e, "/?topic=feed", fields...)
		c.readID(t)
		clients = append(clients, c)
	}
	for i := range published {
		if i == published/2 {
			for _, c := range clients[:subscribers/2] {
				c.kill(t)
			}
			clients = clients[subscribers/2:]
		}
		publish(t, e, "feed", message(i), excepted)
		for n, c := range clients {
			got, deflated := c.readVariant(t)
			if wantDeflated := (subscribers-len(clients)+n)%3 == 0; got != message(i) || deflated != wantDeflated {
				t.Fatalf("client %d got %q, compressed %t; want %q, %t", n, got, deflated, message(i), wantDeflated)
			}
		}
	}
	eventually(t, "those that are gone are not counted", func() bool { return e.Hub().Subscriptions("feed") == 1+len(clients) })
}

// readVariant reads a message of one frame, and tells whether it was compressed.
func (c *rawClient) readVariant(t *testing.T) (message string, deflated bool) {
	t.Helper()
	h, err := ws.ReadHeader(c.in)
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c.in, payload); err != nil {
		t.Fatal(err)
	}
	if !h.Rsv1() {
		return string(payload), false
	}
	end := strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff") // RFC 7692 section 7.2.2, and a last block
	all, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), end)))
	if err != nil {
		t.Fatal(err)
	}
	return string(all), true
}
