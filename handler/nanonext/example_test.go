package nanonext_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/nanonext"
)

// An echo server with a page next to it.
func Example() {
	s, err := nanonext.NewServer("http://127.0.0.1:0", engine.Options{},
		nanonext.WebSocket{Path: "/echo", Text: true, Message: func(ws nanonext.Conn, data []byte) { ws.Send(data) }},
		nanonext.Inline{Path: "/", ContentType: "text/html", Data: []byte("<h1>hello</h1>")},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := s.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	ws, _, err := websocket.DefaultDialer.Dial(strings.Replace(s.URL(), "http", "ws", 1)+"/echo", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ws.Close()
	ws.WriteMessage(websocket.TextMessage, []byte("hi"))
	_, data, _ := ws.ReadMessage()
	fmt.Println(string(data))
	fmt.Println(fetch(s.URL() + "/"))
	// Output:
	// hi
	// 200 OK <h1>hello</h1>
}

// fetch returns status and body of a page.
func fetch(url string) string {
	r, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return r.Status + " " + string(body)
}

// serving starts a server of the handlers for an example.
func serving(handlers ...nanonext.Handler) *nanonext.Server {
	s, err := nanonext.NewServer("http://127.0.0.1:0", engine.Options{}, handlers...)
	if err != nil {
		panic(err)
	}
	if err := s.Start(); err != nil {
		panic(err)
	}
	return s
}

// Open looks at the request, and may refuse it.
func ExampleWebSocket() {
	s := serving(nanonext.WebSocket{
		Path: "/members",
		Open: func(ws nanonext.Conn, r *handler.Request) error {
			if r.Header.Get("Authorization") == "" {
				return handler.Refuse(http.StatusUnauthorized, "who are you?")
			}
			return ws.Send([]byte("welcome"))
		},
		Close: func(ws nanonext.Conn, s handler.CloseStatus) {
			fmt.Println("connection", ws.ID(), "closed with", s.Code)
		},
	})
	defer s.Close()

	_, r, _ := websocket.DefaultDialer.Dial(strings.Replace(s.URL(), "http", "ws", 1)+"/members", nil)
	fmt.Println(r.Status)
	// Output: 401 Unauthorized
}

func ExampleFunc() {
	s := serving(nanonext.Func{Path: "/greet", Serve: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", r.FormValue("name"))
	}})
	defer s.Close()
	fmt.Println(fetch(s.URL() + "/greet?name=ann"))
	// Output: 200 OK hello ann
}

func ExampleDirectory() {
	s := serving(nanonext.Directory{Path: "/static", Dir: "."}, nanonext.File{Path: "/doc", File: "doc.go"})
	defer s.Close()
	_, body, _ := strings.Cut(fetch(s.URL()+"/static/doc.go"), "// ")
	fmt.Println(body[:16])
	fmt.Println(fetch(s.URL() + "/static/../server.go"))
	// Output:
	// Package nanonext
	// 400 Bad Request bad path
}

func ExampleRedirect() {
	s := serving(
		nanonext.Redirect{Path: "/old", Location: "/new", Prefix: true},
		nanonext.Func{Path: "/new", Prefix: true, Serve: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL) }},
	)
	defer s.Close()
	fmt.Println(fetch(s.URL() + "/old/page?z=1"))
	// Output: 200 OK /new/page?z=1
}

// A stream may be sent to from anywhere, for as long as it is open.
func ExampleStream() {
	opened := make(chan *nanonext.StreamConn, 1)
	s := serving(nanonext.Stream{Path: "/events", Open: func(s *nanonext.StreamConn, _ *http.Request) {
		s.SetHeader("Content-Type", "text/event-stream")
		opened <- s
	}})
	defer s.Close()

	go func() {
		stream := <-opened
		stream.Send(nanonext.FormatSSE(nanonext.Event{ID: "1", Data: "first"}))
		stream.Send(nanonext.FormatSSE(nanonext.Event{ID: "2", Data: "second"}))
		stream.Close()
	}()
	fmt.Print(fetch(s.URL() + "/events"))
	// Output:
	// 200 OK id: 1
	// data: first
	//
	// id: 2
	// data: second
}

func ExampleFormatSSE() {
	fmt.Print(string(nanonext.FormatSSE(nanonext.Event{
		Event: "price", ID: "17", Retry: 3 * time.Second, Data: "ACME\n12.5",
	})))
	// Output:
	// event: price
	// id: 17
	// retry: 3000
	// data: ACME
	// data: 12.5
}
