package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	mostLoops   = 1024
	mostWorkers = 1 << 20
	mostConns   = 1 << 24
	mostBytes   = math.MaxInt32
)

// serveOptions are the flags of serve.
type serveOptions struct {
	engine engine.Options
	logger *slog.Logger
	json   bool // everything said is a record in JSON
	feed   *feedOptions
}

// parseServe reads the flags of serve. Records are written to stderr.
func parseServe(args []string, stdout, stderr io.Writer) (serveOptions, error) {
	defaults, err := engineDefaults()
	if err != nil {
		return serveOptions{}, err
	}
	var o engine.Options
	var handlers, logLevel, logFormat string
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	listenFlags(fs, &o, defaults)
	security := tlsFlags(fs)
	fs.Var(choice(&handlers, "workers", "service", "loop"), "handlers",
		"`where` handlers run: on a pool of workers, on one goroutine that calls Service, or on the event loops")
	fs.Var(whole(&o.Loops, 1, mostLoops, 0), "loops",
		"`number` of event loops (default: the processors, less one unless handlers run on the loops)")
	fs.Var(whole(&o.Workers, 1, mostWorkers, defaults.Workers), "workers", "`number` of goroutines at most that run handlers, with --handlers workers")
	limitFlags(fs, &o, defaults)
	timeFlags(fs, &o, defaults)
	compressionFlags(fs, &o.Deflate)
	feed, err := feedFlags(fs)
	if err != nil {
		return serveOptions{}, err
	}
	fs.Var(choice(&logLevel, "info", "debug", "warn", "error"), "log-level", "least `level` of what is logged: debug, info, warn or error; what is said at the start and in a drain is printed in any case")
	fs.Var(choice(&logFormat, "text", "json"), "log-format", "`format` of the log: text or json")

	rest, err := parse(fs, args, stdout)
	if err != nil {
		return serveOptions{}, err
	}
	if len(rest) > 0 {
		return serveOptions{}, usagef("serve takes flags only, not the argument %q; to listen elsewhere, say --address", rest[0])
	}
	if err := checkServe(fs, &o, defaults); err != nil {
		return serveOptions{}, err
	}
	if err := feed.check(fs, o, defaults); err != nil {
		return serveOptions{}, err
	}
	if o.TLS, err = security.options(); err != nil {
		return serveOptions{}, err
	}
	o.Mode = map[string]engine.Mode{"workers": engine.Workers, "service": engine.Service, "loop": engine.OnLoop}[handlers]
	o.Logger = newLogger(stderr, logLevel, logFormat)
	return serveOptions{engine: o, logger: o.Logger, json: logFormat == "json", feed: feed}, nil
}

// engineDefaults asks an engine for them, so that they stand in one place only.
func engineDefaults() (engine.Options, error) {
	e, err := engine.New(engine.Options{})
	if err != nil {
		return engine.Options{}, fmt.Errorf("the default options are refused: %w", err)
	}
	return e.Options(), nil
}

func listenFlags(fs *flag.FlagSet, o *engine.Options, d engine.Options) {
	fs.Var(choice(&o.Network, "tcp", "tcp4", "tcp6", "unix"), "network", "`network` to listen on: tcp, tcp4, tcp6 or unix")
	fs.Var(&value{want: "host:port, or the path of a unix socket", text: d.Address, set: func(s string) bool {
		o.Address = s
		return s != ""
	}}, "address", "`address` to listen on: host:port, with port 0 for any free one, or the path of a unix socket")
	fs.Var(toggle(&o.ReusePort), "reuse-port", "let other processes listen on the same port, and share its connections with them")
	fs.Var(list(&o.Origins, "an origin such as https://example.com, a host such as example.com or *.example.com, null, or * for any", func(s string) bool {
		return handler.Policy{Origins: []string{s}}.Check() == nil
	}), "origin", "`pattern` of a foreign origin whose pages may connect, besides the same origin; may be repeated")
	fs.Var(list(&o.Subprotocols, "a token, such as chat.v1", func(s string) bool {
		return handler.Policy{Subprotocols: []string{s}}.Check() == nil
	}), "subprotocol", "`name` of a sub-protocol to agree to; may be repeated")
}

