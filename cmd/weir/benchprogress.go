package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/bench"
)

const (
	barWidth      = 20              // at most, in characters
	plainInterval = 5 * time.Second // between two lines that do not replace each other
)

// A progressLine shows how a bench is getting on: in one line that changes if it goes to a
// terminal, otherwise in a line now and then.
type progressLine struct {
	w       io.Writer
	config  bench.Config
	columns func() int // of the terminal; nil if it is none
	told    time.Time
	phase   string
}

func newProgressLine(w io.Writer, c bench.Config) *progressLine {
	p := &progressLine{w: w, config: c}
	if f, ok := w.(*os.File); ok && columns(f) > 0 {
		p.columns = func() int { return columns(f) }
	}
	return p
}

// columns is how many a terminal has, 0 if f is none.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return cmp.Or(int(size.Col), 80) // some terminals do not know
}

// show tells how things are.
func (p *progressLine) show(now bench.Progress) {
	if p.columns != nil {
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.short(now, p.columns()))
		return
	}
	if now.Phase == p.phase && time.Since(p.told) < plainInterval {
		return
	}
	p.told, p.phase = time.Now(), now.Phase
	all := slices.Concat([]string{now.Phase, connections(now.Open)}, figures(now))
	fmt.Fprintf(p.w, "%s round %d: %s\n", p.config.URLs[now.Target], now.Round+1, strings.Join(all, ", "))
}

// figures are what is known about the messages of late.
func figures(now bench.Progress) (all []string) {
	if now.Phase != "connecting" {
		all = append(all, fmt.Sprintf("%.0f/s", now.Rate))
	}
	if now.P99 > 0 { // otherwise nothing has come, or it has no latency
		all = append(all, fmt.Sprintf("p50 %v, p99 %v", now.P50.Round(time.Microsecond), now.P99.Round(time.Microsecond)))
	}
	if now.Errors > 0 {
		all = append(all, fmt.Sprintf("errors %d", now.Errors))
	}
	if now.Trying != "" {
		all = append(all, "trying "+now.Trying)
	}
	return all
}

// short is a line that does not wrap, as it could not be replaced then: it ends where the
// terminal does, and what matters comes first.
func (p *progressLine) short(now bench.Progress, columns int) string {
	all := append(figures(now), connections(now.Open), now.Phase, fmt.Sprintf("round %d", now.Round+1), p.config.URLs[now.Target])
	line := []rune(fmt.Sprintf("[%s] %s", bar(now, min(barWidth, columns/8)), strings.Join(all, ", ")))
	return string(line[:min(len(line), max(0, columns-1))])
}

// bar shows how much of the round is over.
func bar(now bench.Progress, width int) string {
	full := 0
	if now.Phase != "connecting" && now.Length > 0 {
		full = max(0, min(width, int(time.Duration(width)*time.Since(now.Since)/now.Length)))
	}
	return strings.Repeat("=", full) + strings.Repeat(" ", width-full)
}

// clear takes the line away.
func (p *progressLine) clear() {
	if p.columns != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
