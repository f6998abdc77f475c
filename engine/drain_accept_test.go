package engine_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Connections in the accept queue of a unix socket reach loops that drain already. Those
// that send nothing do not hold the drain up.
func TestDrainWithSilentConnectionsInTheQueue(t *testing.T) {
	for blocked := range 2 { // one of them is on the loop that accepts
		busy, release := make(chan struct{}), make(chan struct{})
		h := handler.Funcs{Message: func(handler.Conn, frame.Opcode, []byte) { busy <- struct{}{}; <-release }}
		e := startEngine(t, engine.Options{
			Mux: routes(h), Mode: engine.OnLoop, Network: "unix", Address: filepath.Join(t.TempDir(), "weir.sock"),
			DrainTime: time.Hour, HeaderTimeout: time.Hour,
		})
		clients := []*rawClient{dialRaw(t, e, "/"), dialRaw(t, e, "/")}
		clients[blocked].put(t, text("block"))
		receive(t, "OnMessage", busy)
		for range 4 {
			dialTCP(t, e)
		}
		ended := make(chan error, 1)
		go func() { ended <- e.Shutdown(t.Context()) }()
		other := clients[1-blocked]
		other.expectClose(t, frame.CloseGoingAway) // its loop drains
		other.put(t, closeFrame(frame.CloseGoingAway, ""))
		close(release)
		clients[blocked].expectClose(t, frame.CloseGoingAway)
		clients[blocked].put(t, closeFrame(frame.CloseGoingAway, ""))
		expectNil(t, "Shutdown", ended)
	}
}
