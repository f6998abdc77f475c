package main

import "github.com/weirws/weir/bench/peers/result"

// echo keeps inFlight messages on their way on every active connection: each
// reply brings on the next message.
func (c *client) echo(o options) (result.Result, error) {
	w := newWindow(o)
	waiting := len(c.active) * o.inFlight
	arrived := func(i, n int) error {
		w.messages += uint64(n)
		if w.over {
			waiting -= n
			return nil
		}
		return c.send(i, n)
	}
	for _, i := range c.active {
		if err := c.send(i, o.inFlight); err != nil {
			return result.Result{}, err
		}
	}
	for !w.over {
		if err := c.poll(pollMillis, arrived); err != nil {
			return result.Result{}, err
		}
		if err := w.tick(); err != nil {
			return result.Result{}, err
		}
	}
	if err := c.drain(func() bool { return waiting == 0 }, arrived); err != nil {
		return result.Result{}, err
	}
	return w.result(), nil
}
