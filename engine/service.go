package engine

import "time"

// Service runs the handlers of waiting events on the calling goroutine, in mode
// Service, and returns how many it ran. If none waits it waits for the first, up
// to timeout; then it returns as soon as none waits any more, or timeout has passed and
// the handler that was running has returned. A timeout of zero or less does not
// wait. Any number of goroutines may call it: different connections then run
// concurrently. After the engine has closed, what is left is run, and it does not wait:
// a loop around Service ends by Engine.Done.
func (e *Engine) Service(timeout time.Duration) int {
	if e.options.Mode != Service {
		return 0
	}
	defer e.run.passOn()
	if timeout <= 0 {
		n := 0
		for range e.run.length.Load() {
			n += e.burst(1) // one turn: that point has passed
		}
		return n
	}
	end := e.elapsed() + timeout
	var expired <-chan time.Time
	for {
		if n := e.burst(end); n > 0 || e.run.closed.Load() {
			return n
		}
		if expired == nil {
			timer := time.NewTimer(timeout)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-e.run.wake:
		case <-expired:
			return 0
		}
	}
}
