// Package hub has the hub of gorilla's chat example, for the servers whose
// library leaves broadcasting to the application.
package hub

// outboxMessages bounds what may wait for one subscriber. One that is further
// behind is disconnected, as in the chat example.
const outboxMessages = 256

// Hub hands every message to every subscriber. Its own goroutine alone touches
// the set of subscribers. M is what the server's library sends.
type Hub[M any] struct {
	join, leave chan *Subscriber[M]
	publish     chan M
	subscribers map[*Subscriber[M]]bool
}

// Subscriber is one that every message is handed to.
type Subscriber[M any] struct {
	// Outbox is what the subscriber has to be sent. The hub closes it once the
	// subscriber has left or is too far behind.
	Outbox chan M
}

// New starts a hub that runs for as long as the process.
func New[M any]() *Hub[M] {
	h := &Hub[M]{
		join:        make(chan *Subscriber[M]),
		leave:       make(chan *Subscriber[M]),
		publish:     make(chan M),
		subscribers: make(map[*Subscriber[M]]bool),
	}
	go h.run()
	return h
}

// Join adds a subscriber, which misses nothing that is published afterwards.
func (h *Hub[M]) Join() *Subscriber[M] {
	s := &Subscriber[M]{Outbox: make(chan M, outboxMessages)}
	h.join <- s
	return s
}

// Leave takes a subscriber out and closes its outbox.
func (h *Hub[M]) Leave(s *Subscriber[M]) { h.leave <- s }

// Publish hands message to everyone.
func (h *Hub[M]) Publish(message M) { h.publish <- message }

func (h *Hub[M]) run() {
	for {
		select {
		case s := <-h.join:
			h.subscribers[s] = true
		case s := <-h.leave:
			h.remove(s)
		case message := <-h.publish:
			for s := range h.subscribers {
				select {
				case s.Outbox <- message:
				default:
					h.remove(s)
				}
			}
		}
	}
}

func (h *Hub[M]) remove(s *Subscriber[M]) {
	if h.subscribers[s] {
		delete(h.subscribers, s)
		close(s.Outbox)
	}
}
