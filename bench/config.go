package bench

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weirws/weir/engine"
)

const (
	connectionsPerSource = 20000 // from one local address to one server, of about 28,000 ports
	reservedDescriptors  = 256   // of a worker, for everything but connections; the engine keeps some itself
	mostPublishers       = 64    // fewer than reservedDescriptors: they are connections as well
	mostPayloadBytes     = 16 << 20
	mostPingBytes        = 125 // RFC 6455 section 5.5
)

// A Config says what to do to which servers. Zero fields have defaults.
type Config struct {
	// Scenario is what to do: one of Scenarios.
	Scenario string `json:"scenario"`
	// URLs are the servers, ws://host:port/path, or wss for TLS, as engine.CheckURL accepts them. With more than one, the rounds are
	// done with each in turn.
	URLs []string `json:"urls"`
	// Connections to hold to one server at a time. Default: 64, for replay 1.
	Connections int `json:"connections"`
	// InFlight is how many messages each connection keeps on their way when there is no
	// Rate. Default: 1.
	InFlight int `json:"in_flight"`
	// Rate, per second over all connections, makes an open loop. What it counts depends on
	// the scenario. Default: 10 for fanout, 100 for churn, one ping a second for each
	// connection for idle, 1000 for hostile and where a rate is searched, otherwise 0: each
	// reply brings on the next message.
	Rate float64 `json:"rate"`
	// Publishers are the connections, besides the others, that send what is fanned out.
	// Default: 1.
	Publishers int `json:"publishers"`
	// Attackers are how many connections attack at a time, with hostile. Default: 4.
	Attackers int `json:"attackers,omitempty"`
	// Recording is the file, as Record writes it, that replay plays on each connection.
	Recording string `json:"recording,omitempty"`
	// Speed is how many times as fast as it was recorded. Default: 1.
	Speed float64 `json:"speed,omitempty"`
	// Search is what find looks for: rate or connections. It begins at Rate or Connections.
	// Default: rate.
	Search string `json:"search,omitempty"`
	// Bound is what it has to keep: an upper bound of any of the metrics of a round.
	Bound Threshold `json:"bound,omitzero"`
	// Publishing is how they do that. Default: over WebSocket, as it is.
	Publishing Publishing `json:"publishing,omitzero"`
	// PayloadBytes is the size of a message, at least 32: for its number, its time and its
	// check sum. Default: 128, and 32 for idle, where it is at most 125, as a ping has.
	PayloadBytes int `json:"payload_bytes"`
	// Text sends text messages. Default: binary.
	Text bool `json:"text"`
	// WarmUp is load before anything is measured. Default: 1 s. Negative: none, as with replay.
	WarmUp time.Duration `json:"warm_up_ns"`
	// Duration of what is measured, in each round; with hostile, of each of its stages, and
	// with storm at most. Default: 5 s, for replay that of the recording, of which less can be
	// played.
	Duration time.Duration `json:"duration_ns"`
	// Rounds with each server. Figures are medians over them. Default: 3, for hostile and
	// replay 1.
	Rounds int `json:"rounds"`
	// Timeout is how long an opening handshake or a reply may take; then the connection
	// has failed, or the message is lost. Default: 5 s.
	Timeout time.Duration `json:"timeout_ns"`
	// Workers that hold the connections. Default: as many as the descriptors require and, if
	// WorkerCommand is given, one for every second processor; with hostile one more, which
	// has the attackers.
	Workers int `json:"workers"`
	// Sources are the local addresses to connect from; 20,000 connections each. Default: the
	// system's choice, and 127.0.0.1 and its successors to a server at 127.0.0.1.
	Sources []string `json:"sources,omitempty"`
	// CAFile has authorities in PEM to trust, in place of the system's, for URLs with wss.
	CAFile string `json:"ca_file,omitempty"`
	// Insecure trusts any certificate.
	Insecure bool `json:"insecure,omitempty"`
	// PIDs are the processes of the servers, in the order of URLs, so that what they cost
	// is measured. Default: none.
	PIDs []int `json:"pids,omitempty"`

	// WorkerCommand is a program, with arguments, that calls Worker with its standard
	// input and output. Default: the one worker there may be is part of this process.
	WorkerCommand []string `json:"-"`
	// Progress, if not nil, is told about twice a second how things are. It is called
	// on the goroutine of Run.
	Progress func(Progress) `json:"-"`
}

// Scenarios are the names that Config.Scenario may have.
func Scenarios() []string { return slices.Sorted(maps.Keys(scenarios)) }

// opening reports whether what is measured is how connections are opened.
func (c Config) opening() bool { return scenarios[c.Scenario].opening }

// Describe says in a line what a scenario does and what Config.Rate is in it.
func Describe(scenario string) string { return scenarios[scenario].about }

// withDefaults returns c with every field set that was left zero.
func (c Config) withDefaults() Config {
	c = c.withScenarioDefaults()
	c.Connections = cmp.Or(c.Connections, 64)
	c.InFlight = cmp.Or(c.InFlight, 1)
	c.Publishers = cmp.Or(c.Publishers, 1)
	c.PayloadBytes = cmp.Or(c.PayloadBytes, 128)
	c.Text = c.Text || c.Publishing.Template != ""
	c.WarmUp = max(0, cmp.Or(c.WarmUp, time.Second))
	c.Duration = cmp.Or(c.Duration, 5*time.Second)
	c.Rounds = cmp.Or(c.Rounds, 3)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	if c.Workers == 0 {
		c.Workers = 1
		if most := connectionsPerWorker(); len(c.WorkerCommand) > 0 {
			c.Workers = max((c.Connections+most-1)/most, min(c.Connections, runtime.NumCPU()/2), 1)
			if c.Scenario == "hostile" {
				c.Workers++
			}
		}
	}
	return c
}

