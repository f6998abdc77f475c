package ambiorix

import (
	"encoding/json"
	"sync"
)

// A receiver handles the messages of one name.
type receiver func(message json.RawMessage, c Client) error

// Router is a set of receivers, for a part of an application in a file of its own.
// The zero value is empty and ready. It must not be copied after first use.
type Router struct {
	mu        sync.RWMutex
	receivers map[string]receiver // nil while there are none
}

// Receive registers f for messages called name. If name has a receiver already, that
// one goes on and f is never called: the first one registered wins. An error that f
// returns is logged, and closes the connection with 1011. The message is f's to keep.
// Receivers may be registered while messages come in.
func (r *Router) Receive(name string, f func(message json.RawMessage) error) {
	if f == nil {
		panic("ambiorix: nil receiver for " + name)
	}
	r.add(name, func(message json.RawMessage, _ Client) error { return f(message) })
}

// ReceiveFrom is Receive for an f that wants to know from whom, to answer say.
func (r *Router) ReceiveFrom(name string, f func(message json.RawMessage, c Client) error) {
	if f == nil {
		panic("ambiorix: nil receiver for " + name)
	}
	r.add(name, f)
}

func (r *Router) add(name string, f receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.receivers[name]; taken {
		return
	}
	if r.receivers == nil {
		r.receivers = make(map[string]receiver)
	}
	r.receivers[name] = f
}

// find returns the receiver for name, nil if there is none.
func (r *Router) find(name string) receiver {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.receivers[name]
}
