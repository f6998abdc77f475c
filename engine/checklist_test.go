package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// The tests that are called TestRow are the checks of the feature checklist of the
// systems that Weir takes over from, under their numbers there: those that are about
// the engine alone. Other rows are in the sub-packages of handler. Most have a larger test
// elsewhere in this package; here each is what the row says.

// rowCase runs the steps of a conformance case as the check of a row.
func rowCase(t *testing.T, e *engine.Engine, name string, c conformanceCase) {
	t.Run(name, func(t *testing.T) { c.run(t, e, 0) })
}

func TestRow68Reassembly(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		echoes("", send(
			fragment(frame.Text, "a"), whole(frame.Ping, "in between"), fragment(frame.Continuation, "b"), whole(frame.Continuation, "c"),
		).hear(serverFrame{frame.Pong, "in between"}, serverFrame{frame.Text, "abc"})).run(t, e, 0)
	})
}

func TestRow69ProtocolErrors(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		for name, wrong := range map[string]caseStep{
			"unmasked":           {send: ws.MustCompileFrame(ws.NewTextFrame([]byte("bare")))},
			"reserved bit":       send(reserved(1, frame.Text, "x")),
			"opcode 3":           send(whole(3, "x")),
			"stray continuation": send(whole(frame.Continuation, "x")),
			"ping of 126 bytes":  send(whole(frame.Ping, strings.Repeat("p", 126))),
			"fragmented ping":    send(fragment(frame.Ping, "p")),
		} {
			rowCase(t, e, name, ends("", frame.CloseProtocolError, wrong))
		}
	})
}

func TestRow70UTF8(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		rowCase(t, e, "not UTF-8", ends("", frame.CloseInvalidPayload, send(whole(frame.Text, "\xff\xfe"))))
		rowCase(t, e, "split code point", echoes("",
			send(fragment(frame.Text, "h\xc3"), whole(frame.Continuation, "\xa9llo")).hear(serverFrame{frame.Text, "héllo"})))
	})
}

func TestRow72SizeLimit(t *testing.T) {
	const limit = 1000
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, MaxMessageBytes: limit, Mux: routes(handler.Echo{})})
		fits := strings.Repeat("x", limit)
		rowCase(t, e, "limit", echoes("", send(whole(frame.Text, fits)).hear(serverFrame{frame.Text, fits})))
		rowCase(t, e, "limit in fragments", echoes("", send(fragments(frame.Text, fits, 99)...).hear(serverFrame{frame.Text, fits})))
		rowCase(t, e, "one more", ends("", frame.CloseMessageTooBig, send(whole(frame.Text, fits+"x"))))
		rowCase(t, e, "one more in fragments", ends("", frame.CloseMessageTooBig, send(fragments(frame.Text, fits+"x", 100)...)))
	})
}

func TestRow73ClosePayload(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		rowCase(t, e, "one byte", ends("", frame.CloseProtocolError, send(whole(frame.Close, "\x03"))))
		rowCase(t, e, "1005", ends("", frame.CloseProtocolError, send(closing(frame.CloseNoStatus, ""))))
		rowCase(t, e, "1006", ends("", frame.CloseProtocolError, send(closing(frame.CloseAbnormal, ""))))
		rowCase(t, e, "3000", ends("", 3000, send(closing(3000, "fine"))))
	})
}

func TestRow74Ping(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		for _, payload := range []string{"", "payload", strings.Repeat("p", 125)} {
			echoes("", send(whole(frame.Ping, payload)).hear(serverFrame{frame.Pong, payload})).run(t, e, 0)
		}
	})
}

func TestRow75KeepAlive(t *testing.T) {
	patient := startEngine(t, engine.Options{PingInterval: 20 * time.Millisecond, PongTimeout: 2 * patience, Mux: routes(handler.Echo{})})
	alive := dialRaw(t, patient, "/")
	for range 3 {
		alive.expectPing(t, true)
	}
	h, closed := closings()
	strict := startEngine(t, engine.Options{PingInterval: 20 * time.Millisecond, PongTimeout: 40 * time.Millisecond, Mux: routes(h)})
	dead := dialRaw(t, strict, "/")
	dead.expectPing(t, false)
	dead.expectEnd(t)
	if s := receive(t, "OnClose", closed); s.Code != frame.CloseAbnormal || !errors.Is(s.Err, handler.ErrPongTimeout) {
		t.Errorf("OnClose got %+v; want 1006 and ErrPongTimeout", s)
	}
}

