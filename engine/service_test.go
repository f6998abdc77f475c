package engine_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// serviced calls Service on a goroutine of its own, whose result comes through the
// channel.
func serviced(e *engine.Engine, timeout time.Duration) <-chan int {
	n := make(chan int, 1)
	go func() { n <- e.Service(timeout) }() // ends at the latest when the engine closes
	return n
}

// A tally is a Handler that counts its callbacks.
type tally struct{ opens, messages, closes atomic.Int64 }

func (c *tally) OnOpen(handler.Conn, *handler.Request) error  { c.opens.Add(1); return nil }
func (c *tally) OnMessage(handler.Conn, frame.Opcode, []byte) { c.messages.Add(1) }
func (c *tally) OnClose(handler.Conn, handler.CloseStatus)    { c.closes.Add(1) }
func (c *tally) all() int64                                   { return c.opens.Load() + c.messages.Load() + c.closes.Load() }

func TestServiceWithoutEvents(t *testing.T) {
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(handler.Echo{})})
	for _, timeout := range []time.Duration{-1, 0, time.Millisecond, 20 * time.Millisecond} {
		if n := receive(t, "Service", serviced(e, timeout)); n != 0 {
			t.Errorf("Service(%v) ran %d events; want 0", timeout, n)
		}
	}
}

// In other modes handlers are none of Service's business.
func TestServiceInOtherModes(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.OnLoop} {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		if n := receive(t, "Service", serviced(e, 100*patience)); n != 0 {
			t.Errorf("Service in mode %v ran %d events; want 0", mode, n)
		}
	}
}

func TestServiceRunsHandlersAndCountsThem(t *testing.T) {
	var calls tally
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(&calls)})
	c := dialTCP(t, e)
	c.put(t, upgrade("/"), text("a"), text("b"), text("c"), closeFrame(frame.CloseNormal, ""))
	eventually(t, "the connection has an event", func() bool { return e.Counters().QueueDepth == 1 })
	if n := calls.all(); n != 0 {
		t.Fatalf("%d callbacks before Service is called", n)
	}
	ran := 0
	for calls.closes.Load() == 0 {
		ran += receive(t, "Service", serviced(e, patience))
	}
	if calls.opens.Load() != 1 || calls.messages.Load() != 3 || calls.closes.Load() != 1 || int64(ran) != calls.all() {
		t.Errorf("Service ran %d events; callbacks: %d opens, %d messages, %d closes",
			ran, calls.opens.Load(), calls.messages.Load(), calls.closes.Load())
	}
	c.expectStatus(t, 101)
	c.expectClose(t, frame.CloseNormal)
}

func TestServiceWithZeroTimeout(t *testing.T) {
	var calls tally
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(&calls)})
	dialTCP(t, e).put(t, upgrade("/"))
	eventually(t, "an event runs", func() bool { return e.Service(0) > 0 })
	if calls.opens.Load() != 1 {
		t.Errorf("%d opens; want 1", calls.opens.Load())
	}
}

// A waiting Service runs an event as it comes, long before its timeout.
func TestServiceWakesUp(t *testing.T) {
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(handler.Echo{})})
	n := serviced(e, 100*patience)
	dialTCP(t, e).put(t, upgrade("/"))
	if got := receive(t, "Service", n); got != 1 {
		t.Errorf("Service ran %d events; want 1", got)
	}
}

// Service ends at its timeout though there is always more to do.
func TestServiceUnderLoad(t *testing.T) {
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(&tally{})})
	c := dialTCP(t, e)
	c.put(t, upgrade("/"))
	written := flood(c, 1<<30, func(int) []byte { return text("more") })
	for total := 0; total < 10_000; {
		total += receive(t, "Service", serviced(e, time.Millisecond))
	}
	_ = c.Close()
	if err := receive(t, "the writer", written); err == nil {
		t.Error("the writer came to its end")
	}
}

// Connections run at the same time when several goroutines call Service.
func TestServiceFromSeveralGoroutines(t *testing.T) {
	const callers = 3
	inside, gate := make(chan struct{}), make(chan struct{})
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(handler.Funcs{
		Open: func(handler.Conn, *handler.Request) error {
			inside <- struct{}{}
			<-gate
			return nil
		},
	})})
	var results []<-chan int
	for range callers {
		results = append(results, serviced(e, 100*patience))
		dialTCP(t, e).put(t, upgrade("/"))
	}
	for range callers {
		receive(t, "a handler in each caller", inside)
	}
	close(gate)
	for _, n := range results {
		if got := receive(t, "Service", n); got < 1 {
			t.Errorf("Service ran %d events; want at least 1", got)
		}
	}
}

// After Close what is left is run, and then nothing is waited for.
func TestServiceAfterClose(t *testing.T) {
	var calls tally
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(&calls)})
	waiting := serviced(e, 0)
	c := dialTCP(t, e)
	c.put(t, upgrade("/"))
	receive(t, "Service", waiting)
	for calls.opens.Load() == 0 {
		receive(t, "Service", serviced(e, patience))
	}
	c.expectStatus(t, 101)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := receive(t, "Service", serviced(e, 100*patience)); n != 1 || calls.closes.Load() != 1 {
		t.Errorf("Service ran %d events, %d closes; want 1", n, calls.closes.Load())
	}
	if n := receive(t, "Service", serviced(e, 100*patience)); n != 0 {
		t.Errorf("Service ran %d events; want 0", n)
	}
}

// Close ends every Service that waits.
func TestCloseEndsService(t *testing.T) {
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(handler.Echo{})})
	var results []<-chan int
	for range 3 {
		results = append(results, serviced(e, 100*patience))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range results {
		receive(t, "Service", n)
	}
}

// Service is bounded though one connection has more waiting than there is time for.
func TestServiceIsBounded(t *testing.T) {
	const messages = 60
	e := startUnserved(t, engine.Options{Mode: engine.Service, Mux: routes(handler.Func(func(handler.Conn, frame.Opcode, []byte) {
		time.Sleep(time.Millisecond) // a slow handler, not the test waiting for something
	}))})
	opened := make(chan struct{})
	go func() { // ends when the connection is open
		defer close(opened)
		for e.Counters().Opened == 0 {
			e.Service(time.Millisecond)
		}
	}()
	c := dialRaw(t, e, "/")
	receive(t, "OnOpen", opened)
	for range messages {
		c.put(t, text("x"))
	}
	eventually(t, "all have arrived", func() bool { return e.Counters().MessagesIn == messages })
	for ran := 0; ran < messages; {
		n := e.Service(time.Microsecond)
		if n > 1 {
			t.Fatalf("Service ran %d handlers, the first of which took longer than its timeout", n)
		}
		ran += n
	}
}
