package main

import (
	"net/http"

	"github.com/gorilla/websocket"
)

// outboxMessages bounds what may wait for one subscriber. One that is further
// behind is disconnected, as in gorilla's chat example.
const outboxMessages = 256

// hub hands every message to every subscriber. Its goroutine alone touches the
// set of subscribers.
type hub struct {
	join, leave chan *subscriber
	publish     chan *websocket.PreparedMessage
	subscribers map[*subscriber]bool
}

type subscriber struct {
	conn   *websocket.Conn
	outbox chan *websocket.PreparedMessage // closed by the hub
}

func newHub() *hub {
	return &hub{
		join:        make(chan *subscriber),
		leave:       make(chan *subscriber),
		publish:     make(chan *websocket.PreparedMessage),
		subscribers: make(map[*subscriber]bool),
	}
}

func (h *hub) run() {
	for {
		select {
		case s := <-h.join:
			h.subscribers[s] = true
		case s := <-h.leave:
			h.remove(s)
		case message := <-h.publish:
			for s := range h.subscribers {
				select {
				case s.outbox <- message:
				default:
					h.remove(s)
				}
			}
		}
	}
}

func (h *hub) remove(s *subscriber) {
	if h.subscribers[s] {
		delete(h.subscribers, s)
		close(s.outbox)
	}
}

// serve reads what one subscriber publishes until its connection ends. It joins
// before it upgrades, so that a peer that has seen the 101 misses nothing.
func (h *hub) serve(w http.ResponseWriter, r *http.Request) {
	s := &subscriber{outbox: make(chan *websocket.PreparedMessage, outboxMessages)}
	h.join <- s
	defer func() { h.leave <- s }()
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer c.Close()
	s.conn = c
	go s.write() // until the hub closes the outbox or a write fails
	for {
		kind, payload, err := c.ReadMessage()
		if err != nil {
			return
		}
		message, err := websocket.NewPreparedMessage(kind, payload)
		if err != nil {
			return
		}
		h.publish <- message
	}
}

// write sends what the hub hands over; closing the connection ends serve too.
func (s *subscriber) write() {
	defer s.conn.Close()
	for message := range s.outbox {
		if err := s.conn.WritePreparedMessage(message); err != nil {
			return
		}
	}
}
