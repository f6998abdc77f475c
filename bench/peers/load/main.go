// Command load puts a server under a load that costs little to make: one thread
// on raw epoll, frames masked beforehand, and a reply stream that is compared
// with what must come back instead of being parsed. It opens its connections,
// lets the load run for the warm-up, measures for the duration, waits for
// every reply that is still due, and prints one result.Result as JSON.
//
//	load --address 127.0.0.1:7681 --connections 64 --server-pid 4711
//	load --address 127.0.0.1:7681 --mode rate --rate 20000
//	load --address 127.0.0.1:7681 --mode broadcast --path /broadcast --connections 5000
//	load --address 127.0.0.1:7681 --mode connect --connections 10000
//
// A reply that is missing or differs in one byte is an error.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/weirws/weir/bench/peers/result"
)

type options struct {
	address        netip.AddrPort
	path           string
	protocol       string
	mode           string
	connections    int
	active         int
	inFlight       int
	payloadBytes   int
	perSecond      int
	warmUp, length time.Duration
	settle         time.Duration
	serverPID      int
	serverBytes    int64 // resident memory of the server without connections
}

var modes = map[string]func(*client, options) (result.Result, error){
	"broadcast": (*client).broadcast,
	"connect":   (*client).connect,
	"echo":      (*client).echo,
	"idle":      (*client).idle,
	"rate":      (*client).fixedRate,
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	open := dialAll
	if o.mode == "connect" { // that opens them
		open = newClient
	}
	if o.mode == "idle" {
		if o.serverBytes, err = residentBytes(o.serverPID); err != nil {
			return err
		}
	}
	c, err := open(o)
	if err != nil {
		return err
	}
	defer c.close()
	r, err := modes[o.mode](c, o)
	if err != nil {
		return err
	}
	if err := c.checkIdle(); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(r)
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	address := fs.String("address", "127.0.0.1:7681", "IPv4 `address` of the server")
	fs.StringVar(&o.path, "path", "/echo", "request `path`")
	fs.StringVar(&o.protocol, "protocol", "", "what the messages are wrapped in: nothing, or centrifuge for its JSON form")
	fs.StringVar(&o.mode, "mode", "echo", "echo: each reply brings on the next message; rate: messages at a fixed rate;\n"+
		"broadcast: one connection publishes, all receive; connect: what is measured is opening the connections;\n"+
		"idle: the memory that the server needs for them")
	fs.IntVar(&o.connections, "connections", 64, "connections to open")
	fs.IntVar(&o.active, "active", 0, "how many of them send; 0: all")
	fs.IntVar(&o.inFlight, "in-flight", 1, "echo: messages in flight per connection; broadcast: publications")
	fs.IntVar(&o.payloadBytes, "payload", 128, "payload of a message, in `bytes`")
	fs.IntVar(&o.perSecond, "rate", 20000, "rate: messages per second over all connections")
	fs.DurationVar(&o.warmUp, "warm-up", 500*time.Millisecond, "load before measuring")
	fs.DurationVar(&o.length, "duration", 2*time.Second, "load while measuring")
	fs.DurationVar(&o.settle, "settle", 3*time.Second, "idle: how long the server's memory has to keep still, at most 15s")
	fs.IntVar(&o.serverPID, "server-pid", 0, "process whose CPU time is measured; 0: none")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.active == 0 {
		o.active = o.connections
	}
	var err error
	if o.address, err = netip.ParseAddrPort(*address); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(!o.address.Addr().Is4(), "the address %v is not IPv4", o.address)
	refuse(modes[o.mode] == nil, "unknown mode %q", o.mode)
	refuse(o.mode == "idle" && o.serverPID == 0, "idle needs the server's process")
	refuse(o.connections < 1, "%d connections are too few", o.connections)
	refuse(o.active < 1 || o.active > o.connections, "%d of %d connections cannot be active", o.active, o.connections)
	refuse(o.mode == "broadcast" && o.active != o.connections, "in a broadcast every connection is active")
	refuse(o.protocol != "" && o.protocol != "centrifuge", "unknown protocol %q", o.protocol)
	refuse(o.inFlight < 1 || o.inFlight > 1024, "%d messages in flight are not 1 to 1024", o.inFlight)
	refuse(o.payloadBytes < 0 || o.payloadBytes > 16<<20, "a payload of %d bytes is not 0 to 16 MiB", o.payloadBytes)
	refuse(o.perSecond < 1, "%d messages per second are too few", o.perSecond)
	refuse(o.length <= 0 || o.warmUp < 0, "the load must last")
	return errors.Join(errs...)
}
