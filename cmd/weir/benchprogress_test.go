package main

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weirws/weir/bench"
)

// halfWay is a round of which about half is over.
func halfWay() bench.Progress {
	return bench.Progress{
		Round: 1, Phase: "running", Trying: "half-frame", Since: time.Now().Add(-time.Hour), Length: 2 * time.Hour,
		Open: 20, Errors: 3, Rate: 596, P50: 193 * time.Microsecond, P99: 395 * time.Microsecond,
	}
}

func TestProgressOnATerminal(t *testing.T) {
	width := 0
	var b strings.Builder
	p := newProgressLine(&b, bench.Config{URLs: []string{"ws://a/"}})
	p.columns = func() int { return width }
	const all = "596/s, p50 193µs, p99 395µs, errors 3, trying half-frame, 20 connections, running, round 2, ws://a/"
	for _, tt := range []struct {
		width int
		want  string
	}{
		{200, "[==========          ] " + all},
		{40, "[==   ] " + all},
		{8, "[ ] 596"},
		{1, ""},
	} {
		width = tt.width
		b.Reset()
		p.show(halfWay())
		got, ok := strings.CutPrefix(b.String(), "\r\x1b[K")
		if n := utf8.RuneCountInString(got); !ok || !strings.HasPrefix(tt.want, got) || n != min(tt.width-1, utf8.RuneCountInString(tt.want)) {
			t.Errorf("%d columns: got %q, want a line that fits of %q", tt.width, b.String(), tt.want)
		}
	}
	b.Reset()
	if p.clear(); b.String() != "\r\x1b[K" {
		t.Errorf("clear wrote %q", &b)
	}
}

func TestProgressElsewhere(t *testing.T) {
	var b strings.Builder
	p := newProgressLine(&b, bench.Config{URLs: []string{"ws://a/"}})
	p.show(bench.Progress{Phase: "connecting", Open: 1})
	p.show(halfWay())
	p.show(halfWay()) // soon after the other
	p.clear()
	const want = "ws://a/ round 1: connecting, 1 connection\n" +
		"ws://a/ round 2: running, 20 connections, 596/s, p50 193µs, p99 395µs, errors 3, trying half-frame\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", &b, want)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if n := columns(null); n != 0 {
		t.Errorf("%s is a terminal of %d columns", os.DevNull, n)
	}
}
