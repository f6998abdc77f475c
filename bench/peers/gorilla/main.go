// Command gorilla serves the benchmark's paths on gorilla/websocket, the way
// its documentation and chat example do: a goroutine per connection that reads,
// and for broadcast a hub and a second goroutine per connection that writes.
//
//	gorilla PORT	listen on 127.0.0.1:PORT until killed
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/gorilla/websocket"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gorilla:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: gorilla PORT")
	}
	h := newHub()
	go h.run() // for as long as the process
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/broadcast", h.serve)
	return http.ListenAndServe(net.JoinHostPort("127.0.0.1", args[0]), mux)
}

var upgrader = websocket.Upgrader{}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer c.Close()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(kind, message); err != nil {
			return
		}
	}
}
