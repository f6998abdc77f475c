package engine_test

import (
	"maps"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// The counters agree with what two clients, one killed, and a refused one have done.
func TestCounters(t *testing.T) {
	const messages = 25
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		h.Open = func(_ handler.Conn, r *handler.Request) error {
			if r.RawQuery == "refuse" {
				return handler.Refuse(403, "")
			}
			return nil
		}
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
		if got := e.Counters(); got.Sockets != 0 || got.Connections != 0 || got.Opened != 0 || got.BytesIn != 0 {
			t.Errorf("at first: %+v", got)
		}
		request := upgrade("/")
		polite, killed := dialRaw(t, e, "/"), dialRaw(t, e, "/")
		sent := 2 * len(request)
		for range messages {
			m := text("count me")
			polite.put(t, m)
			polite.expectText(t, "count me")
			sent += len(m)
		}
		eventually(t, "both are counted", func() bool { return e.Counters().Connections == 2 })
		if got := e.Counters(); got.Sockets != 2 || got.QueueDepth != 0 {
			t.Errorf("with two connections: %+v", got)
		}
		killed.kill(t)
		if s := receive(t, "OnClose", ends); s.Code != frame.CloseAbnormal {
			t.Errorf("OnClose got %+v", s)
		}
		refused := dialTCP(t, e)
		refused.put(t, upgrade("/?refuse"))
		refused.expectStatus(t, 403)
		refused.expectEnd(t)
		_ = refused.Close()
		bye := closeFrame(4000, "")
		polite.put(t, bye)
		polite.expectClose(t, 4000)
		polite.expectEnd(t)
		receive(t, "OnClose", ends)
		eventually(t, "all sockets are closed", func() bool { return e.Counters().Sockets == 0 })

		got := e.Counters()
		sent += len(bye) + len(upgrade("/?refuse"))
		if got.Connections != 0 || got.Opened != 2 || got.HandedOff != 0 || got.QueueDepth != 0 || got.AcceptPauses != 0 {
			t.Errorf("connections: %+v", got)
		}
		if got.MessagesIn != messages || got.MessagesOut != messages || got.BytesIn != uint64(sent) {
			t.Errorf("%d messages in, %d out, %d bytes in; want %d, %d, %d",
				got.MessagesIn, got.MessagesOut, got.BytesIn, messages, messages, sent)
		}
		if want := map[frame.CloseCode]uint64{4000: 1, frame.CloseAbnormal: 1}; !maps.Equal(got.Closes, want) {
			t.Errorf("closes %v; want %v", got.Closes, want)
		}
		if got.Drops["i/o error"]+got.Drops["hung up"] != 1 || len(got.Drops) != 1 {
			t.Errorf("drops %v; want one lost", got.Drops)
		}
		if want := map[int]uint64{403: 1}; !maps.Equal(got.HandshakesRefused, want) {
			t.Errorf("refused %v; want %v", got.HandshakesRefused, want)
		}
		clear(got.Closes) // a snapshot is the caller's
		if len(e.Counters().Closes) != 2 {
			t.Error("changing a snapshot changes the counters")
		}
	})
}
