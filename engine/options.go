package engine

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Mode says on which goroutine handlers run. In all modes the callbacks of one
// connection come in order and one at a time.
type Mode uint8

const (
	// Workers runs handlers on a bounded pool of goroutines. They may block: a slow
	// handler holds one worker and never a loop.
	Workers Mode = iota
	// Service runs handlers on the goroutines that call Engine.Service, and nowhere
	// else: the polling model, for game loops, single-threaded hosts and tests.
	Service
	// OnLoop runs handlers on the event loop: the least latency and cost for each
	// message. They must not block, since every connection of that loop waits, nor call
	// runtime.Goexit: the engine then fails, and Run returns an error.
	OnLoop
)

// String returns the mode as the command line spells it.
func (m Mode) String() string {
	switch m {
	case Workers:
		return "workers"
	case Service:
		return "service"
	case OnLoop:
		return "loop"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Options configure an Engine. The zero value works: an engine on
// 127.0.0.1:7681 that answers 404 to everything.
type Options struct {
	// Mux holds the WebSocket handlers by path. Routes may be added while the engine
	// runs. Default: an empty one.
	Mux *handler.Mux
	// HTTP answers requests that are no WebSocket upgrade and whose path is not a
	// route, on a standard net/http server. HeaderTimeout is the only deadline of a
	// request there, and its connection counts against MaxConnections: a handler that
	// anybody may reach bounds the body with http.ResponseController. Default: 404.
	HTTP http.Handler

	// Network is tcp, tcp4, tcp6 or unix. Default: tcp.
	Network string
	// Address is host:port, port 0 for any free one, or the path of a unix socket.
	// Default: 127.0.0.1:7681.
	Address string
	// NoListen makes an engine without a listener: connections come through ServeHTTP
	// and Dial.
	NoListen bool
	// TLS makes the engine speak TLS on its port. Default: plain text. Connections that
	// come through ServeHTTP are not concerned.
	TLS *TLSOptions
	// ReusePort lets other processes listen on the same TCP port, and the kernel share
	// connections out among them. Default: a port in use is an error.
	ReusePort bool

	// Mode says where handlers run. Default: Workers.
	Mode Mode
	// Loops is the number of event loops. Default: GOMAXPROCS with handlers OnLoop;
	// otherwise one less, and at least one, because a loop that waits keeps its
	// processor from other goroutines for a while, up to 10 ms. Without a processor to
	// spare it lets handlers that are ready run first; those that block, on a
	// machine with one processor, do better with GOMAXPROCS=2.
	Loops int
	// Workers bounds the goroutines that run handlers in mode Workers. They are started
	// as they are needed. Default: 256.
	Workers int

	// Origins are the patterns of foreign origins that browsers may connect from, in
	// the form of handler.CheckOrigin; routes may have their own. Default: same origin only.
	Origins []string
	// Subprotocols the server speaks, for routes without a list of their own.
	Subprotocols []string
	// Deflate configures permessage-deflate (RFC 7692), which Dial offers and the server
	// accepts. Default: off.
	Deflate frame.DeflateOptions

	// MaxConnections bounds the connections of this engine; the next upgrade gets 503
	// with Retry-After, the next Dial ErrTooManyConnections. Default and upper bound: RLIMIT_NOFILE, as it stands when New
	// is called, less 64 descriptors for everything else and 64 for telling refused
	// clients why.
	MaxConnections int
	// MaxHeaderBytes bounds an opening handshake; more is answered 431. Default: 8 KiB.
	MaxHeaderBytes int
	// HeaderTimeout is the time a client has to send it; then 408. Default: 10 s.
	HeaderTimeout time.Duration
	// MaxMessageBytes bounds one message, reassembled and inflated; a larger one closes
	// the connection with 1009. Default: 1 MiB.
	MaxMessageBytes int
	// MaxInflateRatio bounds how many times larger than it arrived a compressed message
	// of more than 64 KiB may become; beyond, the connection is closed with 1009. A message
	// that repeats itself is up to 1032 times larger. Default: 0, no bound but MaxMessageBytes.
	MaxInflateRatio int
	// InboxBytes and InboxMessages bound what waits for a connection's handler. Beyond
	// either the engine stops reading that socket, so that TCP holds the sender back,
	// until half is consumed. What one read brought may exceed the bound by
	// 128 KiB and two messages. Defaults: 256 KiB, 1024.
	InboxBytes    int
	InboxMessages int
	// OutboxSoftBytes is where a connection whose peer is slow to read counts as behind:
	// the engine reads nothing more from it until the outbox is down to half of that, and
	// closes it with 1008 when it stays behind for SlowTimeout. Default: 256 KiB.
	OutboxSoftBytes int
	// OutboxHardBytes is where Send fails with handler.ErrSlowConsumer and the connection
	// is closed with 1008 at once. An empty outbox takes any one message. Default: 4 MiB.
	OutboxHardBytes int
	// SlowTimeout is how long an outbox may stay above OutboxSoftBytes. Default: 30 s.
	// Negative: for ever.
	SlowTimeout time.Duration
	// MaxQueuedBytes bounds what is queued for all slow connections together, a message
	// that several share counted for each. Beyond it, the loops act on those with the
	// most at their next tick, which comes every 250 ms or sooner, as if each had reached
	// its own bound: what was published to them is dropped, by half, or conflated if their
	// policy is that, and otherwise they are closed with 1008. Default: 0, no bound but
	// those of the connections.
	MaxQueuedBytes int
	// SlowPolicy is what happens to publications for a connection whose peer is slow to
	// read. That of a route comes before it, that of a topic before both, and one that the
	// connection has set before all. With one that drops, OutboxSoftBytes bounds the
	// publications that wait for a connection, for each policy by itself, and nothing
	// published makes it count as behind. Default: handler.Disconnect.
	SlowPolicy handler.SlowPolicy
	// Topics are options of single topics; the first pattern that matches a topic counts.
	// Default: none.
	Topics []TopicOptions

	// PingInterval is the silence after which a connection is pinged, with up to a
	// quarter added at random so that connections do not ping in step. Default: 20 s.
	// Negative: never.
	PingInterval time.Duration
	// PongTimeout is how long a pinged peer may stay silent before it is taken for dead:
	// close code 1006, handler.ErrPongTimeout. Default: 20 s. Negative: for ever.
	PongTimeout time.Duration
	// IdleTimeout closes with 1001 a connection on which no message arrived for that
	// long, pongs notwithstanding. Default: 0, never.
	IdleTimeout time.Duration
	// CloseTimeout bounds the close handshake, and how long a refused or failed peer may
	// take to read the reason. Default: 5 s.
	CloseTimeout time.Duration
	// DrainTime is how long Shutdown, and Run after its context ends, let connections
	// finish; the closes are paced over the first half of it when there are very many. Then
	// what is left is cut. Default: 30 s.
	DrainTime time.Duration

	// Logger gets one record for each abnormal event, none for a message. Default:
	// slog.Default().
	Logger *slog.Logger
}

const (
	reservedDescriptors = 64 // for files, loops and everything else in the process
	refusalDescriptors  = 64 // for connections over the cap, until they have read their 503
)

// withDefaults returns o with every field set that was left zero.
func (o Options) withDefaults() Options {
	if o.Mux == nil {
		o.Mux = handler.NewMux()
	}
	o.Network = cmp.Or(o.Network, "tcp")
	if o.Address == "" && o.Network != "unix" {
		o.Address = "127.0.0.1:7681"
	}
	if o.Loops == 0 {
		o.Loops = runtime.GOMAXPROCS(0)
		if o.Mode != OnLoop {
			o.Loops = max(1, o.Loops-1)
		}
	}
	o.Workers = cmp.Or(o.Workers, 256)
	if most := descriptorLimit() - reservedDescriptors - refusalDescriptors; o.MaxConnections == 0 || o.MaxConnections > most {
		o.MaxConnections = max(1, most)
	}
	o.MaxHeaderBytes = cmp.Or(o.MaxHeaderBytes, 8<<10)
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 10*time.Second)
	o.MaxMessageBytes = cmp.Or(o.MaxMessageBytes, 1<<20)
	o.InboxBytes = cmp.Or(o.InboxBytes, 256<<10)
	o.InboxMessages = cmp.Or(o.InboxMessages, 1024)
	o.OutboxSoftBytes = cmp.Or(o.OutboxSoftBytes, 256<<10)
	o.OutboxHardBytes = cmp.Or(o.OutboxHardBytes, max(4<<20, o.OutboxSoftBytes))
	o.SlowTimeout = cmp.Or(o.SlowTimeout, 30*time.Second)
	o.SlowPolicy = cmp.Or(o.SlowPolicy, handler.Disconnect)
	o.Topics = slices.Clone(o.Topics)
	o.PingInterval = cmp.Or(o.PingInterval, 20*time.Second)
	o.PongTimeout = cmp.Or(o.PongTimeout, 20*time.Second)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 5*time.Second)
	o.DrainTime = cmp.Or(o.DrainTime, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// longestTimeout is what the loops' clock, 32 bits of milliseconds, can count to with
// room to spare.
const longestTimeout = 20 * 24 * time.Hour

func (o Options) timeouts() []time.Duration {
	return []time.Duration{o.HeaderTimeout, o.SlowTimeout, o.PingInterval, o.PongTimeout, o.IdleTimeout, o.CloseTimeout, o.DrainTime}
}

// validate reports every contradiction in o at once.
func (o Options) validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("engine: "+format, args...))
		}
	}
	switch o.Network {
	case "tcp", "tcp4", "tcp6", "unix":
	default:
		refuse(true, "network %q is not one of tcp, tcp4, tcp6, unix", o.Network)
	}
	refuse(o.Network == "unix" && o.Address == "", "a unix socket needs an Address, its path")
	refuse(o.Mode > OnLoop, "mode %d is not one of Workers, Service, OnLoop", o.Mode)
	positive := func(name string, n int) { refuse(n < 0, "%s is %d; it must be positive", name, n) }
	positive("Loops", o.Loops)
	positive("Workers", o.Workers)
	positive("MaxConnections", o.MaxConnections)
	positive("MaxHeaderBytes", o.MaxHeaderBytes)
	positive("MaxMessageBytes", o.MaxMessageBytes)
	positive("MaxInflateRatio", o.MaxInflateRatio)
	positive("InboxBytes", o.InboxBytes)
	positive("InboxMessages", o.InboxMessages)
	positive("MaxQueuedBytes", o.MaxQueuedBytes)
	positive("OutboxSoftBytes", o.OutboxSoftBytes)
	positive("OutboxHardBytes", o.OutboxHardBytes)
	refuse(o.OutboxHardBytes < o.OutboxSoftBytes, "OutboxHardBytes %d is below OutboxSoftBytes %d", o.OutboxHardBytes, o.OutboxSoftBytes)
	refuse(!o.SlowPolicy.Valid(), "SlowPolicy %d is none of those there are", o.SlowPolicy)
	longest := slices.Max(o.timeouts())
	refuse(longest > longestTimeout, "a timeout of %v is too long; the longest is %v", longest, longestTimeout)
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"HeaderTimeout", o.HeaderTimeout}, {"IdleTimeout", o.IdleTimeout},
		{"CloseTimeout", o.CloseTimeout}, {"DrainTime", o.DrainTime},
	} {
		refuse(d.d < 0, "%s is %v; it must be positive", d.name, d.d)
	}
	for i := range o.Topics {
		errs = append(errs, o.Topics[i].check())
	}
	errs = append(errs, handler.Policy{Origins: o.Origins, Subprotocols: o.Subprotocols}.Check(), o.TLS.check())
	return errors.Join(errs...)
}
