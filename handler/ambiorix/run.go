package ambiorix

import (
	"context"
	"slices"
)

// A Server serves an App until ctx is done, and then lets its connections finish. It
// is an *engine.Engine, started or not.
type Server interface {
	Run(ctx context.Context) error
}

// OnStart has Run call f before the server begins. Several are called in the order
// registered.
func (a *App) OnStart(f func() error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.start = append(a.start, f)
}

// OnStop has Run call f before the connections are closed: it may still send to them.
// Several are called in reverse order.
func (a *App) OnStop(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop = append(a.stop, f)
}

// Run calls the start hooks, lets s serve until ctx is done, calls the stop hooks, and
// then lets s close the connections, whose peers see 1001. It returns what s.Run
// returned. An error of a start hook is returned at once: nothing is served then, and
// no stop hook called. If s ends by itself, the stop hooks are called after that.
func (a *App) Run(ctx context.Context, s Server) error {
	a.mu.RLock()
	start, stop := a.start, a.stop
	a.mu.RUnlock()
	for _, f := range start {
		if err := f(); err != nil {
			return err
		}
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(serving) }() // ends with the server; both ways out below wait for it

	select {
	case err := <-ended:
		callReversed(stop)
		return err
	case <-ctx.Done():
		callReversed(stop)
		end()
		return <-ended
	}
}

func callReversed(hooks []func()) {
	for _, f := range slices.Backward(hooks) {
		f()
	}
}
