package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// What TLS has encrypted and the socket does not take counts as queued, and so what is sent
// behind it.
func TestBudgetOverTLS(t *testing.T) {
	const message = 64<<10 - 10
	conns := make(chan handler.Conn, 1)
	h := handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error { conns <- c; return nil }}
	e, ca := startTLS(t, engine.Options{
		MaxQueuedBytes: 1 << 20, OutboxSoftBytes: 32 << 20, OutboxHardBytes: 32 << 20, SlowTimeout: -1, CloseTimeout: time.Second / 10, Mux: routes(h),
	})
	dialSecure(t, e, ca.client(), "/") // it reads nothing
	conn := receive(t, "OnOpen", conns)
	for e.Counters().QueuedBytes == 0 { // until the socket takes one in part only
		due := e.Counters().BytesOut + message
		if err := conn.Send(frame.Binary, make([]byte, message)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is taken, or what is left of it counts", func() bool {
			c := e.Counters()
			return c.BytesOut >= due || c.QueuedBytes > 0
		})
	}
	for range 20 {
		_ = conn.Send(frame.Binary, make([]byte, 1<<20)) // fails once the connection is closed
	}
	eventually(t, "the connection is closed", func() bool { return e.Counters().Drops["slow consumer"] == 1 })
}

// MaxQueuedBytes holds for what is published to a connection while its OnOpen runs, too.
func TestBudgetWhileOpening(t *testing.T) {
	const most = 2 << 20
	for _, rate := range []handler.Rate{{}, {Messages: 1}} {
		t.Run(fmt.Sprint(rate.Messages), func(t *testing.T) {
			release, conns := make(chan struct{}), make(chan handler.Conn, 1)
			h := handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error {
				err := errors.Join(c.SetRate(rate), c.Subscribe("feed"))
				conns <- c
				<-release
				return err
			}}
			e := startEngine(t, engine.Options{
				MaxQueuedBytes: most, OutboxSoftBytes: 16 << 20, OutboxHardBytes: 16 << 20, SlowTimeout: -1, CloseTimeout: time.Second / 10, Mux: routes(h),
			})
			dialTCP(t, e).put(t, upgrade("/"))
			conn := receive(t, "OnOpen", conns)
			eventually(t, "the subscription", func() bool { return e.Hub().Subscriptions("feed") == 1 })
			for i := range 2 * most >> 16 {
				if _, err := e.Hub().Publish("feed", frame.Binary, make([]byte, 1<<16), handler.PublishOptions{Key: fmt.Sprint(i)}); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the connection fails or lets go", func() bool {
				c := e.Counters()
				return c.QueuedBytes <= most && (len(c.Missed) > 0 || conn.Send(frame.Binary, nil) != nil)
			})
			close(release)
			if rate.Messages == 0 {
				eventually(t, "the connection is closed", func() bool { return e.Counters().Drops["slow consumer"] == 1 })
			}
		})
	}
}
