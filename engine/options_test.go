package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// New names everything that is wrong at once.
func TestContradictions(t *testing.T) {
	bad := engine.Options{
		Network:         "udp",
		Mode:            engine.OnLoop + 1,
		Loops:           -1,
		Workers:         -1,
		Origins:         []string{"https://exa mple"},
		Subprotocols:    []string{"two words"},
		MaxConnections:  -1,
		MaxHeaderBytes:  -1,
		MaxMessageBytes: -1,
		MaxInflateRatio: -1,
		InboxBytes:      -1,
		InboxMessages:   -1,
		MaxQueuedBytes:  -1,
		OutboxSoftBytes: 2 << 20,
		OutboxHardBytes: 1 << 20,
		HeaderTimeout:   -1,
		IdleTimeout:     -1,
		CloseTimeout:    -1,
		DrainTime:       -1,
		SlowTimeout:     1000 * time.Hour,
		SlowPolicy:      handler.Conflate + 1,
		Topics: []engine.TopicOptions{
			{Pattern: "orders..eu"}, {Pattern: "back.>", Window: -1}, {Pattern: "long", Window: time.Hour},
			{Pattern: "odd", SlowPolicy: handler.Conflate + 1},
		},
	}
	e, err := engine.New(bad)
	if e != nil || err == nil {
		t.Fatalf("New = %v, %v; want an error", e, err)
	}
	for _, name := range []string{
		"udp", "mode", "Loops", "Workers", "exa mple", "two words", "MaxConnections", "MaxHeaderBytes", "MaxMessageBytes", "MaxInflateRatio",
		"InboxBytes", "InboxMessages", "OutboxHardBytes", "HeaderTimeout", "IdleTimeout", "CloseTimeout", "DrainTime",
		"1000h", "SlowPolicy", "MaxQueuedBytes", "orders..eu", "back.>", "long is 1h", "SlowPolicy of odd",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not mention %q:\n%v", name, err)
		}
	}
	if !errors.Is(err, handler.ErrBadOrigin) || !errors.Is(err, handler.ErrBadSubprotocol) {
		t.Errorf("the error wraps neither ErrBadOrigin nor ErrBadSubprotocol: %v", err)
	}
	if _, err := engine.New(engine.Options{Network: "unix"}); err == nil {
		t.Error("a unix socket without a path is accepted")
	}
}

// The zero value works, and what is left out is filled in.
func TestDefaults(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.Service, engine.OnLoop} {
		e, err := engine.New(engine.Options{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		o := e.Options()
		if o.Address != "127.0.0.1:7681" || o.Network != "tcp" || o.Loops < 1 || o.MaxConnections < 1 || o.Mux == nil || o.Logger == nil || o.SlowPolicy != handler.Disconnect {
			t.Errorf("mode %v: %+v", mode, o)
		}
		if o.PingInterval != 20*time.Second || o.PongTimeout != 20*time.Second || o.IdleTimeout != 0 {
			t.Errorf("mode %v: pings after %v, pong within %v, idle after %v", mode, o.PingInterval, o.PongTimeout, o.IdleTimeout)
		}
	}
}

// What is set stays, and a hard mark follows a soft one that is above its default.
func TestOptionsStay(t *testing.T) {
	e, err := engine.New(engine.Options{PingInterval: -1, PongTimeout: -1, SlowTimeout: -1, OutboxSoftBytes: 8 << 20, MaxConnections: 7})
	if err != nil {
		t.Fatal(err)
	}
	o := e.Options()
	if o.PingInterval != -1 || o.PongTimeout != -1 || o.SlowTimeout != -1 || o.MaxConnections != 7 || o.OutboxHardBytes != 8<<20 {
		t.Errorf("options are %+v", o)
	}
}
