package main

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/weirws/weir/internal/chromium"
)

// A tab is a page of ours in the browser.
type tab struct{ *chromium.Tab }

// openTab opens the page in a new tab and waits until it is connected.
func openTab(t *testing.T, browser *chromium.Browser, url string) tab {
	t.Helper()
	b := tab{browser.Open(t, url)}
	b.awaitState(t, "connected")
	return b
}

func (b tab) awaitState(t *testing.T, state string) {
	t.Helper()
	b.Do(t, chromedp.WaitVisible(chromedp.CSS(`#state[data-state="`+state+`"]`)))
}

// say types a message and sends it.
func (b tab) say(t *testing.T, name, text string) {
	t.Helper()
	b.Do(t,
		chromedp.SetValue(chromedp.CSS("#name"), name),
		chromedp.SendKeys(chromedp.CSS("#text"), text),
		chromedp.Click(chromedp.CSS("#send")))
}

// awaitMessage waits until the tab shows a message as its last.
func (b tab) awaitMessage(t *testing.T, name, text string) {
	t.Helper()
	b.Await(t, `(name, text) => {
		const last = document.querySelector("#log > :last-child");
		return last.querySelector("b")?.textContent === name && last.querySelector("p")?.textContent === text;
	}`, name, text)
}

func TestPageIsAChatInTwoTabs(t *testing.T) {
	browser := chromium.Start(t)
	first := serveHere(t, "--address", "127.0.0.1:0")
	url := "http://" + first.address + "/"
	one, two := openTab(t, browser, url), openTab(t, browser, url)

	one.say(t, "ann", "hello")
	one.awaitMessage(t, "ann", "hello")
	two.awaitMessage(t, "ann", "hello")

	const markup = `<img src=x onerror="document.title='broken into'"><b>&amp; "quoted"</b>`
	two.say(t, "<i>bob</i>", markup)
	for _, b := range []tab{one, two} {
		b.awaitMessage(t, "<i>bob</i>", markup)
		if n := chromium.Eval[int](t, b.Tab, `document.querySelectorAll(".message p *, .message b *").length`); n != 0 {
			t.Errorf("markup in a message became %d elements", n)
		}
		b.WantNoNoise(t)
	}

	// What other programs send is shown as it is.
	other := first.dial(t, "/broadcast", nil)
	for _, text := range []string{"plain text", `{"a":1}`, "null", "[]", `{"name":1,"text":"x"}`} {
		write(t, other, text)
		two.awaitMessage(t, "someone", text)
	}
	two.WantNoNoise(t)
}

func TestPageComesBackAfterARestart(t *testing.T) {
	browser := chromium.Start(t)
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
