package main

import "github.com/weirws/weir/bench/peers/result"

// broadcast has the first connection publish, with inFlight publications under
// way, and counts what all connections, the publisher too, receive. A
// publication is done when everyone has it, which brings on the next.
func (c *client) broadcast(o options) (result.Result, error) {
	w := newWindow(o)
	missing := make([]int, o.inFlight) // receivers still to be reached, by publication modulo inFlight
	underWay, done := 0, 0
	publish := func(n int) error {
		for range n {
			missing[(done+underWay)%o.inFlight] = len(c.conns)
			underWay++
		}
		return c.send(0, n)
	}
	arrived := func(i, n int) error {
		w.messages += uint64(n)
		for m := c.conns[i].received - uint64(n); m < c.conns[i].received; m++ {
			// Everyone receives in order, so publications are done in order.
			slot := m % uint64(o.inFlight)
			if missing[slot]--; missing[slot] == 0 {
				underWay--
				done++
			}
		}
		return nil
	}
	if err := publish(o.inFlight); err != nil {
		return result.Result{}, err
	}
	for before := 0; !w.over; before = done {
		if err := c.poll(pollMillis, arrived); err != nil {
			return result.Result{}, err
		}
		if done == before {
			continue
		}
		// Between publications, the server has done what it is charged for.
		if err := w.tick(); err != nil {
			return result.Result{}, err
		}
		if err := publish(o.inFlight - underWay); err != nil {
			return result.Result{}, err
		}
	}
	if err := c.drain(func() bool { return underWay == 0 }, arrived); err != nil {
		return result.Result{}, err
	}
	return w.result(), nil
}
