package engine_test

import (
	"crypto/tls"
	"errors"
	"runtime"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A quitter is a Handler that echoes, and ends its goroutine where it is told to, as
// testing.T.FailNow does.
type quitter struct {
	open, close bool // OnOpen or OnClose ends it; OnMessage does for the message "quit"
	ends        chan handler.CloseStatus
}

func (q *quitter) OnOpen(handler.Conn, *handler.Request) error {
	if q.open {
		runtime.Goexit()
	}
	return nil
}

func (q *quitter) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	if string(payload) == "quit" {
		runtime.Goexit()
	}
	_ = c.Send(op, payload)
}

func (q *quitter) OnClose(_ handler.Conn, s handler.CloseStatus) {
	q.ends <- s
	if q.close {
		runtime.Goexit()
	}
}

// A worker that a handler has ended is replaced, and the others of the pool are not
// enough to hide it: there are more such handlers than workers.
func TestGoexitOnWorkers(t *testing.T) {
	const workers, quits = 2, 5
	tests := []struct {
		name string
		quitter
		input  []byte
		status int
		code   frame.CloseCode // 0: the connection is refused
	}{
		{name: "OnOpen", quitter: quitter{open: true}, status: 500},
		{name: "OnMessage", input: text("quit"), status: 101, code: frame.CloseInternalError},
		{name: "OnClose", quitter: quitter{close: true}, input: closeFrame(4002, ""), status: 101, code: 4002},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.quitter.ends = make(chan handler.CloseStatus, quits)
			mux := routes(&tt.quitter)
			mux.Handle("/echo", handler.Echo{})
			e := startEngine(t, engine.Options{Workers: workers, Mux: mux})
			bystander := dialRaw(t, e, "/echo")
			for range quits {
				c := dialTCP(t, e)
				c.put(t, upgrade("/"), tt.input)
				c.expectStatus(t, tt.status)
				if tt.code == 0 {
					continue
				}
				c.expectClose(t, tt.code)
				_ = c.Close()
				s := receive(t, "OnClose", tt.quitter.ends)
				if quit := tt.code == frame.CloseInternalError; errors.Is(s.Err, handler.ErrPanic) != quit {
					t.Errorf("OnClose got %+v; want ErrPanic: %t", s, quit)
				}
			}
			bystander.put(t, text("alive"))
			bystander.expectText(t, "alive")
		})
	}
}

// The goroutine that calls Service ends, and another one can go on.
func TestGoexitInService(t *testing.T) {
	q := &quitter{ends: make(chan handler.CloseStatus, 1)}
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(q)})
	c, bystander := dialTCP(t, e), dialTCP(t, e)
	c.put(t, upgrade("/"), text("quit"), text("not delivered"))
	ended := make(chan struct{})
	go func() { // ends with the handler
		defer close(ended)
		for {
			e.Service(patience)
		}
	}()
	receive(t, "the end of the caller", ended)
	serve(t, e, 1)
	c.expectStatus(t, 101)
	c.expectClose(t, frame.CloseInternalError)
	_ = c.Close()
	if s := receive(t, "OnClose", q.ends); !errors.Is(s.Err, handler.ErrPanic) {
		t.Errorf("OnClose got %+v; want ErrPanic", s)
	}
	bystander.put(t, upgrade("/"), text("alive"))
	bystander.expectStatus(t, 101)
	bystander.expectText(t, "alive")
}

// On the loop it ends the engine, which fails: every connection gets its OnClose, and
// everything is given back, also when OnClose does the same.
func TestGoexitOnLoop(t *testing.T) {
	tests := []struct {
		name string
		quitter
		input  []byte
		status int
		code   frame.CloseCode // 0: the connection is refused
	}{
		{name: "OnOpen", quitter: quitter{open: true}, status: 500},
		{name: "OnMessage", input: text("quit"), status: 101, code: frame.CloseInternalError},
		{name: "OnMessage and OnClose", quitter: quitter{close: true}, input: text("quit"), status: 101, code: frame.CloseInternalError},
		{name: "OnClose", quitter: quitter{close: true}, input: closeFrame(4002, ""), status: 101, code: 4002},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const bystanders = 8 // on both loops
			tt.quitter.ends = make(chan handler.CloseStatus, bystanders+1)
			others := &quitter{close: tt.quitter.close, ends: tt.quitter.ends}
			mux := routes(&tt.quitter)
			mux.Handle("/others", others)
			e := newEngine(t, engine.Options{Mode: engine.OnLoop, Mux: mux})
			if err := e.Start(); err != nil {
				t.Fatal(err)
			}
			for range bystanders {
				dialRaw(t, e, "/others")
			}
			c := dialTCP(t, e)
			c.put(t, upgrade("/"), tt.input)
			c.expectStatus(t, tt.status)
			opened := bystanders
			if tt.code != 0 {
				c.expectClose(t, tt.code)
				opened++
			}
			if err := e.Run(t.Context()); !errors.Is(err, handler.ErrPanic) {
				t.Errorf("Run: %v; want ErrPanic", err)
			}
			for range opened {
				receive(t, "OnClose", tt.quitter.ends)
			}
			if n := e.Counters().Sockets; n != 0 {
				t.Errorf("%d sockets left", n)
			}
		})
	}
}

// The goroutine of a handshake is not the loop's: a callback of the configuration that
// ends it fails its own connection.
func TestGoexitInTLSCallback(t *testing.T) {
	server, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	client := startEngine(t, engine.Options{NoListen: true})
	config := ca.client()
	config.VerifyConnection = func(tls.ConnectionState) error {
		runtime.Goexit()
		return nil
	}
	_, err := client.Dial(t.Context(), secureURL(server, "/"), handler.Echo{}, engine.DialOptions{TLSConfig: config})
	if !errors.Is(err, handler.ErrPanic) {
		t.Errorf("Dial: %v; want ErrPanic", err)
	}
}
