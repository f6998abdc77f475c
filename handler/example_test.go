package handler_test

import (
	"fmt"
	"net/http"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// An echo server is one function.
func Example() {
	mux := handler.NewMux()
	mux.Handle("/echo", handler.Func(func(c handler.Conn, op frame.Opcode, payload []byte) {
		c.Send(op, payload)
	}))

	_, ok := mux.Match("/echo/")
	fmt.Println(ok)
	// Output: true
}

// recorder is a Conn without a network. What it does not implement panics when it
// is called.
type recorder struct {
	handler.Conn
	value any
	sent  []string
}

func (r *recorder) Value() any     { return r.value }
func (r *recorder) SetValue(v any) { r.value = v }
func (r *recorder) Send(_ frame.Opcode, p []byte) error {
	r.sent = append(r.sent, string(p))
	return nil
}

// members greets those who say who they are and refuses all others.
type members struct{}

func (members) OnOpen(c handler.Conn, r *handler.Request) error {
	name := r.Query().Get("name")
	if name == "" {
		return handler.Refuse(http.StatusUnauthorized, "who are you?")
	}
	c.SetValue(name)
	return c.Send(frame.Text, []byte("hello "+name))
}

func (members) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	c.Send(op, fmt.Appendf(nil, "%s said %s", c.Value(), payload))
}

func (members) OnClose(handler.Conn, handler.CloseStatus) {}

// A Handler is tested with a Conn that embeds the interface and implements what
// the Handler calls.
func ExampleHandler() {
	r, err := handler.ParseRequest([]byte("GET /?name=ann HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &recorder{}
	fmt.Println(members{}.OnOpen(c, r))
	members{}.OnMessage(c, frame.Text, []byte("hi"))
	fmt.Printf("%q\n", c.sent)
	// Output:
	// <nil>
	// ["hello ann" "ann said hi"]
}

// OnOpen refuses a connection by returning the response to send instead.
func ExampleRefuse() {
	r, err := handler.ParseRequest([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(members{}.OnOpen(&recorder{}, r))
	// Output: handler: refused with 401: who are you?
}

func ExampleEcho() {
	c := &recorder{}
	handler.Echo{}.OnMessage(c, frame.Text, []byte("hi"))
	fmt.Println(c.sent)
	// Output: [hi]
}

func ExampleMux() {
	mux := handler.NewMux()
	mux.Handle("/echo", handler.Echo{})
	mux.Handle("*", handler.Echo{})
	err := mux.Add(handler.Route{Path: "/chat", Handler: handler.Echo{}, Subprotocols: []string{"chat.v2", "chat.v1"}})
	if err != nil {
		fmt.Println(err)
	}

	for _, path := range []string{"/echo", "/echo/", "/chat", "/echo/more"} {
		route, _ := mux.Match(path)
		fmt.Println(path, "is served by", route.Path)
	}
	// Output:
	// /echo is served by /echo
	// /echo/ is served by /echo
	// /chat is served by /chat
	// /echo/more is served by *
}

func ExampleMux_Decide() {
	mux := handler.NewMux()
	mux.Handle("/echo", handler.Echo{})
	r, err := handler.ParseRequest([]byte("GET /echo HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, refusal := mux.Decide(r, handler.Policy{})
	fmt.Println(refusal)
	// Output: handler: refused with 426: this path speaks WebSocket only
}

func ExampleCheckOrigin() {
	patterns := []string{"*.example.com", "https://partner.example:8443"}
	for _, origin := range []string{
		"https://example.com", // the same origin
		"https://app.example.com",
		"https://partner.example:8443",
		"https://partner.example",
		"null",
	} {
		fmt.Println(origin, handler.CheckOrigin(origin, "example.com", patterns))
	}
	// Output:
	// https://example.com true
	// https://app.example.com true
	// https://partner.example:8443 true
	// https://partner.example false
	// null false
}

func ExampleHeader_All() {
	r, err := handler.ParseRequest([]byte("GET / HTTP/1.1\r\nhost: example.com\r\nX-First: 1\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for name, value := range r.Header.All() {
		fmt.Println(name, "is", value)
	}
	// Output:
	// host is example.com
	// X-First is 1
}
