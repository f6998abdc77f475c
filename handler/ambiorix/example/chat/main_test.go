package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/weirws/weir/internal/chromium"
)

// A server is the program, running in this process.
type server struct {
	url  string
	stop func()
}

// serve runs the program until stop is called, or the test ends.
func serve(t *testing.T, address string) server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { // awaited by stop
		ended <- run(ctx, []string{"-address", address}, out)
		_ = out.Close()
	}()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatalf("the program said nothing: %v, %v", err, <-ended)
	}
	s := server{url: strings.TrimSpace(strings.TrimPrefix(line, "chat at "))}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the program ended with %v", err)
			}
		case <-time.After(chromium.Patience):
			t.Error("the program does not end")
		}
	}
	t.Cleanup(s.stop)
	return s
}

// open opens the page and waits until it is connected.
func open(t *testing.T, b *chromium.Browser, url string) *chromium.Tab {
	t.Helper()
	tab := b.Open(t, url)
	awaitState(t, tab, "connected")
	return tab
}

func awaitState(t *testing.T, tab *chromium.Tab, state string) {
	t.Helper()
	tab.Await(t, `(state) => document.getElementById("state")?.dataset.state === state`, state)
}

// say types a message and sends it.
func say(t *testing.T, tab *chromium.Tab, name, text string) {
	t.Helper()
	tab.Do(t,
		chromedp.SetValue(chromedp.CSS("#name"), name),
		chromedp.SendKeys(chromedp.CSS("#text"), text),
		chromedp.Click(chromedp.CSS("#say button")))
}

// awaitMessage waits until the tab shows a message as its last.
func awaitMessage(t *testing.T, tab *chromium.Tab, name, text string) {
	t.Helper()
	tab.Await(t, `(name, text) => {
		const last = document.querySelector("#messages > li:last-child");
		return last?.querySelector("b").textContent === name && last.lastChild.textContent === " " + text;
	}`, name, text)
}

func TestRow41ChatInTwoTabs(t *testing.T) {
	b := chromium.Start(t)
	s := serve(t, "127.0.0.1:0")
	one, two := open(t, b, s.url), open(t, b, s.url)

	say(t, one, "ann", "hello")
	awaitMessage(t, one, "ann", "hello")
	awaitMessage(t, two, "ann", "hello")

	const markup = `<img src=x onerror="document.title='broken into'"><b>&amp; "quoted"</b>`
	say(t, two, "<i>bob</i>", markup)
	for _, tab := range []*chromium.Tab{one, two} {
		awaitMessage(t, tab, "<i>bob</i>", markup)
		if n := chromium.Eval[int](t, tab, `document.querySelectorAll("#messages li b *, #messages img").length`); n != 0 {
			t.Errorf("markup in a message became %d elements", n)
		}
		if n := chromium.Eval[int](t, tab, `document.querySelectorAll("#messages li").length`); n != 2 {
			t.Errorf("%d messages are shown; want 2", n)
		}
		tab.WantNoNoise(t)
	}
}

func TestRow45ChatComesBackAfterARestart(t *testing.T) {
	b := chromium.Start(t)
	first := serve(t, "127.0.0.1:0")
	one, two := open(t, b, first.url), open(t, b, first.url)
	first.stop()
	awaitState(t, one, "waiting")
	awaitState(t, two, "waiting")
	say(t, one, "ann", "said while nobody listened")

	serve(t, strings.TrimSuffix(strings.TrimPrefix(first.url, "http://"), "/"))
	awaitMessage(t, one, "ann", "said while nobody listened")
	awaitState(t, two, "connected")
	say(t, two, "bob", "again")
	awaitMessage(t, one, "bob", "again")
	awaitMessage(t, two, "bob", "again")
}

func TestAddressInUse(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
	if err := run(t.Context(), []string{"-address", address}, io.Discard); err == nil {
		t.Error("no error although the address is in use")
	}
}
