// Package chromium drives pages in a headless Chromium, for tests.
package chromium

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

// Patience bounds every wait. None should come near it.
const Patience = time.Minute

// A Browser is one Chromium with a profile of its own.
type Browser struct{ ctx context.Context }

// Start starts a Chromium that ends with the test. It believes any certificate.
func Start(t *testing.T) *Browser {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(find(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(Patience)}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "ignore-certificate-errors",
		"disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	// Ended before the profile's directory is removed, so that nothing writes there.
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return &Browser{ctx}
}

func find(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this test drives a page in Chromium, which is not installed: apt-get install -y chromium")
	panic("not reached")
}

// A Tab is one page.
type Tab struct {
	ctx context.Context

	mu    sync.Mutex
	noise []string // what its console and its uncaught errors said
}

// Open opens a page in a new tab.
func (b *Browser) Open(t *testing.T, url string) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	tab := &Tab{ctx: ctx}
	if err := chromedp.Listen(ctx, tab.listen); err != nil {
		t.Fatal(err)
	}
	tab.Do(t, chromedp.Navigate(url))
	return tab
}

// listen runs on a goroutine of chromedp.
func (b *Tab) listen(event any) {
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
	b.noise = append(b.noise, said)
}

// Noise is what the page's console and its uncaught errors have said so far.
func (b *Tab) Noise() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.noise...)
}

// WantNoNoise fails the test for what the page's console and its uncaught errors said.
func (b *Tab) WantNoNoise(t *testing.T) {
	t.Helper()
	for _, said := range b.Noise() {
		t.Errorf("on the console: %s", said)
	}
}

// Do does something in the tab, and fails the test if that fails.
func (b *Tab) Do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatalf("browser: %v", err)
	}
}

// Await waits until a function, in JavaScript, returns something true for args.
func (b *Tab) Await(t *testing.T, function string, args ...any) {
	t.Helper()
	err := chromedp.Do(b.ctx, chromedp.PollFunction[chromedp.Void](function, chromedp.WithPollingArgs(args...),
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(Patience)))
	if err != nil {
		t.Fatalf("waiting in the browser for %s of %q: %v; the page said %q", function, args, err, b.Noise())
	}
}

// Eval returns the value of an expression in JavaScript; a promise is awaited.
func Eval[T any](t *testing.T, b *Tab, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("evaluating %s in the browser: %v", expression, err)
	}
	return v
}
