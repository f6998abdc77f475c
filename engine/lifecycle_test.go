package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A trace is a Handler that writes down the callbacks of each connection and echoes
// messages. It fails the test if callbacks of one connection overlap.
type trace struct {
	t    testing.TB
	ends chan ended // one for each OnClose; nil: nobody asks

	mu     sync.Mutex
	events map[uint64][]string
	inside map[uint64]bool
}

// An ended is one OnClose.
type ended struct {
	id     uint64
	status handler.CloseStatus
}

func newTrace(t testing.TB, ends int) *trace {
	return &trace{t: t, ends: make(chan ended, ends), events: make(map[uint64][]string), inside: make(map[uint64]bool)}
}

func (tr *trace) enter(c handler.Conn, what string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.inside[c.ID()] {
		tr.t.Errorf("connection %d: %s while another callback runs", c.ID(), what)
	}
	tr.inside[c.ID()] = true
	tr.events[c.ID()] = append(tr.events[c.ID()], what)
}

func (tr *trace) leave(c handler.Conn) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.inside[c.ID()] = false
}

func (tr *trace) OnOpen(c handler.Conn, _ *handler.Request) error {
	tr.enter(c, "open")
	defer tr.leave(c)
	return nil
}

func (tr *trace) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	tr.enter(c, string(payload))
	defer tr.leave(c)
	_ = c.Send(op, payload)
}

func (tr *trace) OnClose(c handler.Conn, s handler.CloseStatus) {
	tr.enter(c, "close")
	tr.leave(c)
	tr.ends <- ended{c.ID(), s}
}

// of returns the events of a connection.
func (tr *trace) of(id uint64) []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.events[id])
}

func TestTraceOfManyClients(t *testing.T) {
	const clients, messages = 100, 10
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, clients)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(tr)})
		all := make([]*rawClient, clients)
		for i := range all {
			all[i] = dialRaw(t, e, "/")
		}
		want := []string{"open"}
		for m := range messages {
			want = append(want, fmt.Sprint("message ", m))
			for _, c := range all {
				c.put(t, text(want[m+1]))
			}
		}
		want = append(want, "close")
		for _, c := range all {
			for m := range messages {
				c.expectText(t, want[m+1])
			}
			c.put(t, closeFrame(frame.CloseNormal, ""))
			c.expectClose(t, frame.CloseNormal)
			c.expectEnd(t)
		}
		for range clients {
			end := receive(t, "OnClose", tr.ends)
			if !end.status.Clean || end.status.Code != frame.CloseNormal {
				t.Errorf("connection %d ended with %+v", end.id, end.status)
			}
			if got := tr.of(end.id); !slices.Equal(got, want) {
				t.Errorf("connection %d: callbacks %q; want %q", end.id, got, want)
			}
		}
	})
}

// What a client sent before its close frame is delivered, and answered, however
// soon the close frame comes and the client hangs up.
func TestNoMessageIsLostBeforeClose(t *testing.T) {
	const clients, messages = 20, 50
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, clients)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(tr)})
		var bytes []byte
		for m := range messages {
			bytes = append(bytes, text(fmt.Sprint(m))...)
		}
		bytes = append(bytes, closeFrame(frame.CloseNormal, "")...)
		for i := range clients {
			c := dialRaw(t, e, "/")
			c.put(t, bytes)
			if i%2 == 0 {
				_ = c.Close()
			}
		}
		for range clients {
			end := receive(t, "OnClose", tr.ends)
			if got := len(tr.of(end.id)); got != messages+2 {
				t.Errorf("connection %d had %d callbacks; want %d", end.id, got, messages+2)
			}
		}
	})
}

