package main

import (
	"fmt"
	"slices"
	"strings"
)

// scenario is one kind of load.
type scenario struct {
	name, about string
	load        []string // arguments of the load generator
}

var scenarios = []scenario{
	{"echo-1", "echo, 64 connections, 128 B, 1 in flight", []string{"--connections", "64"}},
	{"echo-16", "echo, 64 connections, 128 B, 16 in flight", []string{"--connections", "64", "--in-flight", "16"}},
	{"echo-64k", "echo, 64 connections, 64 KiB, 1 in flight", []string{"--connections", "64", "--payload", "65536"}},
	{"echo-10k", "echo, 10,000 connections, 1,000 active, 128 B, 1 in flight",
		[]string{"--connections", "10000", "--active", "1000"}},
	{"latency", "echo at 20,000 messages per second, 64 connections, 128 B",
		[]string{"--mode", "rate", "--rate", "20000", "--connections", "64"}},
	{"fan-5k-1", "broadcast to 5,000, 128 B, 1 publication under way", broadcast("5000", "1")},
	{"fan-5k-8", "broadcast to 5,000, 128 B, 8 publications under way", broadcast("5000", "8")},
	{"fan-15k-1", "broadcast to 15,000, 128 B, 1 publication under way", broadcast("15000", "1")},
	{"fan-15k-8", "broadcast to 15,000, 128 B, 8 publications under way", broadcast("15000", "8")},
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
			return fmt.Errorf("no scenario %q", name)
		}
		o.scenarios = append(o.scenarios, scenarios[at])
	}
	return nil
}
