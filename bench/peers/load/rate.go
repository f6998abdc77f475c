package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirws/weir/bench/peers/result"
)

// maxBehind bounds the messages that wait for their reply on one connection.
const maxBehind = 4096

// fixedRate sends messages when they are due, to the active connections in turn,
// whether or not replies keep up, and measures from when each was due. It polls
// without blocking, because a timer would be late by as much as a reply takes.
func (c *client) fixedRate(o options) (result.Result, error) {
	w := newWindow(o)
	interval := time.Second / time.Duration(o.perSecond)
	latencies := make([]time.Duration, 0, int(o.length/interval)+o.perSecond)
	sent, received := 0, 0
	arrived := func(i, n int) error {
		now := time.Now()
		k := &c.conns[i]
		for _, due := range k.due[:n] {
			if w.contains(due) {
				latencies = append(latencies, now.Sub(due))
			}
		}
		k.due = slices.Delete(k.due, 0, n)
		w.messages += uint64(n)
		received += n
		return nil
	}
	for start := time.Now(); !w.over; {
		for now := time.Now(); ; sent++ {
			due := start.Add(time.Duration(sent) * interval)
			if due.After(now) {
				break
			}
			i := c.active[sent%len(c.active)]
			k := &c.conns[i]
			if len(k.due) == maxBehind {
				return result.Result{}, fmt.Errorf("the server is %d messages behind on connection %d", maxBehind, i)
			}
			k.due = append(k.due, due)
			if err := c.send(i, 1); err != nil {
				return result.Result{}, err
			}
		}
		if err := c.poll(0, arrived); err != nil {
			return result.Result{}, err
		}
		if err := w.tick(); err != nil {
			return result.Result{}, err
		}
	}
	if err := c.drain(func() bool { return received == sent }, arrived); err != nil {
		return result.Result{}, err
	}
	r := w.result()
	r.Latency = percentiles(latencies)
	return r, nil
}

// percentiles sorts latencies in place.
func percentiles(latencies []time.Duration) *result.Latency {
	n := len(latencies)
	if n == 0 {
		return nil
	}
	slices.Sort(latencies)
	return &result.Latency{P50: latencies[(n-1)/2], P99: latencies[(n-1)*99/100], Max: latencies[n-1]}
}