func TestOrderOfManyMessages(t *testing.T) {
	const messages = 10_000
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		c := dialRaw(t, e, "/")
		failed := make(chan error, 1)
		go func() { // ends when all is written or the connection is closed
			var err error
			for m := 0; m < messages && err == nil; m++ {
				_, err = c.Write(text(fmt.Sprint(m)))
			}
			failed <- err
		}()
		for m := range messages {
			c.expectText(t, fmt.Sprint(m))
		}
		if err := receive(t, "the writer", failed); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPeerCloses(t *testing.T) {
	tests := []struct {
		name  string
		do    func(t *testing.T, c *rawClient)
		code  frame.CloseCode
		why   string
		clean bool
		err   bool
	}{
		{name: "with a code of its own", code: 4002, why: "tired", clean: true, do: func(t *testing.T, c *rawClient) {
			c.put(t, closeFrame(4002, "tired"))
			c.expectClose(t, 4002)
			c.expectEnd(t)
		}},
		{name: "without a code", code: frame.CloseNoStatus, clean: true, do: func(t *testing.T, c *rawClient) {
			c.put(t, masked(frame.Close, nil))
			c.expectClose(t, frame.CloseNoStatus)
			c.expectEnd(t)
		}},
		{name: "by a reset", code: frame.CloseAbnormal, err: true, do: func(t *testing.T, c *rawClient) { c.kill(t) }},
		{name: "by hanging up", code: frame.CloseAbnormal, err: true, do: func(t *testing.T, c *rawClient) { _ = c.Close() }},
		{name: "inside a frame", code: frame.CloseAbnormal, err: true, do: func(t *testing.T, c *rawClient) {
			c.put(t, text("cut off")[:5])
			_ = c.Close()
		}},
	}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(tr)})
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				tt.do(t, dialRaw(t, e, "/"))
				got := receive(t, "OnClose", tr.ends)
				if s := got.status; s.Code != tt.code || s.Reason != tt.why || s.Clean != tt.clean || (s.Err != nil) != tt.err {
					t.Errorf("OnClose got %+v; want %+v", s, tt)
				}
				if events := tr.of(got.id); !slices.Equal(events, []string{"open", "close"}) {
					t.Errorf("callbacks %q", events)
				}
			})
		}
	})
}

func TestServerCloses(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		sends := make(chan error, 2)
		ends := make(chan handler.CloseStatus, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Message: func(c handler.Conn, _ frame.Opcode, _ []byte) {
				for i := range 100 { // queued messages reach the peer before the close frame
					_ = c.Send(frame.Text, fmt.Append(nil, i))
				}
				sends <- c.Close(4001, "bye")
				sends <- c.Send(frame.Text, []byte("too late"))
			},
			Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
		})})
		c := dialRaw(t, e, "/")
		c.put(t, text("close me"))
		for i := range 100 {
			c.expectText(t, fmt.Sprint(i))
		}
		if reason := c.expectClose(t, 4001); reason != "bye" {
			t.Errorf("reason %q; want bye", reason)
		}
		if err := receive(t, "Close", sends); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := receive(t, "Send", sends); !errors.Is(err, handler.ErrClosed) {
			t.Errorf("Send after Close: %v; want ErrClosed", err)
		}
		c.put(t, closeFrame(4001, "so long"))
		c.expectEnd(t)
		want := handler.CloseStatus{Code: 4001, Reason: "so long", Clean: true}
		if s := receive(t, "OnClose", ends); s != want {
			t.Errorf("OnClose got %+v; want %+v", s, want)
		}
	})
}

// A connection that is gone: its methods answer, and reach nobody.
func TestConnAfterItsEnd(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		conns := make(chan handler.Conn, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Open: func(c handler.Conn, _ *handler.Request) error {
				c.SetValue("kept")
				return nil
			},
			Close: func(c handler.Conn, _ handler.CloseStatus) { conns <- c },
		})})
		client := dialRaw(t, e, "/")
		_ = client.Close()
		c := receive(t, "OnClose", conns)
		select {
		case <-c.Done():
		default:
			t.Error("Done is not closed when OnClose is called")
		}
		for what, err := range map[string]error{
			"Send":         c.Send(frame.Text, nil),
			"SendPrepared": c.SendPrepared(frame.Prepare(frame.Text, nil, nil)),
			"Ping":         c.Ping(nil),
			"Close":        c.Close(frame.CloseNormal, ""),
		} {
			if !errors.Is(err, handler.ErrClosed) {
				t.Errorf("%s: %v; want ErrClosed", what, err)
			}
		}
		if _, ok := e.Hub().Conn(c.ID()); ok {
			t.Error("the hub still has the connection")
		}
		if c.Value() != "kept" || c.Path() != "/" || c.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("value %v, path %q, address %v", c.Value(), c.Path(), c.RemoteAddr())
		}
		eventually(t, "the socket is accounted for", func() bool { return e.Counters().Sockets == 0 })
	})
}