func limitFlags(fs *flag.FlagSet, o *engine.Options, d engine.Options) {
	fs.Var(whole(&o.MaxConnections, 1, mostConns, 0), "max-connections",
		"`number` of connections at most; the next is answered 503 (default and upper bound: the descriptor limit less 128)")
	fs.Var(whole(&o.MaxMessageBytes, 1, mostBytes, d.MaxMessageBytes), "max-message", "largest message accepted, in `bytes`, inflated, and body of a publication; with --feed at most half of --outbox-hard")
	fs.Var(whole(&o.MaxInflateRatio, 1, mostBytes, 0), "max-inflate-ratio",
		"`times` that a compressed message above 64 KiB may become larger than it came (default: no bound but --max-message)")
	fs.Var(whole(&o.MaxHeaderBytes, 1, mostBytes, d.MaxHeaderBytes), "max-header", "largest request header accepted, in `bytes`")
	fs.Var(whole(&o.InboxBytes, 1, mostBytes, d.InboxBytes), "inbox",
		"`bytes` that may wait for the handler of a connection before reading from it pauses")
	fs.Var(whole(&o.OutboxSoftBytes, 1, mostBytes, d.OutboxSoftBytes), "outbox-soft",
		"`bytes` that may wait for a peer before it counts as slow")
	fs.Var(whole(&o.OutboxHardBytes, 1, mostBytes, d.OutboxHardBytes), "outbox-hard",
		"`bytes` that may wait for a peer before it is disconnected at once")
}

func timeFlags(fs *flag.FlagSet, o *engine.Options, d engine.Options) {
	const never = -1
	fs.Var(span(&o.HeaderTimeout, d.HeaderTimeout), "header-timeout", "`time` a client has to send its request header")
	fs.Var(spanOrNever(&o.SlowTimeout, never, d.SlowTimeout), "slow-timeout", "`time` a peer may be slow before it is disconnected; 0: for ever")
	fs.Var(spanOrNever(&o.PingInterval, never, d.PingInterval), "ping-interval",
		"`time` of silence before a ping, to which up to a quarter is added at random; 0: no pings")
	fs.Var(spanOrNever(&o.PongTimeout, never, d.PongTimeout), "pong-timeout", "`time` a pinged peer may stay silent; 0: for ever")
	fs.Var(spanOrNever(&o.IdleTimeout, 0, d.IdleTimeout), "idle-timeout", "`time` without a message before a connection is closed, pongs or not; 0: never")
	fs.Var(span(&o.CloseTimeout, d.CloseTimeout), "close-timeout", "`time` that a close handshake may take")
	fs.Var(span(&o.DrainTime, d.DrainTime), "drain-time", "`time` that connections have to finish when the server is told to stop")
}

func compressionFlags(fs *flag.FlagSet, o *frame.DeflateOptions) {
	fs.Var(toggle(&o.Enabled), "compression", "negotiate permessage-deflate (RFC 7692)")
	fs.Var(whole(&o.Level, 1, 9, 1), "compression-level", "`effort` of compression, from 1, the fastest, to 9, the smallest")
	fs.Var(whole(&o.MinBytes, 1, mostBytes, 512), "compression-threshold", "`bytes` that a message must have to be compressed")
}

// checkServe refuses flags that contradict each other, and fills in what depends on
// two of them.
func checkServe(fs *flag.FlagSet, o *engine.Options, d engine.Options) error {
	switch {
	case o.Network == "unix" && o.Address == "":
		return usagef("--network unix needs --address, the path of the socket")
	case o.Network == "unix" && o.ReusePort:
		return usagef("--reuse-port needs a TCP port; with --network unix leave it out")
	case o.Network == "tcp6" && o.Address == "":
		o.Address = "[::1]:7681"
	case o.Network != "unix" && o.Address != "":
		if !isHostPort(o.Address) {
			return usagef("--address is %q; with --network %s it must be host:port, such as 127.0.0.1:7681 or :7681", o.Address, o.Network)
		}
	}
	hard := outboxHard(*o, d)
	if soft := cmp.Or(o.OutboxSoftBytes, d.OutboxSoftBytes); hard < soft {
		return usagef("--outbox-hard %d is below --outbox-soft %d; it must be at least that", hard, soft)
	}
	for _, name := range []string{"compression-level", "compression-threshold", "max-inflate-ratio"} {
		if given(fs, name) && !o.Deflate.Enabled {
			return usagef("--%s needs --compression, which is off", name)
		}
	}
	return nil
}

// outboxHard is the bound that the engine will have.
func outboxHard(o, d engine.Options) int {
	return cmp.Or(o.OutboxHardBytes, max(d.OutboxHardBytes, o.OutboxSoftBytes))
}

// isHostPort reports whether s is host:port with a port that there can be.
func isHostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil || port == "" {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// newLogger makes the logger of the engine and of the command.
func newLogger(w io.Writer, level, format string) *slog.Logger {
	var o slog.HandlerOptions
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	o.Level = levels[level]
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &o))
	}
	return slog.New(slog.NewTextHandler(w, &o))
}
