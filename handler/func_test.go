package handler_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

func TestFunc(t *testing.T) {
	c := &recorder{}
	var h handler.Handler = handler.Func(func(c handler.Conn, op frame.Opcode, payload []byte) {
		if err := c.Send(op, append(payload, '!')); err != nil {
			t.Error(err)
		}
	})
	if err := h.OnOpen(c, nil); err != nil {
		t.Errorf("OnOpen = %v, want nil", err)
	}
	h.OnMessage(c, frame.Text, []byte("a"))
	h.OnClose(c, handler.CloseStatus{})
	if want := []string{"a!"}; !slices.Equal(c.sent, want) {
		t.Errorf("sent %q, want %q", c.sent, want)
	}
}

func TestFuncs(t *testing.T) {
	var calls []string
	refused := errors.New("no")
	full := handler.Funcs{
		Open:    func(handler.Conn, *handler.Request) error { calls = append(calls, "open"); return refused },
		Message: func(_ handler.Conn, _ frame.Opcode, p []byte) { calls = append(calls, "message "+string(p)) },
		Close:   func(_ handler.Conn, s handler.CloseStatus) { calls = append(calls, "close "+s.Reason) },
	}
	if err := full.OnOpen(nil, nil); err != refused {
		t.Errorf("OnOpen = %v, want what Open returned", err)
	}
	full.OnMessage(nil, frame.Text, []byte("a"))
	full.OnClose(nil, handler.CloseStatus{Reason: "b"})
	if want := []string{"open", "message a", "close b"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}

	var none handler.Funcs
	if err := none.OnOpen(nil, nil); err != nil {
		t.Errorf("OnOpen without Open = %v, want nil", err)
	}
	none.OnMessage(nil, frame.Text, nil)
	none.OnClose(nil, handler.CloseStatus{})
}

func TestEcho(t *testing.T) {
	c := &recorder{}
	var h handler.Handler = handler.Echo{}
	if err := h.OnOpen(c, nil); err != nil {
		t.Errorf("OnOpen = %v, want nil", err)
	}
	h.OnMessage(c, frame.Text, []byte("a"))
	h.OnMessage(c, frame.Binary, nil)
	h.OnClose(c, handler.CloseStatus{})
	if want := []string{"a", ""}; !slices.Equal(c.sent, want) {
		t.Errorf("sent %q, want %q", c.sent, want)
	}
}
