package ambiorix_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/ambiorix"
	"github.com/weirws/weir/internal/chromium"
)

// withPage adds the browser client and a page at / with this in its body. What the
// page pushes to the array got, tests can wait for.
func withPage(app *ambiorix.App, body string) *ambiorix.App {
	app.ServeClient("/static")
	app.HandleFunc("GET /{$}", page(body))
	return app
}

func page(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<!DOCTYPE html><link rel="icon" href="data:,"><title>test</title><script>var got = [];</script>%s`, body)
	}
}

// script includes the browser client.
const script = `<script src="/static/ambiorix.js"></script>`

// awaitGot waits until the page has got exactly this, and fails the test if it got
// something else first.
func awaitGot(t *testing.T, tab *chromium.Tab, want ...string) {
	t.Helper()
	var got []string
	defer func() {
		if !slices.Equal(got, want) {
			t.Errorf("the page got %q; want %q; it said %q", got, want, tab.Noise())
		}
	}()
	eventually(t, "what the page gets", func() bool {
		got = chromium.Eval[[]string](t, tab, `window.got?.map(String) ?? []`)
		return len(got) >= len(want)
	})
}

// TestPageOfTheOriginal runs a page as it is written for the original client.
func TestPageOfTheOriginal(t *testing.T) {
	app := withPage(greeter(t), script+`
		<button onclick="Ambiorix.send('greeting', 'hi')">greet</button>
		<script>
			var wss = new Ambiorix();
			wss.receive("greeting", (msg) => got.push("replaced by the next"));
			wss.receive("greeting", (msg) => got.push(msg));
			wss.start();
			wss.start();
			document.cookie = "a=1";
			document.cookie = "b%20c=d%3D=e";
			document.cookie = "odd=100%";
			got.push(JSON.stringify(parseCookie(document.cookie)));
		</script>`)
	tab := chromium.Start(t).Open(t, "http://"+start(t, app)+"/")
	chromium.Eval[any](t, tab, `document.querySelector("button").click()`)
	awaitGot(t, tab, `{"a":"1","b c":"d==e","odd":"100%"}`, "Hello from the server!")
	tab.WantNoNoise(t)
}

// TestClientOnTheWire: what the browser sends, byte for byte.
func TestClientOnTheWire(t *testing.T) {
	raw := make(chan string, 10)
	app := withPage(newApp(t, ambiorix.Options{Raw: handler.Func(func(_ handler.Conn, _ frame.Opcode, payload []byte) {
		raw <- string(payload)
	})}), script+`<script>
		Ambiorix.send("n", "hi");
		Ambiorix.send("n", { b: [1, null], a: "é\u2028<>" });
		Ambiorix.send("n", null);
		Ambiorix.send("n");
		Ambiorix.send("n", () => 1);
		new Ambiorix().send("n", 1e21);
	</script>`)
	chromium.Start(t).Open(t, "http://"+start(t, app)+"/")
	for _, want := range []string{
		`{"name":"n","message":"hi","isAmbiorix":true}`,
		`{"name":"n","message":{"b":[1,null],"a":"é` + "\u2028" + `<>"},"isAmbiorix":true}`,
		`{"name":"n","message":null,"isAmbiorix":true}`,
		`{"name":"n","isAmbiorix":true}`,
		`{"name":"n","isAmbiorix":true}`,
		`{"name":"n","message":1e+21,"isAmbiorix":true}`,
	} {
		if got := receive(t, want, raw); got != want {
			t.Errorf("the browser sent %s; want %s", got, want)
		}
	}
}

func TestRow42BrowserClientURL(t *testing.T) {
	b := chromium.Start(t)
	body := script + `<script>new Ambiorix().receive("host", (m) => got.push(m)).onOpen(() => Ambiorix.send("who")).start();</script>`
	app := withPage(newApp(t, ambiorix.Options{}), body)
	app.HandleFunc("GET /some/other/page", page(body))
	app.ReceiveFrom("who", func(_ json.RawMessage, c ambiorix.Client) error { return c.Send("host", "plain on "+c.Conn().Path()) })
	address := start(t, app)
	for _, path := range []string{"/", "/some/other/page?q=1#part"} {
		tab := b.Open(t, "http://"+address+path)
		awaitGot(t, tab, "plain on *")
		tab.WantNoNoise(t)
	}

	// A page that came over https connects to wss, here to a server that is not ours.
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.IsWebSocketUpgrade(r) {
			app.HTTP().ServeHTTP(w, r)
			return
		}
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer c.Close()
		_ = c.WriteMessage(websocket.TextMessage, []byte(named("host", fmt.Sprintf("%q", "TLS on "+r.URL.Path))))
		_, _, _ = c.ReadMessage() // waits until the page is gone
	}))
	defer secure.Close()
	awaitGot(t, b.Open(t, secure.URL+"/some/other/page"), "TLS on /")
}

// TestClientURLs has a stub in place of the browser's WebSocket, which notes the URLs.
func TestClientURLs(t *testing.T) {
	app := withPage(newApp(t, ambiorix.Options{}), `<script>
		window.WebSocket = class { constructor(url) { got.push(url); } close() {} };
	</script>`+script+`<script>
		for (const url of [undefined, "/", "/chat?x=1#y", "chat", "ws://other.test:81/a", "http://other.test", "https://other.test/", "wss://other.test/", new URL("ws://u.test/")]) {
			new Ambiorix(url).start();
		}
		try { new Ambiorix("ws://[bad/"); } catch (e) { got.push(e.name); }
	</script>`)
	address := start(t, app)
	tab := chromium.Start(t).Open(t, "http://"+address+"/")
	// One socket for the page and the first two, one for both spellings of wss.
	own := "ws://" + address
	awaitGot(t, tab, own+"/", own+"/chat?x=1", own+"/chat", "ws://other.test:81/a", "ws://other.test/", "wss://other.test/", "ws://u.test/", "TypeError")
	tab.WantNoNoise(t)
}

func TestRow43BrowserClientSendBeforeOpen(t *testing.T) {
	app := withPage(withEcho(newApp(t, ambiorix.Options{})), script+`<script>
		Ambiorix.send("echo", "before start");
		new Ambiorix().receive("echo", (m) => got.push(m)).onOpen(() => Ambiorix.send("echo", "by the hook, first")).start();
		for (let i = 0; i < 3; i++) {
			Ambiorix.send("echo", i);
		}
	</script>`)
	b := chromium.Start(t)
	tab := b.Open(t, "http://"+start(t, app)+"/")
	awaitGot(t, tab, "by the hook, first", "before start", "0", "1", "2")
	tab.WantNoNoise(t)

	// Where nobody listens: 1000 may wait.
	thrown := chromium.Eval[string](t, tab, `(() => {
		const nowhere = new Ambiorix("ws://127.0.0.1:1/");
		for (let i = 0; i < 1000; i++) { nowhere.send("x", i); }
		try { nowhere.send("x", 1000); } catch (e) { return e.message; } finally { nowhere.start().stop(); }
		return "";
	})()`)
	if !strings.Contains(thrown, "1000 messages") {
		t.Errorf("the message after 1000 threw %q", thrown)
	}
}

func TestRow44BrowserClientSeveralInstances(t *testing.T) {
	app := withPage(withEcho(newApp(t, ambiorix.Options{})), script+`<script>
		const one = new Ambiorix(), two = new Ambiorix(), broken = new Ambiorix(), silent = new Ambiorix();
		one.receive("echo", (m) => got.push("one " + m));
		one.receive("shadow", (m) => got.push("never sent"));
		broken.receive("echo", () => { throw new Error("as the test wants"); });
		two.receive("echo", (m) => got.push("two " + m));
		silent.receive("echo", (m) => got.push("not started"));
		one.start(); broken.start(); two.start();
		Ambiorix.send("echo", 1);
	</script>`)
	app.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, app.Count("")) })
	address := start(t, app)
	tab := chromium.Start(t).Open(t, "http://"+address+"/")
	awaitGot(t, tab, "one 1", "two 1")
	if n := app.Count(""); n != 1 {
		t.Errorf("%d connections for one page; want 1", n)
	}
	eventually(t, "the error on the console", func() bool { return len(tab.Noise()) > 0 })
	if said := tab.Noise(); len(said) != 1 || !strings.Contains(said[0], "as the test wants") {
		t.Errorf("on the console: %q", said)
	}
	// Those that stop get nothing more; the connection ends with the last of them.
	chromium.Eval[any](t, tab, `(one.stop(), broken.stop(), Ambiorix.send("echo", 2))`)
	awaitGot(t, tab, "one 1", "two 1", "two 2")
	chromium.Eval[any](t, tab, `(two.stop(), two.stop(), 0)`)
	eventually(t, "no connection", func() bool { return app.Count("") == 0 })
	chromium.Eval[any](t, tab, `(two.start(), Ambiorix.send("echo", 3))`)
	awaitGot(t, tab, "one 1", "two 1", "two 2", "two 3")
}

func TestRow45BrowserClientReconnect(t *testing.T) {
	app := withPage(withEcho(newApp(t, ambiorix.Options{})), script+`<script>
		const a = new Ambiorix().receive("echo", (m) => got.push(m));
		a.onOpen(() => got.push("open"));
		a.onClose((e) => { if (got.at(-1) !== "close 1006") { got.push("close " + e.code); } });
		a.start();
	</script>`)
	serve := func(address string) *engine.Engine {
		e := newEngine(t, app, engine.Options{Address: address, DrainTime: time.Second})
		if err := e.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		return e
	}
	first := serve("127.0.0.1:0")
	address := first.Addr().String()
	tab := chromium.Start(t).Open(t, "http://"+address+"/")
	awaitGot(t, tab, "open")
	if err := first.Close(); err != nil { // a crash: no close frames
		t.Fatal(err)
	}
	awaitGot(t, tab, "open", "close 1006")
	chromium.Eval[any](t, tab, `Ambiorix.send("echo", "sent meanwhile")`)
	second := serve(address)
	awaitGot(t, tab, "open", "close 1006", "open", "sent meanwhile")
	if err := second.Shutdown(t.Context()); err != nil { // a restart in order
		t.Fatal(err)
	}
	tab.Await(t, `() => got[4] === "close 1001"`)
	serve(address)
	tab.Await(t, `() => got.at(-1) === "open"`)
	if _, err := app.Broadcast("echo", "from the server", ambiorix.Audience{}); err != nil {
		t.Fatal(err)
	}
	tab.Await(t, `() => got.at(-1) === "from the server"`)
}

// TestReconnectWaits runs the client with a clock, sockets and chance of the test's.
func TestReconnectWaits(t *testing.T) {
	app := withPage(newApp(t, ambiorix.Options{}), `<script>
		var chance = 0, now = 1e12, timers = [], sockets = [];
		Math.random = () => chance;
		Date.now = () => now;
		setTimeout = (f, ms) => timers.push({ f, ms });
		clearTimeout = (id) => { if (id > 0) { timers[id - 1].f = () => {}; } };
		WebSocket = class {
			constructor() { this.readyState = 0; sockets.push(this); }
			close() {}
			send(text) { got.push(text); }
		};
		const last = () => sockets.at(-1);
		const fail = () => { const n = timers.length; last().onclose({}); return timers[n].ms; };
		const open = () => { last().readyState = 1; last().onopen(); };
		const expire = () => timers.at(-1).f();
	</script>`+script)
	tab := chromium.Start(t).Open(t, "http://"+start(t, app)+"/")
	waits := chromium.Eval[[]float64](t, tab, `(() => {
		const waits = [];
		for (let i = 0; i < 7; i++) { waits.push(fail()); expire(); }
		chance = 1;
		waits.push(fail()); expire();        // half of the longest
		open(); now += 9999;
		waits.push(fail()); expire();        // not steady: as before
		open(); now += 10000;
		waits.push(fail()); expire();        // steady: the first wait again
		chance = 0;
		waits.push(fail());
		return waits;
	})()`)
	if want := []float64{500, 1000, 2000, 4000, 8000, 15000, 15000, 7500, 7500, 250, 1000}; !slices.Equal(waits, want) {
		t.Errorf("waits %v ms; want %v", waits, want)
	}
	// A network that has come back is tried at once, and the timer does nothing after.
	opened := chromium.Eval[[]int](t, tab, `(() => {
		const n = sockets.length, counts = [];
		dispatchEvent(new Event("online")); counts.push(sockets.length - n);
		expire(); counts.push(sockets.length - n);
		dispatchEvent(new Event("online")); counts.push(sockets.length - n);
		return counts;
	})()`)
	if want := []int{1, 1, 1}; !slices.Equal(opened, want) {
		t.Errorf("sockets after online, timer, online: %v; want %v", opened, want)
	}
	// A socket that closes while the queue is sent keeps the rest for the next one.
	sent := chromium.Eval[[]string](t, tab, `(() => {
		for (const i of [1, 2, 3]) { Ambiorix.send("n", i); }
		last().send = function (text) { got.push(text); this.readyState = 2; };
		open();
		fail(); expire(); open();
		return got.map((text) => String(JSON.parse(text).message));
	})()`)
	if want := []string{"1", "2", "3"}; !slices.Equal(sent, want) {
		t.Errorf("sent %v; want %v", sent, want)
	}
}

// TestStopAndStart has a stub in place of the browser's WebSocket. One that stopped and
// started at once had its open hook called twice, and one that was stopped by a receiver,
// or a hook, of another was told of what had happened all the same.
func TestStopAndStart(t *testing.T) {
	app := withPage(newApp(t, ambiorix.Options{}), `<script>
		var sockets = [];
		WebSocket = class {
			constructor() { this.readyState = 0; sockets.push(this); }
			close() { this.readyState = 2; }
		};
		const open = () => { sockets.at(-1).readyState = 1; sockets.at(-1).onopen(); };
		const message = () => sockets.at(-1).onmessage({ data: '{"name":"m","message":1,"isAmbiorix":true}' });
	</script>`+script)
	tab := chromium.Start(t).Open(t, "http://"+start(t, app)+"/")
	tests := []struct{ name, js, want string }{
		{"while another keeps the connection", `
			new Ambiorix("/1").start();
			open();
			new Ambiorix("/1").onOpen(() => got.push("open")).start().stop().start().stop().start();
		`, "open"},
		{"by the open hook of another", `
			new Ambiorix("/2").onOpen(() => q.stop().start()).start();
			const q = new Ambiorix("/2").onOpen(() => got.push("open")).start();
			open();
		`, "open"},
		{"and onto a connection that is not open", `
			const a = new Ambiorix("/3").onOpen(() => got.push("open")).start();
			open();
			await 0;
			got.push("again");
			a.stop().start().stop().start();
			await 0;
			got.push(sockets.at(-1).readyState);
			open();
		`, "open again 0 open"},
		{"by a receiver of another", `
			new Ambiorix("/4").receive("m", () => { got.push("p"); q.stop(); r.stop().start(); }).start();
			const q = new Ambiorix("/4").receive("m", () => got.push("q")).start();
			const r = new Ambiorix("/4").receive("m", () => got.push("r")).start();
			open();
			message();
			got.push("next");
			message();
			r.stop();
		`, "p next p"},
		{"by a hook of another", `
			const p = new Ambiorix("/5").onError(() => { got.push("p"); p.stop(); q.stop(); }).start();
			const q = new Ambiorix("/5").onError(() => got.push("q")).start();
			sockets.at(-1).onerror({});
		`, "p"},
	}
	for _, tt := range tests {
		got := chromium.Eval[string](t, tab, `(async () => {
			got.length = 0;
			`+tt.js+`
			await new Promise((done) => setTimeout(done)); // behind all microtasks
			return got.join(" ");
		})()`)
		if got != tt.want {
			t.Errorf("stop and start %s: %q; want %q", tt.name, got, tt.want)
		}
	}
	tab.WantNoNoise(t)
}

// TestScriptIncludedTwice: the second is no error and opens no second connection.
func TestScriptIncludedTwice(t *testing.T) {
	app := withPage(withEcho(newApp(t, ambiorix.Options{})), script+script+`<script>
		new Ambiorix().receive("echo", (m) => got.push(m)).start();
		Ambiorix.send("echo", "x");
	</script>`+script)
	tab := chromium.Start(t).Open(t, "http://"+start(t, app)+"/")
	awaitGot(t, tab, "x")
	if n := app.Count(""); n != 1 {
		t.Errorf("%d connections; want 1", n)
	}
	tab.WantNoNoise(t)
}

// TestModule: the ES module works as the script does, connects when it is needed, and
// has the methods that its types declare.
func TestModule(t *testing.T) {
	app := withPage(withEcho(newApp(t, ambiorix.Options{})), `<script type="module">
		import Default, { Ambiorix } from "/static/ambiorix.mjs";
		got.push(Default === Ambiorix, typeof window.Ambiorix);
		window.imported = Ambiorix;
	</script>`)
	tab := chromium.Start(t).Open(t, "http://"+start(t, app)+"/")
	awaitGot(t, tab, "true", "undefined")
	if n := app.Count(""); n != 0 {
		t.Errorf("%d connections before the first use", n)
	}
	chromium.Eval[any](t, tab, `(new imported().receive("echo", (m) => got.push(m)).start(), imported.send("echo", "x"))`)
	awaitGot(t, tab, "true", "undefined", "x")

	methods := chromium.Eval[[]string](t, tab, `[
		...Object.getOwnPropertyNames(imported.prototype).filter((name) => name !== "constructor"),
		...Object.getOwnPropertyNames(imported).filter((name) => typeof imported[name] === "function").map((name) => "static " + name),
	].sort()`)
	var declared []string
	for _, m := range regexp.MustCompile(`(?m)^  ((?:static )?\w+)[(<]`).FindAllStringSubmatch(string(ambiorix.Types()), -1) {
		if m[1] != "constructor" {
			declared = append(declared, m[1])
		}
	}
	slices.Sort(declared)
	if !slices.Equal(methods, declared) {
		t.Errorf("the class has %q; its types declare %q", methods, declared)
	}
	tab.WantNoNoise(t)
}

// TestClientHooks: open also for the one that starts late, error for what is not JSON,
// and what is no named message is ignored.
func TestClientHooks(t *testing.T) {
	raw := handler.Func(func(c handler.Conn, _ frame.Opcode, _ []byte) {
		for _, text := range []string{
			`not JSON`, `null`, `7`, `[]`, `{"name":"x","message":"unflagged"}`, `{"name":"x","message":"flag","isAmbiorix":"true"}`,
			`{"name":"unknown","message":"x","isAmbiorix":true}`,
		} {
			_ = c.Send(frame.Text, []byte(text))
		}
		_ = c.Send(frame.Binary, []byte(named("x", `"binary"`)))
		_ = c.Send(frame.Text, []byte(named("x", `"named"`)))
		_ = c.Close(4001, "bye")
	})
	app := withPage(newApp(t, ambiorix.Options{Raw: raw}), script+`<script>
		const first = new Ambiorix().onOpen(() => {
			got.push("open");
			const second = new Ambiorix().receive("x", (m) => got.push(m));
			second.onError((e) => got.push(e.name)).onClose((e) => { second.stop(); got.push(e.code + " " + e.reason); });
			second.onOpen(() => { got.push("open too"); Ambiorix.send("go"); first.stop(); }).start();
		}).start();
	</script>`)
	address := start(t, app)
	tab := chromium.Start(t).Open(t, "http://"+address+"/")
	awaitGot(t, tab, "open", "open too", "SyntaxError", "named", "4001 bye")
	tab.WantNoNoise(t)

	// The error event of a connection that fails.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "ws://" + l.Addr().String()
	_ = l.Close()
	chromium.Eval[any](t, tab, `(() => {
		const failing = new Ambiorix("`+nobody+`");
		failing.onError((e) => got.push(e.type)).onClose((e) => { failing.stop(); got.push(e.code); }).start();
	})()`)
	awaitGot(t, tab, "open", "open too", "SyntaxError", "named", "4001 bye", "error", "1006")
}
