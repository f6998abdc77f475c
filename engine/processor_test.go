package engine_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// With one processor for the loop and the handlers, a handler that waits for what
// another connection sends gets it.
func TestOneProcessor(t *testing.T) {
	const messages = 500
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	gate := make(chan struct{})
	e := startEngine(t, engine.Options{Mux: routes(handler.Func(func(c handler.Conn, op frame.Opcode, payload []byte) {
		switch string(payload) {
		case "wait":
			<-gate
		case "open":
			close(gate)
		}
		_ = c.Send(op, payload)
	}))})
	waiting, other := dialRaw(t, e, "/"), dialRaw(t, e, "/")
	waiting.put(t, text("wait"))
	for i := range messages {
		other.put(t, text(fmt.Sprint(i)))
		other.expectText(t, fmt.Sprint(i))
	}
	other.put(t, text("open"))
	other.expectText(t, "open")
	waiting.expectText(t, "wait")
}
