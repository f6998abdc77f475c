package engine

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	lookupsAtOnce = 16
	lookupTimeout = 30 * time.Second
)

// A resolver looks up host names, which may block, for connections that cannot. Those
// who ask for a name that is being looked up get the same answer. Goroutines run only
// while there are names to look up; they end with the last, and close waits for them.
type resolver struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	running int
	queue   []string // names that nobody has begun to look up
	waiting map[string][]func([]netip.Addr, error)
}

func newResolver() *resolver {
	ctx, cancel := context.WithCancel(context.Background())
	return &resolver{ctx: ctx, cancel: cancel, waiting: make(map[string][]func([]netip.Addr, error))}
}

// lookUp calls then with the addresses of a host, in the order in which they are to be
// tried, or the reason why there are none, on a goroutine of the resolver. Once the
// resolver is closed that is ErrClosed, on the caller's goroutine.
func (r *resolver) lookUp(host string, then func([]netip.Addr, error)) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		then(nil, ErrClosed)
		return
	}
	defer r.mu.Unlock()
	askers := r.waiting[host]
	r.waiting[host] = append(askers, then)
	if len(askers) > 0 {
		return
	}
	r.queue = append(r.queue, host)
	if r.running < lookupsAtOnce {
		r.running++
		r.group.Go(r.work)
	}
}

// work looks up names until none is left.
func (r *resolver) work() {
	for host, ok := r.next(); ok; host, ok = r.next() {
		ctx, cancel := context.WithTimeout(r.ctx, lookupTimeout)
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		cancel()
		if r.ctx.Err() != nil {
			err = ErrClosed
		}
		for _, then := range r.take(host) {
			then(addrs, err)
		}
	}
}

// next takes a name from the queue. Without one the goroutine that asks is to end.
func (r *resolver) next() (host string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		r.running--
		return "", false
	}
	host, r.queue = r.queue[0], r.queue[1:]
	return host, true
}

// take returns those who wait for a name.
func (r *resolver) take(host string) []func([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.waiting[host]
	delete(r.waiting, host)
	return waiting
}

// stop makes every look-up fail, now and from now on.
func (r *resolver) stop() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
}

// wait returns when nothing runs any more, after stop.
func (r *resolver) wait() { r.group.Wait() }
