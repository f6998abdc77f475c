package handler_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// sayMissed is a format for handler.TellMissed.
func sayMissed(topic string, n int) (frame.Opcode, []byte) {
	return frame.Text, fmt.Appendf(nil, "missed %d on %s", n, topic)
}

// bookkeeper is a Handler with everything that one may have.
type bookkeeper struct {
	handler.Echo
	entries []string
}

func (b *bookkeeper) OnMissed(_ handler.Conn, topic string, n int) {
	b.entries = append(b.entries, fmt.Sprint(topic, " ", n))
}

func (b *bookkeeper) OnControl(_ handler.Conn, op frame.Opcode, p []byte) {
	b.entries = append(b.entries, fmt.Sprintf("%v %s", op, p))
}

// The Handler that is made is a ControlHandler if, and only if, the one it is made of is one.
func TestTellMissed(t *testing.T) {
	c, plain := &recorder{}, handler.TellMissed(handler.Echo{}, sayMissed)
	if _, ok := plain.(handler.ControlHandler); ok {
		t.Error("of an Echo it makes a ControlHandler")
	}
	plain.OnMessage(c, frame.Text, []byte("hello"))
	plain.(handler.MissedHandler).OnMissed(c, "a", 2)

	b := new(bookkeeper)
	full := handler.TellMissed(b, sayMissed)
	full.(handler.MissedHandler).OnMissed(c, "b", 3)
	full.(handler.ControlHandler).OnControl(c, frame.Pong, []byte("x"))
	if want := []string{"hello", "missed 2 on a", "missed 3 on b"}; !slices.Equal(c.sent, want) {
		t.Errorf("sent %q; want %q", c.sent, want)
	}
	if want := []string{"b 3", "pong x"}; !slices.Equal(b.entries, want) {
		t.Errorf("the Handler it was made of got %q; want %q", b.entries, want)
	}
}

// pickyConn takes no message.
type pickyConn struct{ handler.Conn }

func (pickyConn) Send(frame.Opcode, []byte) error { return handler.ErrOpcode }

func TestTellMissedWithABadOpcode(t *testing.T) {
	defer func() {
		if got := recover(); got != handler.ErrOpcode {
			t.Errorf("panic with %v; want ErrOpcode", got)
		}
	}()
	h := handler.TellMissed(handler.Echo{}, func(string, int) (frame.Opcode, []byte) { return frame.Ping, nil })
	h.(handler.MissedHandler).OnMissed(pickyConn{}, "a", 1)
}

// Subscribers with a protocol of JSON objects are told with one.
func ExampleTellMissed() {
	h := handler.TellMissed(handler.Echo{}, func(topic string, n int) (frame.Opcode, []byte) {
		return frame.Text, fmt.Appendf(nil, `{"type":"missed","topic":%q,"count":%d}`, topic, n)
	})
	c := &recorder{}
	h.(handler.MissedHandler).OnMissed(c, "quotes", 3) // the engine does this
	fmt.Println(c.sent[0])
	// Output: {"type":"missed","topic":"quotes","count":3}
}
