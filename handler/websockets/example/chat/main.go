// Command chat is one page and one loop: what a client sends goes to all, and the page
// is read anew for every visitor. Start it and open what it prints in two tabs:
//
//	go run ./handler/websockets/example/chat
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/websockets"
)

//go:embed chat.html
var chat string

func main() {
	address := flag.String("address", "127.0.0.1:7681", "`host:port` to listen on; port 0 is any free one")
	file := flag.String("page", "", "`file` to serve as the page, in place of the one that is built in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, page(*file)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func page(file string) http.Handler {
	if file == "" {
		return websockets.StaticText(chat)
	}
	return websockets.StaticFile(file)
}

// run serves until ctx is done.
func run(ctx context.Context, address string, page http.Handler) error {
	s, err := websockets.NewServer(websockets.Options{Page: page, Engine: engine.Options{Address: address}})
	if err != nil {
		return err
	}
	s.Established(func(ws *websockets.Conn) {
		s.Broadcast(fmt.Appendf(nil, "%d has come; there are %d", ws.ID(), len(s.Conns())))
	})
	s.Receive(func(data []byte, ws *websockets.Conn, _ websockets.Header) {
		s.Broadcast(fmt.Appendf(nil, "%d: %s", ws.ID(), data))
	})
	s.Closed(func(ws *websockets.Conn, _ handler.CloseStatus) {
		s.Broadcast(fmt.Appendf(nil, "%d has gone", ws.ID()))
	})
	fmt.Printf("serving at http://%s/, interrupt to stop\n", s.Addr())
	return s.Run(ctx)
}
