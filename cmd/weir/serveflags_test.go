package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
)

func TestParseServe(t *testing.T) {
	plain := engine.Options{Network: "tcp"}
	with := func(change func(*engine.Options)) engine.Options {
		o := plain
		change(&o)
		return o
	}
	tests := []struct {
		args string // separated by spaces
		want engine.Options
	}{
		{"", plain},
		{"--handlers workers", plain},
		{"--handlers service", with(func(o *engine.Options) { o.Mode = engine.Service })},
		{"-handlers=loop", with(func(o *engine.Options) { o.Mode = engine.OnLoop })},
		{"--address :80 --network tcp4", with(func(o *engine.Options) { o.Address, o.Network = ":80", "tcp4" })},
		{"--address [::1]:http", with(func(o *engine.Options) { o.Address = "[::1]:http" })},
		{"--network tcp6", with(func(o *engine.Options) { o.Address, o.Network = "[::1]:7681", "tcp6" })},
		{"--network unix --address /run/weir", with(func(o *engine.Options) { o.Address, o.Network = "/run/weir", "unix" })},
		{"--loops 2 --workers 3 --loops 4", with(func(o *engine.Options) { o.Loops, o.Workers = 4, 3 })},
		{"--reuse-port --max-connections 5", with(func(o *engine.Options) { o.ReusePort, o.MaxConnections = true, 5 })},
		{"--reuse-port=false", plain},
		{"--max-message 1 --max-header 2 --inbox 3", with(func(o *engine.Options) { o.MaxMessageBytes, o.MaxHeaderBytes, o.InboxBytes = 1, 2, 3 })},
		{"--outbox-soft 1000 --outbox-hard 1000", with(func(o *engine.Options) { o.OutboxSoftBytes, o.OutboxHardBytes = 1000, 1000 })},
		{"--outbox-soft 99999999", with(func(o *engine.Options) { o.OutboxSoftBytes = 99999999 })},
		{"--header-timeout 1ms --close-timeout 2s --drain-time 1m30s", with(func(o *engine.Options) {
			o.HeaderTimeout, o.CloseTimeout, o.DrainTime = time.Millisecond, 2*time.Second, 90*time.Second
		})},
		{"--ping-interval 1s --pong-timeout 2s --slow-timeout 3s --idle-timeout 240h", with(func(o *engine.Options) {
			o.PingInterval, o.PongTimeout, o.SlowTimeout, o.IdleTimeout = time.Second, 2*time.Second, 3*time.Second, 240*time.Hour
		})},
		{"--ping-interval 0 --pong-timeout 0s --slow-timeout 0 --idle-timeout 0", with(func(o *engine.Options) {
			o.PingInterval, o.PongTimeout, o.SlowTimeout = -1, -1, -1
		})},
		{"--origin example.com --origin https://*.example.org --origin null --subprotocol a --subprotocol b.v1", with(func(o *engine.Options) {
			o.Origins, o.Subprotocols = []string{"example.com", "https://*.example.org", "null"}, []string{"a", "b.v1"}
		})},
		{"--compression --max-inflate-ratio 50", with(func(o *engine.Options) { o.Deflate.Enabled, o.MaxInflateRatio = true, 50 })},
		{"--compression", with(func(o *engine.Options) { o.Deflate.Enabled = true })},
		{"--compression --compression-level 9 --compression-threshold 1", with(func(o *engine.Options) {
			o.Deflate = frame.DeflateOptions{Enabled: true, Level: 9, MinBytes: 1}
		})},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var out bytes.Buffer
			o, err := parseServe(strings.Fields(tt.args), &out, &out)
			if err != nil {
				t.Fatal(err)
			}
			got := o.engine
			if got.Logger == nil || got.Logger != o.logger {
				t.Error("the engine does not log through the logger")
			}
			got.Logger = nil
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if _, err := engine.New(o.engine); err != nil {
				t.Errorf("the engine refuses what the flags allow: %v", err)
			}
		})
	}
}

func TestServeLogger(t *testing.T) {
	tests := []struct {
		args string
		want string
	}{
		{"", "level=INFO msg=i\nlevel=WARN msg=w\nlevel=ERROR msg=e\n"},
		{"--log-level debug", "level=DEBUG msg=d\nlevel=INFO msg=i\nlevel=WARN msg=w\nlevel=ERROR msg=e\n"},
		{"--log-level warn", "level=WARN msg=w\nlevel=ERROR msg=e\n"},
		{"--log-level error --log-format json", `"level":"ERROR","msg":"e"}` + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var out bytes.Buffer
			o, err := parseServe(strings.Fields(tt.args), nil, &out)
			if err != nil {
				t.Fatal(err)
			}
			o.logger.Debug("d")
			o.logger.Info("i")
			o.logger.Warn("w")
			o.logger.Error("e")
			var got strings.Builder // without the times
			for line := range strings.Lines(out.String()) {
				got.WriteString(line[strings.IndexAny(line, " ,")+1:])
			}
			if got.String() != tt.want {
				t.Errorf("got %q, want %q", got.String(), tt.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	words := []string{"address", "handlers", "loops", "max-message", "outbox-hard", "outbox-soft"}
	tests := []struct {
		name string
		want string // "": none
	}{
		{"adress", "address"},
		{"addres", "address"},
		{"hadnlers", "handlers"},
		{"loop", "loops"},
		{"Loops", "loops"},
		{"max-mesage", "max-message"},
		{"outbox-sft", "outbox-soft"},
		{"l", ""},
		{"", ""},
		{"completely-different", ""},
	}
	for _, tt := range tests {
		got, ok := nearest(tt.name, words)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("nearest(%q) = %q, %t; want %q", tt.name, got, ok, tt.want)
		}
	}
}
