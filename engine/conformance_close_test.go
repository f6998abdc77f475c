package engine_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// closing is a close frame with a code and a reason, legal or not.
func closing(code frame.CloseCode, reason string) clientFrame {
	return whole(frame.Close, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// closeCases are group 7.
func closeCases() []conformanceCase {
	const greeting = "Hello World!"
	message, echo := whole(frame.Text, greeting), serverFrame{frame.Text, greeting}
	normal := closing(frame.CloseNormal, "")
	large := repeated("BAsd7&jh23", 256<<10)
	late := func(c conformanceCase) conformanceCase {
		c.late = true
		return c
	}
	cases := []conformanceCase{
		ends("7.1.1", 1000, send(message, normal).hear(echo)),
		late(ends("7.1.2", 1000, send(normal, normal))),
		late(ends("7.1.3", 1000, send(normal, whole(frame.Ping, "")))),
		late(ends("7.1.4", 1000, send(normal, message))),
		late(ends("7.1.5", 1000, send(fragment(frame.Text, "fragment1"), normal, whole(frame.Continuation, "fragment2")))),
		late(ends("7.1.6", 1000, send(whole(frame.Text, large), message, normal, whole(frame.Ping, "")).
			hear(serverFrame{frame.Text, large}, echo))),
		ends("7.3.1", frame.CloseNoStatus, send(whole(frame.Close, ""))),
		ends("7.3.2", 1002, send(whole(frame.Close, "a"))),
		ends("7.3.3", 1000, send(normal)),
		ends("7.3.4", 1000, send(closing(1000, greeting))),
		ends("7.3.5", 1000, send(closing(1000, repeated("*", 123)))),
		ends("7.3.6", 1002, send(closing(1000, repeated("*", 124)))),
		ends("7.5.1", 1007, send(closing(1000, greek+"\xed\xa0\x80edited"))),
	}
	for i, code := range []frame.CloseCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases = append(cases, ends(fmt.Sprintf("7.7.%d", i+1), code, send(closing(code, ""))))
	}
	for i, code := range []frame.CloseCode{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		cases = append(cases, ends(fmt.Sprintf("7.9.%d", i+1), 1002, send(closing(code, ""))))
	}
	for i, code := range []frame.CloseCode{5000, 65535} {
		cases = append(cases, ends(fmt.Sprintf("7.13.%d", i+1), 1002, send(closing(code, ""))))
	}
	return cases
}

// A violation waits for the replies to what came before it, but not for longer than
// CloseTimeout.
func TestViolationBehindSlowHandler(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	e := startEngine(t, engine.Options{
		Mux: routes(handler.Func(func(c handler.Conn, op frame.Opcode, payload []byte) {
			close(entered)
			<-release
			if err := c.Send(op, payload); err == nil {
				t.Error("Send has queued a message behind the close frame")
			}
		})),
		CloseTimeout: 50 * time.Millisecond,
		Logger:       slog.New(slog.DiscardHandler),
	})
	client := dialRaw(t, e, "/")
	client.put(t, send(whole(frame.Text, hello)).send)
	receive(t, "the handler's start", entered)
	client.put(t, send(reserved(1, frame.Text, hello)).send)
	client.expectClose(t, frame.CloseProtocolError)
	client.expectEnd(t)
}
