package ambiorix

import (
	"slices"
	"sync"

	"github.com/weirws/weir/handler"
)

// A place is where an App has clients: a route of an engine.
type place struct {
	hub  handler.Hub
	path string
}

// places are those where there is a client now. An App is not told which engines serve
// it; its connections know. The zero value is empty.
type places struct {
	mu  sync.Mutex
	all []occupied // few: one for each route
}

type occupied struct {
	place
	clients int // more than 0
}

func placeOf(c handler.Conn) place { return place{c.Hub(), c.Path()} }

// enter counts a client.
func (p *places) enter(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.all {
		if p.all[i].place == at {
			p.all[i].clients++
			return
		}
	}
	p.all = append(p.all, occupied{at, 1})
}

// leave counts a client less, and forgets a place without clients.
func (p *places) leave(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.all, func(o occupied) bool { return o.place == at })
	if i < 0 {
		return
	}
	if p.all[i].clients--; p.all[i].clients == 0 {
		p.all = slices.Delete(p.all, i, i+1)
	}
}

// list returns the places, for use without the lock.
func (p *places) list() []place {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]place, len(p.all))
	for i, o := range p.all {
		list[i] = o.place
	}
	return list
}

// hubs returns the engines of the places, each once.
func (p *places) hubs() []handler.Hub {
	var hubs []handler.Hub
	for _, at := range p.list() {
		if !slices.Contains(hubs, at.hub) {
			hubs = append(hubs, at.hub)
		}
	}
	return hubs
}
