package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/weirws/weir/bench/peers/result"
)

const (
	// settleMost bounds the wait for the server's memory to keep still.
	settleMost = 15 * time.Second
	// settleShare is how much of the server's memory counts as still.
	settleShare = 0.01
)

// idle tells how much memory the server has come to need for each connection, some
// time after the last was opened.
func (c *client) idle(o options) (result.Result, error) {
	held, err := settled(o)
	if err != nil {
		return result.Result{}, err
	}
	return result.Result{
		Messages:           uint64(o.connections),
		BytesPerConnection: float64(held-o.serverBytes) / float64(o.connections),
	}, nil
}

// settled is the resident memory of the server once that has kept still for as long
// as o wants it to, in bytes.
func settled(o options) (int64, error) {
	began := time.Now()
	still, since := int64(0), began
	again := time.NewTicker(pollMillis * time.Millisecond)
	defer again.Stop()
	for ; ; <-again.C {
		held, err := residentBytes(o.serverPID)
		if err != nil {
			return 0, err
		}
		now := time.Now()
		if difference := float64(held - still); max(difference, -difference) > settleShare*float64(still) {
			still, since = held, now
		}
		if now.Sub(since) >= o.settle || now.Sub(began) >= settleMost {
			return held, nil
		}
	}
}

// residentBytes is the resident memory of a process.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Fscan(bytes.NewReader(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("/proc/%d/statm: %w", pid, err)
	}
	return resident * int64(os.Getpagesize()), nil
}
