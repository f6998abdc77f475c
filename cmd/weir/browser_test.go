package main

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// startBrowser starts a headless Chromium and returns a context of chromedp for it.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("this test drives the page in Chromium, which is not installed: apt-get install -y chromium")
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience)}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
		"disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	// Ended before the profile's directory is removed, so that nothing writes there.
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return ctx
}

// A tab is one page in the browser.
type tab struct {
	ctx    context.Context
	mu     sync.Mutex
	errors []string // said on its console
}

// openTab opens the page in a new tab and waits until it is connected.
func openTab(t *testing.T, browser context.Context, url string) *tab {
	t.Helper()
	b := newTab(t, browser)
	b.do(t, chromedp.Navigate(url))
	b.awaitState(t, "connected")
	return b
}

// newTab opens an empty tab.
func newTab(t *testing.T, browser context.Context) *tab {
	t.Helper()
	b := new(tab)
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	b.ctx = ctx
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	return b
}

// listen collects what is wrong with the page. Its goroutine is chromedp's.
func (b *tab) listen(event any) {
	var said string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		said = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			said += ": " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		said = fmt.Sprintf("%s: %s", e.Type, e.Args[0].Value)
	case *log.EventEntryAdded:
		said = fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, said)
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatalf("browser: %v", err)
	}
}

func (b *tab) awaitState(t *testing.T, state string) {
	t.Helper()
	b.do(t, chromedp.WaitVisible(chromedp.CSS(`#state[data-state="`+state+`"]`)))
}

// say types a message and sends it.
func (b *tab) say(t *testing.T, name, text string) {
	t.Helper()
	b.do(t,
		chromedp.SetValue(chromedp.CSS("#name"), name),
		chromedp.SendKeys(chromedp.CSS("#text"), text),
		chromedp.Click(chromedp.CSS("#send")))
}

// awaitMessage waits until the tab shows a message as its last.
func (b *tab) awaitMessage(t *testing.T, name, text string) {
	t.Helper()
	b.do(t, chromedp.PollFunction[chromedp.Void](`(name, text) => {
		const last = document.querySelector("#log > :last-child");
		return last.querySelector("b")?.textContent === name && last.querySelector("p")?.textContent === text;
	}`, chromedp.WithPollingArgs(name, text), chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience)))
}

func (b *tab) wantNoErrors(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		t.Errorf("on the console: %s", e)
	}
}

func TestPageIsAChatInTwoTabs(t *testing.T) {
	browser := startBrowser(t)
	first := serveHere(t, "--address", "127.0.0.1:0")
	url := "http://" + first.address + "/"
	one, two := openTab(t, browser, url), openTab(t, browser, url)

	one.say(t, "ann", "hello")
	one.awaitMessage(t, "ann", "hello")
	two.awaitMessage(t, "ann", "hello")

	const markup = `<img src=x onerror="document.title='broken into'"><b>&amp; "quoted"</b>`
	two.say(t, "<i>bob</i>", markup)
	for _, b := range []*tab{one, two} {
		b.awaitMessage(t, "<i>bob</i>", markup)
		elements, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelectorAll(".message p *, .message b *").length`))
		if elements != 0 || err != nil {
			t.Errorf("markup in a message became %d elements, %v", elements, err)
		}
		b.wantNoErrors(t)
	}

	// What other programs send is shown as it is.
	other := first.dial(t, "/broadcast", nil)
	for _, text := range []string{"plain text", `{"a":1}`, "null", "[]", `{"name":1,"text":"x"}`} {
		write(t, other, text)
		two.awaitMessage(t, "someone", text)
	}
	two.wantNoErrors(t)
}

func TestPageComesBackAfterARestart(t *testing.T) {
	browser := startBrowser(t)
	first := serveHere(t, "--address", "127.0.0.1:0")
	url := "http://" + first.address + "/"
	one, two := openTab(t, browser, url), openTab(t, browser, url)

	if code := first.end(t); code != exitOK {
		t.Fatalf("exit code %d, %s", code, first.stderr)
	}
	one.awaitState(t, "waiting")
	two.awaitState(t, "waiting")
	serveHere(t, "--address", first.address)
	one.awaitState(t, "connected")
	two.awaitState(t, "connected")
	two.say(t, "bob", "again")
	one.awaitMessage(t, "bob", "again")
	two.awaitMessage(t, "bob", "again")
}
