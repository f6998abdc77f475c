package engine_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// echoServer serves on a free port.
func echoServer() *engine.Engine {
	mux := handler.NewMux()
	mux.Handle("/echo", handler.Echo{})
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: mux})
	if err != nil {
		log.Fatal(err)
	}
	if err := e.Start(); err != nil {
		log.Fatal(err)
	}
	return e
}

// A client is an engine that does not listen, and dials.
func ExampleEngine_Dial() {
	server := echoServer()
	defer server.Close()

	client, err := engine.New(engine.Options{NoListen: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(); err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, "ws://"+server.Addr().String()+"/echo", handler.Funcs{
		Message: func(c handler.Conn, op frame.Opcode, payload []byte) {
			fmt.Printf("%v: %s\n", op, payload)
			c.Close(frame.CloseNormal, "that was all")
		},
		Close: func(_ handler.Conn, s handler.CloseStatus) { fmt.Println(s.Code, s.Clean) },
	}, engine.DialOptions{})
	if err != nil {
		log.Fatal(err)
	}
	c.Send(frame.Text, []byte("hello"))
	<-c.Done()
	client.Shutdown(ctx) // waits for OnClose
	// Output:
	// text: hello
	// 1000 normal closure true
}

// In mode Service nothing runs but when the application says so: one goroutine does
// everything, as in a game loop.
func ExampleEngine_DialAsync() {
	server := echoServer()
	defer server.Close()

	client, err := engine.New(engine.Options{NoListen: true, Mode: engine.Service})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(); err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	over := false
	client.DialAsync("ws://"+server.Addr().String()+"/echo", handler.Funcs{
		Open: func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, []byte("hello")) },
		Message: func(c handler.Conn, _ frame.Opcode, payload []byte) {
			fmt.Printf("%s\n", payload)
			over = true
		},
	}, engine.DialOptions{}, func(_ *engine.Conn, err error) {
		if err != nil {
			log.Fatal(err)
		}
	})
	for !over {
		client.Service(time.Second)
	}
	// Output: hello
}

// A Reconnector comes back when the server does, and subscribes again.
func ExampleEngine_Reconnect() {
	server := echoServer()
	defer server.Close()
	client, err := engine.New(engine.Options{NoListen: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(); err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	lines := make(chan string)
	r, err := client.Reconnect("ws://"+server.Addr().String()+"/echo", handler.Funcs{
		Open:    func(c handler.Conn, _ *handler.Request) error { return c.Send(frame.Text, []byte("hello")) },
		Message: func(_ handler.Conn, _ frame.Opcode, payload []byte) { lines <- string(payload) },
	}, engine.ReconnectOptions{
		Delay:       10 * time.Millisecond,
		Resubscribe: func(c handler.Conn) { c.Send(frame.Text, []byte("subscribe news")) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-lines)
	server.Hub().Each("", func(c handler.Conn) bool { return c.Close(frame.CloseServiceRestart, "") == nil })
	fmt.Println(<-lines)
	fmt.Println(<-lines)
	r.Close(frame.CloseNormal, "")
	<-r.Done()
	// Output:
	// hello
	// hello
	// subscribe news
}
