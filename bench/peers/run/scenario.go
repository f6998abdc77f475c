package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weirws/weir/bench/peers/result"
)

// scenario is one kind of load.
type scenario struct {
	name, about string
	load        []string // arguments of the load generator
	figure      figure   // what servers are compared by
}

var scenarios = []scenario{
	{"echo-1", "echo, 64 connections, 128 B, 1 in flight", []string{"--connections", "64"}, perMessage},
	{"echo-16", "echo, 64 connections, 128 B, 16 in flight", []string{"--connections", "64", "--in-flight", "16"}, perMessage},
	{"echo-16k", "echo, 64 connections, 16 KiB, 1 in flight", []string{"--connections", "64", "--payload", "16384"}, perMessage},
	{"echo-64k", "echo, 64 connections, 64 KiB, 1 in flight", []string{"--connections", "64", "--payload", "65536"}, perMessage},
	{"echo-10k", "echo, 10,000 connections, 1,000 active, 128 B, 1 in flight",
		[]string{"--connections", "10000", "--active", "1000"}, perMessage},
	{"latency", "echo at 20,000 messages per second, 64 connections, 128 B",
		[]string{"--mode", "rate", "--rate", "20000", "--connections", "64"}, latency},
	{"connect-10k", "10,000 opening handshakes, 128 under way", []string{"--mode", "connect", "--connections", "10000"}, perHandshake},
	{"idle-10k", "10,000 connections that do nothing", []string{"--mode", "idle", "--connections", "10000"}, memory},
	{"fan-5k-1", "broadcast to 5,000, 128 B, 1 publication under way", broadcast("5000", "1"), perDelivery},
	{"fan-5k-8", "broadcast to 5,000, 128 B, 8 publications under way", broadcast("5000", "8"), perDelivery},
	{"fan-15k-1", "broadcast to 15,000, 128 B, 1 publication under way", broadcast("15000", "1"), perDelivery},
	{"fan-15k-8", "broadcast to 15,000, 128 B, 8 publications under way", broadcast("15000", "8"), perDelivery},
}

// figure is what servers are compared by; less is better.
type figure struct {
	About string `json:"about"`
	Unit  string `json:"unit"`
}

var (
	perMessage   = figure{"server CPU per message", "µs"}
	perDelivery  = figure{"server CPU per delivery", "µs"}
	perHandshake = figure{"server CPU per handshake", "µs"}
	memory       = figure{"resident memory per connection", "kB"}
	latency      = figure{"p50 of the echo, from when it was due", "µs"} // the p99 of a short round tells more of the machine
)

// of is the figure of one round, in its unit.
func (f figure) of(r result.Result) float64 {
	switch {
	case f == memory:
		return r.BytesPerConnection / 1000
	case f == latency && r.Latency != nil:
		return float64(r.Latency.P50) / 1000
	case f == latency:
		return 0 // no message was due in the round
	}
	return float64(r.Server) / float64(r.Messages) / 1000
}

func broadcast(connections, inFlight string) []string {
	return []string{"--mode", "broadcast", "--path", "/broadcast", "--connections", connections, "--in-flight", inFlight}
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// addScenarios takes one value of the scenario flag.
func (o *options) addScenarios(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		at := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if at < 0 {
			return fmt.Errorf("no scenario is named %q; there are %s", name, scenarioNames())
		}
		o.scenarios = append(o.scenarios, scenarios[at])
	}
	return nil
}
