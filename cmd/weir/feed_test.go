package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/weirws/weir/internal/chromium"
)

// publishTo posts a message and returns status and body.
func (w *weir) publishTo(t *testing.T, topic, token, json string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+w.address+"/publish/"+topic, strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Close = true
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// mustPublish posts messages.
func (w *weir) mustPublish(t *testing.T, topic, token string, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if status, body := w.publishTo(t, topic, token, m); status != http.StatusOK {
			t.Fatalf("publishing %s: %d %s", m, status, body)
		}
	}
}

// keyFile writes a key of the test's and returns its path, and a token for everything.
func keyFile(t *testing.T) (path, token string) {
	t.Helper()
	secret := strings.Repeat("secret ", 6)
	path = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{"publish": []string{">"}, "subscribe": []string{">"}, "exp": time.Now().Add(time.Hour).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return path, token
}

func TestServeFeed(t *testing.T) {
	w := serveHere(t, "--address", "127.0.0.1:0", "--feed", "--feed-history-count", "2")
	for _, pattern := range []string{
		`(?m)^feed         ws://127\.0\.0\.1:\d+/feed$`,
		`(?m)^publish      http://127\.0\.0\.1:\d+/publish/\{topic\}$`,
		`(?m)^live         http://127\.0\.0\.1:\d+/live#token=\S+$`,
	} {
		w.stderr.waitFor(t, pattern)
	}
	token := w.stderr.waitFor(t, `(?m)^token +(\S+)$`)
	w.mustPublish(t, "a.b", token, "1", "2", "3")
	c := w.dial(t, "/feed/a.b?since=0", nil)
	if _, first, err := c.ReadMessage(); err != nil || !strings.HasPrefix(string(first), `{"type":"subscribed","topic":"a.b",`) {
		t.Errorf("got %s, %v", first, err)
	}
	if _, gap, err := c.ReadMessage(); err != nil || !strings.HasSuffix(string(gap), `"reason":"history","from":1,"to":1}`) {
		t.Errorf("got %s, %v", gap, err)
	}
	wantMessage(t, c, `{"type":"message","topic":"a.b","offset":2,"data":2}`)
	wantMessage(t, c, `{"type":"message","topic":"a.b","offset":3,"data":3}`)
	for path, want := range map[string]int{"/live": 200, "/live.js": 200, "/live.css": 200, "/feed": 426, "/feed/a": 426, "/publish/a": 405, "/none": 404} {
		response, err := http.Get("http://" + w.address + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, response.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestServeFeedWithKeys(t *testing.T) {
	file, token := keyFile(t)
	w := serveHere(t, "--address", "127.0.0.1:0", "--feed", "--feed-publish-key", file, "--feed-subscribe-key", file)
	if strings.Contains(w.stderr.String(), "token") {
		t.Errorf("it made a token: %s", w.stderr)
	}
	if status, _ := w.publishTo(t, "a", "", "1"); status != http.StatusUnauthorized {
		t.Errorf("publishing without a token: %d", status)
	}
	w.mustPublish(t, "a", token, "1")
	c := w.dial(t, "/feed/a", http.Header{"Authorization": {"Bearer " + token}})
	if _, first, err := c.ReadMessage(); err != nil || !strings.Contains(string(first), `"subscribed"`) {
		t.Errorf("got %s, %v", first, err)
	}
	wantMessage(t, c, `{"type":"message","topic":"a","offset":1,"data":1}`)
}

func TestServeFeedWithBadKeys(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		short:        "weir: --feed-publish-key " + short + ": feed: unusable key: the secret has 5 bytes, less than 32\n",
		short + "er": "weir: --feed-publish-key: open " + short + "er: no such file or directory\n",
	} {
		if code, _, stderr := call(t, "serve", "--feed", "--feed-publish-key", file); code != exitFailed || stderr != want {
			t.Errorf("exit code %d, said %q; want %q", code, stderr, want)
		}
	}
}

// awaitLive waits until the page shows exactly these messages as its last, with their
// offsets.
func (b tab) awaitLive(t *testing.T, want ...string) {
	t.Helper()
	b.Await(t, `(want) => {
		const lines = [...document.querySelectorAll("#log .value")].map((line) => line.innerText.split(/\s+/).join(" "));
		return lines.slice(-want.length).join("|") === want.join("|");
	}`, want)
}

func TestLivePage(t *testing.T) {
	browser := chromium.Start(t)
	file, token := keyFile(t)
	args := []string{"--feed", "--feed-publish-key", file, "--feed-subscribe-key", file, "--feed-history-count", "3"}
	first := serveHere(t, append(args, "--address", "127.0.0.1:0")...)
	first.mustPublish(t, "demo", token, `"before"`, `{"a":1}`)

	b := openTab(t, browser, "http://"+first.address+"/live#token="+token)
	b.awaitLive(t, `1 "before"`, `2 {"a":1}`)
	const markup = `"<img/src=x/onerror=alert(1)>"`
	first.mustPublish(t, "demo", token, markup)
	b.awaitLive(t, `2 {"a":1}`, "3 "+markup)
	b.Await(t, `() => document.getElementById("presence").textContent === "1 is here."`)

	// What is published from the page comes to it like everything else.
	b.Do(t, chromedp.SendKeys(chromedp.CSS("#text"), "from-the-page"), chromedp.Click(chromedp.CSS("#send")))
	b.awaitLive(t, "3 "+markup, "4 from-the-page")

	// What it has missed while it was away, it gets: nothing twice, and a gap is told.
	away := func() {
		b.Do(t, chromedp.Evaluate[chromedp.Void](`connect = () => {}; socket.close()`))
		b.awaitState(t, "waiting")
	}
	back := func() {
		b.Do(t, chromedp.Evaluate[chromedp.Void](`restore()`))
		b.awaitState(t, "connected")
	}
	b.Do(t, chromedp.Evaluate[chromedp.Void](`window.restore = ((original) => () => { connect = original; connect(); })(connect)`))
	away()
	first.mustPublish(t, "demo", token, "5", "6")
	back()
	b.awaitLive(t, "3 "+markup, "4 from-the-page", "5 5", "6 6")
	away()
	first.mustPublish(t, "demo", token, "7", "8", "9", "10")
	back()
	b.awaitLive(t, "6 6", "8 8", "9 9", "10 10")
	b.awaitNote(t, "7 to 7 are gone.")

	b.WantNoNoise(t)
	if code := first.end(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	b.awaitState(t, "waiting")
	second := serveHere(t, append(args, "--address", first.address)...)
	second.mustPublish(t, "demo", token, `"anew"`)
	b.awaitState(t, "connected")
	b.awaitLive(t, "10 10", `1 "anew"`)
	b.awaitNote(t, "The server has started anew; what was published in between is not known.")
}

func (b tab) awaitNote(t *testing.T, want string) {
	t.Helper()
	b.Await(t, `(want) => [...document.querySelectorAll("#log .note")].at(-1)?.textContent === want`, want)
}
