package ambiorix_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/ambiorix"
)

// A server with one named message, and a client that is not ours.
func Example() {
	app := ambiorix.New(ambiorix.Options{})
	app.ReceiveFrom("greeting", func(message json.RawMessage, c ambiorix.Client) error {
		fmt.Printf("received %s\n", message)
		return c.Send("greeting", "Hello from the server!")
	})

	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: app.Mux(), HTTP: app.HTTP()})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := e.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()

	client, _, err := websocket.DefaultDialer.Dial("ws://"+e.Addr().String(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	err = client.WriteMessage(websocket.TextMessage, []byte(`{"name":"greeting","message":"hi","isAmbiorix":true}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, answer, err := client.ReadMessage()
	fmt.Println(string(answer), err)
	// Output:
	// received "hi"
	// {"name":"greeting","message":"Hello from the server!","isAmbiorix":true} <nil>
}

// A visitor is a client of an App on the network.
type visitor struct{ *websocket.Conn }

// visit serves an App with an engine and connects n clients to it. They leave, and the
// engine ends, when leave is called.
func visit(app *ambiorix.App, n int) (visitors []visitor, leave func()) {
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: app.Mux(), HTTP: app.HTTP(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	if err := e.Start(); err != nil {
		panic(err)
	}
	app.ReceiveFrom("ready?", func(_ json.RawMessage, c ambiorix.Client) error { return c.Send("ready", nil) })
	for range n {
		c, _, err := websocket.DefaultDialer.Dial("ws://"+e.Addr().String(), nil)
		if err != nil {
			panic(err)
		}
		v := visitor{c}
		v.say("ready?", "null")
		if _, _, err := v.ReadMessage(); err != nil {
			panic(err)
		}
		visitors = append(visitors, v)
	}
	return visitors, func() {
		for _, v := range visitors {
			_ = v.Close()
		}
		_ = e.Close()
	}
}

// say sends a message.
func (v visitor) say(name, message string) {
	text := fmt.Sprintf(`{"name":%q,"message":%s,"isAmbiorix":true}`, name, message)
	if err := v.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		fmt.Println(err)
	}
}

// hear prints the next message.
func (v visitor) hear() {
	_, text, err := v.ReadMessage()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(text))
}

// newQuietApp makes an App whose log goes nowhere.
func newQuietApp() *ambiorix.App {
	return ambiorix.New(ambiorix.Options{Logger: slog.New(slog.DiscardHandler)})
}

// A receiver that answers nobody, and what becomes of a client that makes it fail.
func ExampleRouter_Receive() {
	app := newQuietApp()
	app.Receive("log", func(message json.RawMessage) error {
		text, err := ambiorix.Decode[string](message)
		if err != nil {
			return err
		}
		fmt.Println("a client says:", text)
		return nil
	})

	visitors, leave := visit(app, 1)
	defer leave()
	visitors[0].say("log", `"hello"`)
	visitors[0].say("unknown", `"hello"`)
	visitors[0].say("log", `42`)
	visitors[0].hear()
	// Output:
	// a client says: hello
	// websocket: close 1011 (internal server error)
}

// What is relayed as it came loses nothing.
func ExampleRouter_ReceiveFrom() {
	app := newQuietApp()
	app.ReceiveFrom("echo", func(message json.RawMessage, c ambiorix.Client) error {
		return c.Send("echo", message)
	})

	visitors, leave := visit(app, 1)
	defer leave()
	visitors[0].say("echo", `[1e20,12345678901234567890]`)
	visitors[0].hear()
	// Output: {"name":"echo","message":[1e20,12345678901234567890],"isAmbiorix":true}
}

// A part of an application has receivers of its own.
func ExampleApp_Use() {
	var game ambiorix.Router
	game.ReceiveFrom("move", func(message json.RawMessage, c ambiorix.Client) error {
		return c.Send("moved", message)
	})
	app := newQuietApp()
	app.Use(&game)

	visitors, leave := visit(app, 1)
	defer leave()
	visitors[0].say("move", `"e4"`)
	visitors[0].hear()
	// Output: {"name":"moved","message":"e4","isAmbiorix":true}
}

func ExampleDecode() {
	type point struct{ X, Y int }
	p, err := ambiorix.Decode[point](json.RawMessage(`{"x":1,"y":2}`))
	fmt.Println(p, err)
	// Output: {1 2} <nil>
}

func ExampleClient_Send() {
	app := newQuietApp()
	visitors, leave := visit(app, 1)
	defer leave()
	for _, c := range app.Clients() {
		for _, value := range []any{42, "x", []int{1, 2}, nil, map[string]any{"a": true}} {
			if err := c.Send("count", value); err != nil {
				fmt.Println(err)
			}
			visitors[0].hear()
		}
	}
	// Output:
	// {"name":"count","message":42,"isAmbiorix":true}
	// {"name":"count","message":"x","isAmbiorix":true}
	// {"name":"count","message":[1,2],"isAmbiorix":true}
	// {"name":"count","message":null,"isAmbiorix":true}
	// {"name":"count","message":{"a":true},"isAmbiorix":true}
}

// Everyone but the sender gets what is said.
func ExampleApp_Broadcast() {
	app := newQuietApp()
	app.ReceiveFrom("chat", func(message json.RawMessage, c ambiorix.Client) error {
		n, err := app.Broadcast("chat", message, ambiorix.Audience{Except: c})
		return errors.Join(err, c.Send("sent", n))
	})

	visitors, leave := visit(app, 2)
	defer leave()
	ann, bob := visitors[0], visitors[1]
	ann.say("chat", `"hi"`)
	ann.hear()
	bob.hear()
	// Output:
	// {"name":"sent","message":1,"isAmbiorix":true}
	// {"name":"chat","message":"hi","isAmbiorix":true}
}

// Clients join groups, and leave them at the latest when they close.
func ExampleClient_Join() {
	app := newQuietApp()
	app.ReceiveFrom("join", func(message json.RawMessage, c ambiorix.Client) error {
		room, err := ambiorix.Decode[string](message)
		if err != nil {
			return err
		}
		return errors.Join(c.Join(room), c.Send("joined", room))
	})

	visitors, leave := visit(app, 3)
	defer leave()
	visitors[2].say("join", `"kitchen"`)
	visitors[2].hear()
	n, err := app.Broadcast("dinner", nil, ambiorix.Audience{Group: "kitchen"})
	fmt.Println("for", n, "of", app.Count(""), err)
	visitors[2].hear()
	// Output:
	// {"name":"joined","message":"kitchen","isAmbiorix":true}
	// for 1 of 3 <nil>
	// {"name":"dinner","message":null,"isAmbiorix":true}
}

func ExampleClient_Leave() {
	app := newQuietApp()
	visitors, leave := visit(app, 1)
	defer leave()
	c := app.Clients()[0]
	if err := c.Join("kitchen"); err != nil {
		fmt.Println(err)
	}
	for _, news := range []string{"tea", "cake", "dishes"} {
		if news == "dishes" {
			c.Leave("kitchen")
		}
		if _, err := app.Broadcast("kitchen", news, ambiorix.Audience{Group: "kitchen"}); err != nil {
			fmt.Println(err)
		}
	}
	if _, err := app.Broadcast("all", "bye", ambiorix.Audience{}); err != nil {
		fmt.Println(err)
	}
	for range 3 {
		visitors[0].hear()
	}
	// Output:
	// {"name":"kitchen","message":"tea","isAmbiorix":true}
	// {"name":"kitchen","message":"cake","isAmbiorix":true}
	// {"name":"all","message":"bye","isAmbiorix":true}
}

func ExampleApp_Clients() {
	app := newQuietApp()
	_, leave := visit(app, 3)
	defer leave()
	for _, c := range app.Clients() {
		fmt.Println("client", c.Conn().ID())
	}
	// Output:
	// client 1
	// client 2
	// client 3
}

// members are the clients who say who they are, each in a group of that name. Everyone
// else is refused.
type members struct {
	handler.Handler
	app *ambiorix.App
}

func (m members) OnOpen(c handler.Conn, r *handler.Request) error {
	name := r.Query().Get("name")
	if name == "" {
		return handler.Refuse(http.StatusUnauthorized, "who are you?")
	}
	if err := m.app.Client(c).Join(name); err != nil {
		return err
	}
	return m.Handler.OnOpen(c, r)
}

// A Handler around the App's decides who may connect.
func ExampleApp_Handler() {
	app := newQuietApp()
	mux := handler.NewMux() // in place of app.Mux()
	mux.Handle("/members", members{app.Handler(), app})
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: mux})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := e.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()

	url := "ws://" + e.Addr().String() + "/members"
	_, response, err := websocket.DefaultDialer.Dial(url, nil)
	fmt.Println(response.Status, err)
	ann, _, err := websocket.DefaultDialer.Dial(url+"?name=ann", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ann.Close()
	n, err := app.Broadcast("welcome", "ann", ambiorix.Audience{Group: "ann"})
	fmt.Println(n, err)
	visitor{ann}.hear()
	// Output:
	// 401 Unauthorized websocket: bad handshake
	// 1 <nil>
	// {"name":"welcome","message":"ann","isAmbiorix":true}
}

// A raw handler takes the place of the named messages.
func ExampleOptions_raw() {
	app := ambiorix.New(ambiorix.Options{Raw: handler.Echo{}})
	visitors, leave := visit(app, 1)
	defer leave()
	if err := visitors[0].WriteMessage(websocket.BinaryMessage, []byte("any bytes")); err != nil {
		fmt.Println(err)
	}
	visitors[0].hear()
	// Output: any bytes
}

// serveOne answers a request without a network.
func serveOne(app *ambiorix.App, method, target string) *http.Response {
	w := httptest.NewRecorder()
	app.HTTP().ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Result()
}

func ExampleApp_HandleFunc() {
	app := newQuietApp()
	app.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s, %d clients", r.PathValue("name"), app.Count(""))
	})
	r := serveOne(app, "GET", "/hello/ann")
	body, err := io.ReadAll(r.Body)
	fmt.Println(r.StatusCode, string(body), err)
	// Output: 200 hello ann, 0 clients <nil>
}

func ExampleApp_Static() {
	dir, err := os.MkdirTemp("", "www")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "page.css"), []byte("b{}"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	app := newQuietApp()
	app.Static("/static", ambiorix.Dir(dir))
	for _, path := range []string{"/static/page.css", "/static/../secret", "/static/none"} {
		r := serveOne(app, "GET", path)
		fmt.Println(r.StatusCode, r.Header.Get("Content-Type"))
	}
	// Output:
	// 200 text/css; charset=utf-8
	// 400 text/plain; charset=utf-8
	// 404 text/plain; charset=utf-8
}

func ExampleSendFile() {
	files := fstest.MapFS{"chat.html": {Data: []byte("<p>chat")}}
	app := newQuietApp()
	app.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		ambiorix.SendFile(w, r, files, "chat.html")
	})
	r := serveOne(app, "GET", "/")
	fmt.Println(r.StatusCode, r.Header.Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}

// The page includes the script with <script src="/static/ambiorix.js"></script>.
func ExampleApp_ServeClient() {
	app := newQuietApp()
	app.ServeClient("/static")
	r := serveOne(app, "GET", "/static/ambiorix.js")
	fmt.Println(r.StatusCode, r.Header.Get("Content-Type"))
	// Output: 200 text/javascript; charset=utf-8
}

// The browser client may be written to a file instead, to be served by whatever serves
// the page.
func ExampleScript() {
	for _, file := range [][]byte{ambiorix.Script(), ambiorix.Module(), ambiorix.Types()} {
		fmt.Println(strings.Contains(string(file), "class Ambiorix"))
	}
	// Output:
	// true
	// true
	// true
}

// Hooks run before the server begins and before its connections are closed.
func ExampleApp_Run() {
	app := newQuietApp()
	app.OnStart(func() error {
		fmt.Println("starting")
		return nil
	})
	app.OnStop(func() {
		n, err := app.Broadcast("bye", nil, ambiorix.Audience{})
		fmt.Println("stopping, told", n, err)
	})

	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: app.Mux(), HTTP: app.HTTP()})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background()) // signal.NotifyContext, in a program
	stop()
	fmt.Println(app.Run(ctx, e))
	// Output:
	// starting
	// stopping, told 0 <nil>
	// <nil>
}
