package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// While a loop is held up, a bounded amount of publications waits for it: what Publish
// has accepted arrives, and what it has refused does not.
func TestPublishBusy(t *testing.T) {
	const size, most = 1 << 20, 64
	held, release := make(chan struct{}), make(chan struct{})
	mux := routes(subscriber())
	mux.Handle("/hold", handler.Funcs{Message: func(handler.Conn, frame.Opcode, []byte) {
		close(held)
		<-release
	}})
	e := startEngine(t, engine.Options{
		Mode: engine.OnLoop, Loops: 1, Mux: mux,
		OutboxSoftBytes: 2 * most * size, OutboxHardBytes: 4 * most * size, SlowTimeout: -1,
	})
	client, _ := dialSubscriber(t, e, "feed")
	dialRaw(t, e, "/hold").put(t, text("hold"))
	receive(t, "the loop to be held up", held)

	payload := make([]byte, size)
	accepted := 0
	for ; accepted <= most; accepted++ {
		copy(payload, fmt.Sprintf("%d ", accepted))
		if _, err := e.Hub().Publish("feed", frame.Binary, payload, handler.PublishOptions{}); err != nil {
			if !errors.Is(err, handler.ErrBusy) {
				t.Fatal(err)
			}
			break
		}
	}
	if accepted != most {
		t.Errorf("%d publications of 1 MiB were accepted; want %d", accepted, most)
	}
	if n := e.Hub().Broadcast(frame.Text, []byte("busy"), handler.Audience{}); n != 0 {
		t.Errorf("Broadcast to a busy loop reached %d; want 0", n)
	}
	close(release)
	for i := range accepted {
		_, got, err := client.readMessage()
		if want := fmt.Sprintf("%d ", i); err != nil || len(got) != size || !strings.HasPrefix(string(got), want) {
			t.Fatalf("got %d bytes, %.10q, error %v; want %d, %q", len(got), got, err, size, want)
		}
	}
	publish(t, e, "feed", "room", nil)
	client.expectText(t, "room")
}
