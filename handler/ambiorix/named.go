package ambiorix

import (
	"context"
	"log/slog"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// named is the Handler of named messages.
type named struct{ app *App }

// OnOpen accepts the connection.
func (n named) OnOpen(c handler.Conn, _ *handler.Request) error {
	n.app.places.enter(placeOf(c))
	return nil
}

// OnMessage calls the receiver. Panics are the caller's to recover, see
// handler.Handler.
func (n named) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	if op != frame.Text {
		n.end(c, frame.CloseUnsupportedData, "text messages only")
		return
	}
	name, message, ok, err := parse(payload)
	if err != nil {
		n.end(c, frame.CloseInvalidPayload, "not JSON")
		return
	}
	if !ok {
		return
	}
	receive := n.app.find(name)
	if receive == nil {
		return
	}
	if err := receive(message, n.app.Client(c)); err != nil {
		n.app.options.Logger.LogAttrs(context.Background(), slog.LevelError, "receiver failed",
			slog.Uint64("conn", c.ID()), slog.String("name", name), slog.Any("err", err))
		_ = c.Close(frame.CloseInternalError, "") // an error says that it is closing already
	}
}

// end closes the connection of a peer that does not keep to the protocol.
func (n named) end(c handler.Conn, code frame.CloseCode, reason string) {
	n.app.options.Logger.LogAttrs(context.Background(), slog.LevelWarn, "no named message",
		slog.Uint64("conn", c.ID()), slog.Any("remote", c.RemoteAddr()), slog.String("reason", reason))
	_ = c.Close(code, reason) // an error says that it is closing already
}

// OnClose forgets the connection.
func (n named) OnClose(c handler.Conn, _ handler.CloseStatus) { n.app.places.leave(placeOf(c)) }