// withScenarioDefaults sets what depends on the scenario.
func (c Config) withScenarioDefaults() Config {
	switch c.Scenario {
	case "churn":
		c.Rate = cmp.Or(c.Rate, 100)
	case "fanout":
		c.Rate = cmp.Or(c.Rate, 10)
	case "find":
		c.Search = cmp.Or(c.Search, searchRate)
		if c.Search == searchRate {
			c.Rate = cmp.Or(c.Rate, firstRate)
		}
	case "hostile":
		c.Rate = cmp.Or(c.Rate, controlRate)
		c.Attackers = cmp.Or(c.Attackers, 4)
		c.Rounds = cmp.Or(c.Rounds, 1)
	case "idle":
		c.Rate = cmp.Or(c.Rate, float64(c.Connections))
		c.PayloadBytes = cmp.Or(c.PayloadBytes, stampBytes)
	case "replay":
		c.Connections = cmp.Or(c.Connections, 1)
		c.Rounds = cmp.Or(c.Rounds, 1)
		c.WarmUp = -1
	}
	return c
}

// validate reports everything that is wrong with c.
func (c Config) validate() error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("bench: "+format, args...))
		}
	}
	_, known := scenarios[c.Scenario]
	refuse(!known, "there is no scenario %q; there are %s", c.Scenario, strings.Join(Scenarios(), ", "))
	refuse(len(c.URLs) == 0, "a URL is missing")
	for _, u := range c.URLs {
		err := engine.CheckURL(u)
		refuse(err != nil, "%q is not a URL such as ws://127.0.0.1:7681/echo: %w", shownURL(u), err)
	}
	refuse(c.Connections < 1, "%d connections are too few", c.Connections)
	refuse(c.InFlight < 1, "%d messages in flight are too few", c.InFlight)
	refuse(c.Publishers < 1 || c.Publishers > mostPublishers, "%d publishers are not from 1 to %d", c.Publishers, mostPublishers)
	refuse(!(c.Rate >= 0 && c.Rate <= mostRate), "a rate of %v is not from 0 to 1e9", c.Rate)
	refuse(c.PayloadBytes < stampBytes || c.PayloadBytes > mostPayloadBytes,
		"a payload of %d bytes is not from %d, which its number, time and check sum take, to %d", c.PayloadBytes, stampBytes, mostPayloadBytes)
	refuse(c.Scenario == "idle" && c.PayloadBytes > mostPingBytes, "a ping of %d bytes is above %d", c.PayloadBytes, mostPingBytes)
	refuse(c.Scenario == "storm" && c.Rate != 0, "storm has no rate: all connections are cut at once")
	refuse(c.Duration < 0 || c.Timeout < 0, "durations must be positive")
	refuse(c.Rounds < 1, "%d rounds are too few", c.Rounds)
	refuse(c.Workers < 1 || c.loaders() > c.Connections, "%d workers cannot share %d connections", c.Workers, c.Connections)
	refuse(c.Workers > 1 && len(c.WorkerCommand) == 0, "more than one worker needs a WorkerCommand")
	if most := connectionsPerWorker(); c.Workers > 0 {
		refuse((c.Connections+c.loaders()-1)/c.loaders() > most,
			"%d connections in %s are too many for the limit of descriptors, which is %d connections for each", c.Connections, counted(c.Workers, "worker"), most)
	}
	for _, s := range c.Sources {
		addr, err := netip.ParseAddr(s)
		refuse(err != nil, "the source %q is not an IP address", s)
		refuse(err == nil && !isHere(addr), "the source %s is not an address of this machine", s)
	}
	for _, pid := range c.PIDs {
		_, err := sampleProcess(pid)
		errs = append(errs, err)
	}
	refuse(c.Scenario == "hostile" && (c.Attackers < 1 || c.Attackers > mostAttackers), "%d attackers are not from 1 to %d", c.Attackers, mostAttackers)
	errs = append(errs, c.validateTLS(), c.validateFind(), c.Publishing.validate(c))
	refuse(len(c.PIDs) > len(c.URLs), "%d processes are more than the %d URLs", len(c.PIDs), len(c.URLs))
	return errors.Join(errs...)
}

// shownURL is a URL without the user and password that may be in it.
func shownURL(text string) string {
	if at := strings.LastIndex(text, "@"); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

// capacity is how many connections the workers can hold.
func (c Config) capacity() int {
	switch {
	case c.Workers > 0:
		return min(mostConnections, c.Workers*connectionsPerWorker())
	case len(c.WorkerCommand) > 0:
		return mostConnections
	}
	return connectionsPerWorker()
}

// connectionsPerWorker is how many connections one process can hold.
func connectionsPerWorker() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1000 // there is no system where this happens, or that allows less
	}
	return max(1, int(min(limit.Cur, 1<<30))-reservedDescriptors)
}

// isHere reports whether addr is an address of this machine.
func isHere(addr netip.Addr) bool {
	c, err := net.ListenPacket("udp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		return !errors.Is(err, syscall.EADDRNOTAVAIL)
	}
	return c.Close() == nil
}

// source is the local address of connection i to a server; the zero value leaves the
// choice to the system.
func (c Config) source(target string, i int) (netip.Addr, error) {
	at := i / connectionsPerSource
	if len(c.Sources) > 0 {
		return netip.ParseAddr(c.Sources[at%len(c.Sources)])
	}
	u, err := url.Parse(target)
	if err != nil {
		return netip.Addr{}, err
	}
	if ip := net.ParseIP(u.Hostname()).To4(); ip != nil && ip.IsLoopback() {
		return netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + at)}), nil
	}
	return netip.Addr{}, nil
}
