package websockets_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/websockets"
)

// anyPort makes examples independent of which ports are free. Without it a server
// listens on port 7681.
var anyPort = engine.Options{Address: "127.0.0.1:0"}

// connect opens a connection for an example.
func connect(s *websockets.Server, target string) *websocket.Conn {
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+s.Addr().String()+target, nil)
	if err != nil {
		panic(err)
	}
	return ws
}

// A server with a page that echoes.
func Example() {
	s, err := websockets.NewServer(websockets.Options{
		Page:   websockets.StaticText("<h1>hello</h1>"),
		Engine: anyPort,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.Receive(func(data []byte, ws *websockets.Conn, _ websockets.Header) { ws.Write(data) })
	s.Daemonize()

	ws := connect(s, "/any")
	defer ws.Close()
	ws.WriteMessage(websocket.TextMessage, []byte("hi"))
	_, data, _ := ws.ReadMessage()
	fmt.Println(string(data))

	r, err := http.Get("http://" + s.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Body.Close()
	page, _ := io.ReadAll(r.Body)
	fmt.Println(string(page))
	// Output:
	// hi
	// <h1>hello</h1>
}

// Everything happens on the goroutine that calls Service.
func ExampleServer_Service() {
	s, err := websockets.NewServer(websockets.Options{Engine: anyPort})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	calls := 0
	s.Established(func(*websockets.Conn) { calls++ })
	s.Receive(func([]byte, *websockets.Conn, websockets.Header) { calls++ })

	fmt.Println("idle:", s.Service(time.Millisecond))
	go func() {
		ws := connect(s, "/")
		defer ws.Close()
		ws.WriteMessage(websocket.TextMessage, []byte("hi"))
	}()
	for calls < 2 {
		s.Service(time.Second)
	}
	fmt.Println("callbacks:", calls)
	// Output:
	// idle: 0
	// callbacks: 2
}

func ExampleServer_Broadcast() {
	s, err := websockets.NewServer(websockets.Options{Engine: anyPort})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.Daemonize()
	defer connect(s, "/").Close()
	defer connect(s, "/").Close()

	results := s.Broadcast([]byte("hello"))
	fmt.Println(results.Delivered(), "delivered,", results.Failed(), "failed")
	for _, r := range results {
		fmt.Println(r.Conn.ID(), r.Wire, r.Err)
	}
	// Output:
	// 2 delivered, 0 failed
	// 1 7 <nil>
	// 2 7 <nil>
}

// A callback is replaced while clients are connected.
func ExampleCallbacks() {
	s, err := websockets.NewServer(websockets.Options{Engine: anyPort})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.Daemonize()
	ws := connect(s, "/")
	defer ws.Close()
	for _, answer := range []string{"one", "two"} {
		s.Receive(func(_ []byte, ws *websockets.Conn, h websockets.Header) {
			ws.Write(fmt.Append(nil, answer, " for ", h.Opcode))
		})
		ws.WriteMessage(websocket.BinaryMessage, nil)
		_, data, _ := ws.ReadMessage()
		fmt.Println(string(data))
	}
	ended := make(chan bool)
	s.Closed(func(ws *websockets.Conn, status handler.CloseStatus) {
		fmt.Println(status.Code, status.Reason)
		close(ended)
	})
	ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(int(frame.CloseNormal), "bye"))
	<-ended
	// Output:
	// one for binary
	// two for binary
	// 1000 normal closure bye
}

// A client has the callbacks of a server.
func ExampleClient() {
	s, err := websockets.NewServer(websockets.Options{Engine: anyPort})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.Receive(func(data []byte, ws *websockets.Conn, _ websockets.Header) { ws.Write(data) })
	s.Daemonize()

	c, err := websockets.NewClient(websockets.ClientOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	answer := ""
	c.Receive(func(data []byte, _ *websockets.Conn, _ websockets.Header) { answer = string(data) })
	ws, err := c.Dial(context.Background(), "ws://"+s.Addr().String()+"/", engine.DialOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ws.Write([]byte("hello"))
	for answer == "" {
		c.Service(time.Second)
	}
	fmt.Println(answer)
	// Output: hello
}

// A page function answers with a status and fields of its own.
func ExampleResponse() {
	s, err := websockets.NewServer(websockets.Options{
		Engine: anyPort,
		Page: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			vars, err := websockets.RequestVars(w, r)
			if err != nil {
				return
			}
			name, _ := vars.Get("name")
			websockets.Response{Status: http.StatusAccepted, Content: []byte("hello " + name)}.Send(w)
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	r, err := http.Get("http://" + s.Addr().String() + "/?name=ann+b")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Body.Close()
	page, _ := io.ReadAll(r.Body)
	fmt.Println(r.Status, string(page))
	// Output: 202 Accepted hello ann b
}

func ExampleParseVars() {
	for _, v := range websockets.ParseVars("x=1&y=a%20b+c&flag&k=a=b") {
		fmt.Printf("%s is %q\n", v.Name, v.Value)
	}
	// Output:
	// x is "1"
	// y is "a b c"
	// flag is ""
	// k is "a=b"
}