// A panic ends its own connection, with 1011, and no other.
func TestPanicInOnMessage(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		h.Message = func(c handler.Conn, op frame.Opcode, p []byte) {
			if string(p) == "panic" {
				_ = c.Send(frame.Text, []byte("before"))
				panic("on purpose")
			}
			_ = c.Send(op, p)
		}
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
		other, c := dialRaw(t, e, "/"), dialRaw(t, e, "/")
		c.put(t, text("panic"), text("not delivered"))
		c.expectText(t, "before")
		if reason := c.expectClose(t, frame.CloseInternalError); reason != "" {
			t.Errorf("the peer is told %q", reason)
		}
		c.expectEnd(t)
		_ = c.Close()
		s := receive(t, "OnClose", ends)
		if s.Code != frame.CloseAbnormal || s.Clean || !errors.Is(s.Err, handler.ErrPanic) {
			t.Errorf("OnClose got %+v; want 1006 and ErrPanic", s)
		}
		other.put(t, text("alive"))
		other.expectText(t, "alive")
	})
}

func TestPanicInOnClose(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		inside := make(chan struct{}, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Message: handler.Echo{}.OnMessage,
			Close: func(handler.Conn, handler.CloseStatus) {
				inside <- struct{}{}
				panic("on purpose")
			},
		})})
		for range 3 {
			c := dialRaw(t, e, "/")
			c.put(t, text("alive"), closeFrame(frame.CloseNormal, ""))
			c.expectText(t, "alive")
			c.expectClose(t, frame.CloseNormal)
			receive(t, "OnClose", inside)
		}
	})
}

// A client that ends its side of the stream without a close frame: what came before
// is delivered, and the connection counts as lost.
func TestHalfClose(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		tr := newTrace(t, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(tr)})
		c := dialRaw(t, e, "/")
		c.put(t, text("a"), text("b"))
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		end := receive(t, "OnClose", tr.ends)
		if got := tr.of(end.id); !slices.Equal(got, []string{"open", "a", "b", "close"}) {
			t.Errorf("callbacks %q", got)
		}
		if s := end.status; s.Code != frame.CloseAbnormal || s.Clean || !errors.Is(s.Err, io.EOF) {
			t.Errorf("OnClose got %+v; want 1006 and EOF", s)
		}
	})
}

// With a close frame before it, the end of the client's side changes nothing.
func TestHalfCloseAfterCloseFrame(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		c.put(t, text("a"), closeFrame(4002, ""))
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.expectText(t, "a")
		c.expectClose(t, 4002)
		c.expectEnd(t)
		if s := receive(t, "OnClose", ends); s.Code != 4002 || !s.Clean {
			t.Errorf("OnClose got %+v; want 4002, clean", s)
		}
	})
}

// Both sides close at the same time: both close frames go out, and the code is the
// peer's.
func TestBothClose(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, ends := closings()
		h.Message = func(c handler.Conn, _ frame.Opcode, _ []byte) { _ = c.Close(4001, "server") }
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(h)})
		c := dialRaw(t, e, "/")
		c.put(t, text("close"), text("not delivered"), closeFrame(4002, "client"))
		c.expectClose(t, 4001)
		c.expectEnd(t)
		want := handler.CloseStatus{Code: 4002, Reason: "client", Clean: true}
		if s := receive(t, "OnClose", ends); s != want {
			t.Errorf("OnClose got %+v; want %+v", s, want)
		}
	})
}

func TestArgumentsOfConn(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		errs := make(chan []error, 1)
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Func(func(c handler.Conn, _ frame.Opcode, _ []byte) {
			errs <- []error{
				c.Send(frame.Close, nil), c.Send(frame.Ping, nil), c.Send(frame.Continuation, nil),
				c.Ping(make([]byte, 126)), c.Close(frame.CloseNoStatus, ""), c.Close(999, ""),
				c.Ping(make([]byte, 125)),
			}
		}))})
		c := dialRaw(t, e, "/")
		c.put(t, text("try"))
		want := []error{
			handler.ErrOpcode, handler.ErrOpcode, handler.ErrOpcode,
			handler.ErrPingTooLong, handler.ErrCloseCode, handler.ErrCloseCode, nil,
		}
		for i, err := range receive(t, "OnMessage", errs) {
			if !errors.Is(err, want[i]) {
				t.Errorf("call %d: %v; want %v", i, err, want[i])
			}
		}
		op, p, err := c.readFrame()
		if err != nil || op != frame.Ping || len(p) != 125 {
			t.Errorf("got opcode %d, %d bytes, error %v; want the ping", op, len(p), err)
		}
	})
}