func TestRow76HandshakeLimits(t *testing.T) {
	e := startEngine(t, engine.Options{HeaderTimeout: 50 * time.Millisecond, Mux: routes(handler.Echo{})})
	half := dialTCP(t, e)
	half.put(t, upgrade("/")[:40])
	half.expectStatus(t, http.StatusRequestTimeout)
	half.expectEnd(t)
	large := dialTCP(t, e)
	large.put(t, upgrade("/", "X-Large: "+strings.Repeat("x", 64<<10)))
	large.expectStatus(t, http.StatusRequestHeaderFieldsTooLarge)
	large.expectEnd(t)
}

// Broadcasts go on while one client does not read: it is dropped with 1008, and the
// others get all of them.
func TestRow77SlowConsumer(t *testing.T) {
	const others, size, hard = 10, 64 << 10, 1 << 20
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		h, closed := closings()
		e := startEngine(t, engine.Options{
			Mode: mode, OutboxSoftBytes: hard / 4, OutboxHardBytes: hard, CloseTimeout: 100 * time.Millisecond, Mux: routes(h),
		})
		stalled := dialRaw(t, e, "/")
		fixReceiveBuffer(t, stalled)
		var readers [others]*rawClient
		for i := range readers {
			readers[i] = dialRaw(t, e, "/")
		}
		eventually(t, "all connections", func() bool { return e.Hub().Count("/") == others+1 })
		before, message := liveHeap(), make([]byte, size)
		for sent := 0; e.Counters().Drops["slow consumer"] == 0; sent += size {
			if sent > 256<<20 {
				t.Fatalf("%d bytes sent, and the stalled client is still there", sent)
			}
			e.Hub().Broadcast(frame.Binary, message, handler.Audience{})
			for _, r := range readers {
				if _, p, err := r.readMessage(); err != nil || len(p) != size {
					t.Fatalf("a client that reads got %d bytes, error %v", len(p), err)
				}
			}
		}
		if grown := liveHeap() - before; grown > 4*hard {
			t.Errorf("%d bytes of heap for a client that does not read", grown)
		}
		if s := receive(t, "OnClose", closed); !errors.Is(s.Err, handler.ErrSlowConsumer) {
			t.Errorf("OnClose got %+v; want ErrSlowConsumer", s)
		}
	})
}

func TestRow78SlowHandler(t *testing.T) {
	release, inside := make(chan struct{}), make(chan struct{})
	mux := routes(handler.Echo{})
	mux.Handle("/slow", handler.Func(func(c handler.Conn, op frame.Opcode, p []byte) {
		close(inside)
		<-release
		_ = c.Send(op, p)
	}))
	e := startEngine(t, engine.Options{Mux: mux})
	slow := dialRaw(t, e, "/slow")
	slow.put(t, text("slow"))
	receive(t, "the slow handler", inside)
	for range 100 {
		c := dialRaw(t, e, "/")
		c.put(t, text("quick"))
		c.expectText(t, "quick")
	}
	close(release)
	slow.expectText(t, "slow")
}

func TestRow80Churn(t *testing.T) {
	const connects, atOnce, slack = 10_000, 20, 4 << 20
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	for range atOnce { // what is made once is there now
		if err := connectAndLeave(e, 0); err != nil {
			t.Fatal(err)
		}
	}
	idle := func() bool { return e.Counters().Sockets == 0 }
	eventually(t, "no sockets", idle)
	heap, goroutines, descriptors := liveHeap(), runtime.NumGoroutine(), len(openDescriptors())

	var clients sync.WaitGroup
	errs := make(chan error, atOnce)
	for range atOnce {
		clients.Go(func() {
			var err error
			for i := 0; i < connects/atOnce && err == nil; i++ {
				err = connectAndLeave(e, i)
			}
			errs <- err
		})
	}
	clients.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	eventually(t, "no sockets", idle)
	eventually(t, "goroutines and descriptors as before", func() bool {
		// Workers stay for the next burst.
		return runtime.NumGoroutine() <= goroutines+e.Options().Workers && len(openDescriptors()) <= descriptors
	})
	if grown := liveHeap() - heap; grown > slack {
		t.Errorf("the heap is %d bytes larger after %d connections", grown, connects)
	}
}

// connectAndLeave opens a connection, has a message echoed, and ends it: with a close
// handshake, or every second time without.
func connectAndLeave(e *engine.Engine, i int) error {
	conn, err := net.Dial("tcp", e.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0) // so many connections in TIME_WAIT would use up the ports
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	end, want := []byte(nil), append([]byte(nil), "\x81\x05churn"...)
	if i%2 == 0 {
		end, want = closeFrame(frame.CloseNormal, ""), append(want, "\x88\x02\x03\xe8"...)
	}
	if _, err := conn.Write(bytes.Join([][]byte{upgrade("/"), text("churn"), end}, nil)); err != nil {
		return err
	}
	var got []byte
	for buf := make([]byte, 512); !bytes.HasSuffix(got, want); {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("got %q, then %w", got, err)
		}
		got = append(got, buf[:n]...)
	}
	return nil
}
