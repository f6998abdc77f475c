package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// pinger is a Handler that sees pings and pongs, and cuts the connection after the first.
type pinger struct{ handler.Funcs }

func (pinger) OnControl(c handler.Conn, op frame.Opcode, payload []byte) {
	fmt.Printf("%v: %s\n", op, payload)
	c.(*engine.Conn).Abort()
}

// A Handler that is a handler.ControlHandler sees the answer to Conn.Ping.
func ExampleConn_Ping() {
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

	closed := make(chan struct{})
	h := pinger{handler.Funcs{Close: func(_ handler.Conn, s handler.CloseStatus) {
		fmt.Println(s.Err)
		close(closed)
	}}}
	c, err := client.Dial(context.Background(), "ws://"+server.Addr().String()+"/echo", h, engine.DialOptions{})
	if err != nil {
		log.Fatal(err)
	}
	c.Ping([]byte("are you there?"))
	<-closed
	// Output:
	// pong: are you there?
	// handler: connection aborted
}
