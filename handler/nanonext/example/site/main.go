// Command site is every kind of handler on one port: an echo, a page with a directory
// behind it, a stream of events, a redirect. Start it and open what it prints:
//
//	go run ./handler/nanonext/example/site
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/nanonext"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:8080", "`URL` to serve on; port 0 is any free one")
	dir := flag.String("dir", ".", "`directory` to serve under /files/")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *url, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const page = `<!doctype html>
<meta charset="utf-8">
<title>nanonext handlers</title>
<h1>An echo, and the time</h1>
<input id="line" placeholder="Type, and press Enter" autofocus> <output id="echo"></output>
<p>The server says it is <output id="time"></output>. <a href="files/README.md">A file</a>, <a href="old">a redirect</a>.
<script>
const ws = new WebSocket(new URL("echo", location.href.replace(/^http/, "ws")));
ws.onmessage = e => document.getElementById("echo").textContent = e.data;
document.getElementById("line").onchange = e => { ws.send(e.target.value); e.target.value = ""; };
new EventSource("events").onmessage = e => document.getElementById("time").textContent = e.data;
</script>
`

// run serves until ctx is done.
func run(ctx context.Context, url, dir string) error {
	var clocks streams
	s, err := nanonext.NewServer(url, engine.Options{},
		nanonext.Inline{Path: "/", ContentType: "text/html; charset=utf-8", Data: []byte(page)},
		nanonext.WebSocket{Path: "/echo", Text: true, Message: func(ws nanonext.Conn, data []byte) {
			_ = ws.Send(data) // an error means that the connection is ending
		}},
		nanonext.Stream{Path: "/events", Open: clocks.add, Close: clocks.remove},
		nanonext.Directory{Path: "/files", Dir: dir},
		nanonext.Redirect{Path: "/old", Location: "/"},
		nanonext.Func{Path: "/hello", Serve: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "hello %s\n", r.RemoteAddr)
		}},
	)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	fmt.Printf("serving at %s, interrupt to stop\n", s.URL())
	go clocks.tick(ctx) // until the program ends
	return s.Serve(ctx)
}

// streams are those that are told the time.
type streams struct {
	mu  sync.Mutex
	all map[uint64]*nanonext.StreamConn
}

func (ss *streams) add(s *nanonext.StreamConn, _ *http.Request) {
	if err := s.SetHeader("Content-Type", "text/event-stream"); err != nil {
		return // the stream has ended
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.all == nil {
		ss.all = make(map[uint64]*nanonext.StreamConn)
	}
	ss.all[s.ID()] = s
}

func (ss *streams) remove(s *nanonext.StreamConn) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.all, s.ID())
}

// tick sends the time every second until ctx is done.
func (ss *streams) tick(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			ss.send(nanonext.FormatSSE(nanonext.Event{Data: now.Format(time.TimeOnly), Retry: time.Second}))
		}
	}
}

func (ss *streams) send(event []byte) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.all {
		_ = s.Send(event) // an error means that the stream is ending
	}
}
