package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"text/tabwriter"
	"time"

	"github.com/weirws/weir/engine"
)

const fewConnections = 512 // fewer are hardly what anybody wants

// An announcer tells the operator what the server does, whatever the level of the log: in
// lines to read, or in records of the log when that is in JSON.
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
	warning := tooFew(e.Options().MaxConnections, asked)
	if a.json {
		var attrs []slog.Attr
		for _, f := range facts {
			attrs = append(attrs, slog.String(f.name, f.text))
		}
		a.record(slog.LevelInfo, "listening", attrs...)
		if warning != "" {
			a.record(slog.LevelWarn, "descriptor limit is low", slog.String("warning", warning))
		}
		return
	}
	if warning != "" {
		facts = append(facts, fact{"warning", warning})
	}
	table := tabwriter.NewWriter(a.w, 0, 0, 2, ' ', 0)
	for _, f := range facts {
		fmt.Fprintf(table, "%s\t%s\n", f.name, f.text)
	}
	_ = table.Flush() // there is nobody to tell
}

// tooFew is what to say about the bound of connections, "" if that is nothing. asked is how
// many were asked for, 0 if no number was.
func tooFew(most, asked int) string {
	switch {
	case asked > most:
		return fmt.Sprintf("the descriptor limit leaves room for %s, not %d: raise it (ulimit -Hn)", connections(most), asked)
	case asked == 0 && most < fewConnections:
		return fmt.Sprintf("the descriptor limit leaves room for no more than %s: raise it (ulimit -Hn)", connections(most))
	}
	return ""
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
		a.record(slog.LevelInfo, message, attrs...)
		return
	}
	fmt.Fprintln(a.w, line)
}

// record writes a record to the log even if the log is to have none of its level.
func (a announcer) record(level slog.Level, message string, attrs ...slog.Attr) {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	_ = a.log.Handler().Handle(context.Background(), r) // there is nobody to tell
}
