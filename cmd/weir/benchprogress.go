package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/weirws/weir/bench"
)

const (
	progressWidth = 20              // of the bar, in characters
	plainInterval = 5 * time.Second // between two lines that do not replace each other
)

// A progressLine shows how a bench is getting on: in one line that changes if it goes to a
// terminal, otherwise in a line now and then.
type progressLine struct {
	w        io.Writer
	config   bench.Config
	terminal bool
	told     time.Time
	phase    string
}

func newProgressLine(w io.Writer, c bench.Config) *progressLine {
	p := &progressLine{w: w, config: c}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// show tells how things are.
func (p *progressLine) show(now bench.Progress) {
	if !p.terminal && now.Phase == p.phase && time.Since(p.told) < plainInterval {
		return
	}
	p.told, p.phase = time.Now(), now.Phase
	line := fmt.Sprintf("%s round %d: %s, %s", p.config.URLs[now.Target], now.Round+1, now.Phase, connections(now.Open))
	if now.Trying != "" {
		line += ", trying " + now.Trying
	}
	if now.Phase != "connecting" {
		line += fmt.Sprintf(", %.0f/s", now.Rate)
	}
	if now.P99 > 0 { // otherwise nothing has come, or it has no latency
		line += fmt.Sprintf(", p50 %v, p99 %v", now.P50.Round(time.Microsecond), now.P99.Round(time.Microsecond))
	}
	if now.Errors > 0 {
		line += fmt.Sprintf(", errors %d", now.Errors)
	}
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K[%s] %s", bar(now), line)
}

// bar shows how much of the round is over.
func bar(now bench.Progress) string {
	full := 0
	if now.Phase != "connecting" && now.Length > 0 {
		full = min(progressWidth, int(progressWidth*time.Since(now.Since)/now.Length))
	}
	return strings.Repeat("=", full) + strings.Repeat(" ", progressWidth-full)
}

// clear takes the line away.
func (p *progressLine) clear() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
