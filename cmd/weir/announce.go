package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"text/tabwriter"

	"github.com/weirws/weir/engine"
)

const fewConnections = 512 // fewer are hardly what anybody wants

// An announcer tells the operator what the server does: in lines to read, or in
// records of the log when that is in JSON.
type announcer struct {
	w    io.Writer
	json bool
	log  *slog.Logger
}

// A fact is one line of what is told at the start.
type fact struct{ name, text string }

// listening tells where the server listens and what its limits are. asked is the
// number of connections that was asked for, 0 if none was.
func (a announcer) listening(e *engine.Engine, asked int, f *feedServer) {
	facts := append(addresses(e.Addr(), e.Options().TLS != nil, f), limits(e.Options())...)
	facts = append(facts, f.secrets()...)
	switch most := e.Options().MaxConnections; {
	case asked > most:
		facts = append(facts, fact{"warning", fmt.Sprintf("the descriptor limit leaves room for %s, not %d: raise it (ulimit -Hn)", connections(most), asked)})
	case asked == 0 && most < fewConnections:
		facts = append(facts, fact{"warning", fmt.Sprintf("the descriptor limit leaves room for no more than %s: raise it (ulimit -Hn)", connections(most))})
	}
	if a.json {
		var attrs []slog.Attr
		for _, f := range facts {
			attrs = append(attrs, slog.String(f.name, f.text))
		}
		a.log.LogAttrs(context.Background(), slog.LevelInfo, "listening", attrs...)
		return
	}
	table := tabwriter.NewWriter(a.w, 0, 0, 2, ' ', 0)
	for _, f := range facts {
		fmt.Fprintf(table, "%s\t%s\n", f.name, f.text)
	}
	_ = table.Flush() // there is nobody to tell
}

// addresses are the URLs under which the server is reached.
func addresses(addr net.Addr, secure bool, f *feedServer) []fact {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return []fact{{"listening", addr.String()}}
	}
	host := tcp.String()
	if tcp.IP.IsUnspecified() {
		host = fmt.Sprintf("localhost:%d", tcp.Port)
	}
	s := ""
	if secure {
		s = "s"
	}
	httpURL, wsURL := "http"+s+"://"+host, "ws"+s+"://"+host
	return append([]fact{
		{"listening", addr.String()},
		{"page", httpURL + "/"},
		{"echo", wsURL + "/echo"},
		{"broadcast", wsURL + "/broadcast"},
	}, f.facts(httpURL, wsURL)...)
}

// limits are the bounds that matter for sizing a machine.
func limits(o engine.Options) []fact {
	where := map[engine.Mode]string{
		engine.Workers: fmt.Sprintf("at most %d workers", o.Workers),
		engine.Service: "one goroutine that calls Service",
		engine.OnLoop:  "the loops",
	}
	compression := "off"
	if o.Deflate.Enabled {
		compression = "on"
	}
	return []fact{
		{"handlers", fmt.Sprintf("on %s; event loops: %d", where[o.Mode], o.Loops)},
		{"connections", fmt.Sprintf("at most %d", o.MaxConnections)},
		{"message", fmt.Sprintf("at most %s; compression %s", size(o.MaxMessageBytes), compression)},
		{"queues", fmt.Sprintf("inbox %s; outbox %s, at most %s", size(o.InboxBytes), size(o.OutboxSoftBytes), size(o.OutboxHardBytes))},
	}
}

// size is a number of bytes with the largest unit that divides it.
func size(n int) string {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}

func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

func (a announcer) draining(left int) {
	a.say("draining: "+connections(left)+" left", "draining", slog.Int("connections", left))
}

func (a announcer) cutting(left int) {
	a.say("cutting "+connections(left), "cutting", slog.Int("connections", left))
}

func (a announcer) stopped() { a.say("stopped", "stopped") }

func (a announcer) say(line, message string, attrs ...slog.Attr) {
	if a.json {
		a.log.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
		return
	}
	fmt.Fprintln(a.w, line)
}
