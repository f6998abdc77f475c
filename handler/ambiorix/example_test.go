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
	"github.com/weirws/weir/frame"
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

// A visitor is a connection without a network: an App is tested with it as any Handler
// is. It shows what is sent to it.
type visitor struct {
	handler.Conn
	id int
}

func (v *visitor) ID() uint64 { return uint64(v.id) }

func (v *visitor) Send(_ frame.Opcode, payload []byte) error {
	fmt.Printf("%d gets %s\n", v.id, payload)
	return nil
}

func (v *visitor) SendPrepared(m *frame.Prepared) error { return v.Send(m.Op(), m.Payload()) }

func (v *visitor) Close(code frame.CloseCode, _ string) error {
	fmt.Printf("%d is closed with %d\n", v.id, code)
	return nil
}

// visit opens connections to the App, numbered from 1.
func visit(app *ambiorix.App, n int) []*visitor {
	visitors := make([]*visitor, n)
	for i := range visitors {
		visitors[i] = &visitor{id: i + 1}
		if err := app.Handler().OnOpen(visitors[i], nil); err != nil {
			fmt.Println(err)
		}
	}
	return visitors
}

// says has a visitor send a message.
func (v *visitor) says(app *ambiorix.App, name, message string) {
	text := fmt.Sprintf(`{"name":%q,"message":%s,"isAmbiorix":true}`, name, message)
	app.Handler().OnMessage(v, frame.Text, []byte(text))
}

// newQuietApp makes an App whose log goes nowhere.
func newQuietApp() *ambiorix.App {
	return ambiorix.New(ambiorix.Options{Logger: slog.New(slog.DiscardHandler)})
}

// A receiver that answers nobody, and what becomes of one that fails.
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

	v := visit(app, 1)[0]
	v.says(app, "log", `"hello"`)
	v.says(app, "unknown", `"hello"`)
	v.says(app, "log", `42`)
	// Output:
	// a client says: hello
	// 1 is closed with 1011
}

// What is relayed as it came loses nothing.
func ExampleRouter_ReceiveFrom() {
	app := newQuietApp()
	app.ReceiveFrom("echo", func(message json.RawMessage, c ambiorix.Client) error {
		return c.Send("echo", message)
	})

	visit(app, 1)[0].says(app, "echo", `[1e20,12345678901234567890]`)
	// Output: 1 gets {"name":"echo","message":[1e20,12345678901234567890],"isAmbiorix":true}
}

// A part of an application has receivers of its own.
func ExampleApp_Use() {
	var game ambiorix.Router
	game.ReceiveFrom("move", func(message json.RawMessage, c ambiorix.Client) error {
		return c.Send("moved", message)
	})

	app := newQuietApp()
	app.Use(&game)
	visit(app, 1)[0].says(app, "move", `"e4"`)
	// Output: 1 gets {"name":"moved","message":"e4","isAmbiorix":true}
}

func ExampleDecode() {
	type point struct{ X, Y int }
	p, err := ambiorix.Decode[point](json.RawMessage(`{"x":1,"y":2}`))
	fmt.Println(p, err)
	// Output: {1 2} <nil>
}

func ExampleClient_Send() {
	app := newQuietApp()
	visit(app, 1)
	for _, c := range app.Clients("") {
		for _, value := range []any{42, "x", []int{1, 2}, nil, map[string]any{"a": true}} {
			if err := c.Send("count", value); err != nil {
				fmt.Println(err)
			}
		}
	}
	// Output:
	// 1 gets {"name":"count","message":42,"isAmbiorix":true}
	// 1 gets {"name":"count","message":"x","isAmbiorix":true}
	// 1 gets {"name":"count","message":[1,2],"isAmbiorix":true}
	// 1 gets {"name":"count","message":null,"isAmbiorix":true}
	// 1 gets {"name":"count","message":{"a":true},"isAmbiorix":true}
}

// Everyone but the sender gets what is said.
func ExampleApp_Broadcast() {
	app := newQuietApp()
	app.ReceiveFrom("chat", func(message json.RawMessage, c ambiorix.Client) error {
		n, err := app.Broadcast("chat", message, ambiorix.Audience{Except: c})
		fmt.Println("sent to", n)
		return err
	})

	visit(app, 2)[0].says(app, "chat", `"hi"`)
	// Output:
	// 2 gets {"name":"chat","message":"hi","isAmbiorix":true}
	// sent to 1
}

// Clients join groups, and leave them when they close.
func ExampleClient_Join() {
	app := newQuietApp()
	app.ReceiveFrom("join", func(message json.RawMessage, c ambiorix.Client) error {
		room, err := ambiorix.Decode[string](message)
		return errors.Join(err, c.Join(room))
	})

	visitors := visit(app, 3)
	visitors[2].says(app, "join", `"kitchen"`)
	n, err := app.Broadcast("dinner", nil, ambiorix.Audience{Group: "kitchen"})
	fmt.Println(n, err)

	app.Handler().OnClose(visitors[2], handler.CloseStatus{})
	fmt.Println(app.Count("kitchen"), app.Count(""))
	// Output:
	// 3 gets {"name":"dinner","message":null,"isAmbiorix":true}
	// 1 <nil>
	// 0 2
}

func ExampleClient_Leave() {
	app := newQuietApp()
	visit(app, 1)
	c := app.Clients("")[0]
	fmt.Println(c.Join("kitchen"), app.Count("kitchen"))
	c.Leave("kitchen")
	fmt.Println(app.Count("kitchen"))
	// Output:
	// <nil> 1
	// 0
}

func ExampleApp_Clients() {
	app := newQuietApp()
	visit(app, 3)
	for _, c := range app.Clients("") {
		fmt.Println("client", c.Conn().ID())
	}
	// Output:
	// client 1
	// client 2
	// client 3
}

// members are the clients who say who they are. Everyone else is refused, and each is
// in a group of that name.
type members struct {
	handler.Handler
	app *ambiorix.App
}

func (m members) OnOpen(c handler.Conn, r *handler.Request) error {
	name := r.Query().Get("name")
	if name == "" {
		return handler.Refuse(http.StatusUnauthorized, "who are you?")
	}
	if err := m.Handler.OnOpen(c, r); err != nil {
		return err
	}
	return m.app.Client(c).Join(name)
}

// A Handler around the App's decides who may connect.
func ExampleApp_Handler() {
	app := newQuietApp()
	mux := handler.NewMux() // in place of app.Mux()
	mux.Handle("/members", members{app.Handler(), app})

	for i, query := range []string{"", "?name=ann"} {
		r, err := handler.ParseRequest([]byte("GET /members" + query + " HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		if err != nil {
			fmt.Println(err)
			continue
		}
		route, _ := mux.Match(r.Path)
		fmt.Println(route.Handler.OnOpen(&visitor{id: i}, r), app.Count("ann"))
	}
	// Output:
	// handler: refused with 401: who are you? 0
	// <nil> 1
}

// A raw handler takes the place of the named messages.
func ExampleOptions_raw() {
	app := ambiorix.New(ambiorix.Options{Raw: handler.Echo{}})
	v := visit(app, 1)[0]
	app.Handler().OnMessage(v, frame.Binary, []byte("any bytes"))
	// Output: 1 gets any bytes
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
