// Chat is a chat room in a web page: what one browser tab says, all tabs show. Start it
// with
//
//	go run ./handler/ambiorix/example/chat
//
// and open the address that it prints in two tabs.
package main

import (
	"context"
	"embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/ambiorix"
)

//go:embed page
var embedded embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// run serves the chat until ctx is done.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	address := flags.String("address", "127.0.0.1:8080", "`host:port` to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	app, err := newApp()
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Options{Address: *address, Mux: app.Mux(), HTTP: app.HTTP()})
	if err != nil {
		return err
	}
	if err := e.Start(); err != nil {
		return err
	}
	fmt.Fprintf(out, "chat at http://%s/\n", e.Addr())
	return app.Run(ctx, e)
}

// newApp makes the whole application: a page, the browser client, and one receiver.
func newApp() (*ambiorix.App, error) {
	page, err := fs.Sub(embedded, "page")
	if err != nil {
		return nil, err
	}
	app := ambiorix.New(ambiorix.Options{})
	app.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		ambiorix.SendFile(w, r, page, "chat.html")
	})
	app.Static("/static", page)
	app.ServeClient("/static")
	app.Receive("chat", func(message json.RawMessage) error {
		_, err := app.Broadcast("chat", message, ambiorix.Audience{})
		return err
	})
	return app, nil
}
