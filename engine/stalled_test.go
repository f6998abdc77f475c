package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A ledger is a subscriber that notes what each of its connections has missed, and why
// it was closed.
type ledger struct {
	handler.Handler
	mu     sync.Mutex
	missed map[uint64]int
	ended  map[uint64]error
}

func newLedger() *ledger {
	return &ledger{Handler: subscriber(), missed: make(map[uint64]int), ended: make(map[uint64]error)}
}

func (l *ledger) OnMissed(c handler.Conn, _ string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed[c.ID()] += n
}

func (l *ledger) OnClose(c handler.Conn, s handler.CloseStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[c.ID()] = s.Err
}

// entry is what a connection has missed, and how it has ended if it has.
func (l *ledger) entry(id uint64) (missed int, err error, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err, ended = l.ended[id]
	return l.missed[id], err, ended
}

// total is what all connections have missed.
func (l *ledger) total() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, missed := range l.missed {
		n += missed
	}
	return n
}

// One reader in ten never reads during a steady feed. The others get everything, and
// those that stall what their policy says: the accounts agree to the message, and never waits
// more than the bound.
func TestOneReaderInTenStalls(t *testing.T) {
	const soft, hard = 32 * bulk, 64 * bulk
	for policy, most := range map[handler.SlowPolicy]int{
		handler.Disconnect: hard, handler.DropNewest: soft, handler.DropOldest: soft, handler.Conflate: soft,
	} {
		t.Run(policy.String(), func(t *testing.T) {
			book := newLedger()
			e := startFeed(t, engine.Options{
				SlowPolicy: policy, OutboxSoftBytes: soft, OutboxHardBytes: hard, Mux: routes(book),
				DrainTime: 80 * time.Millisecond, // an eighth of it is a tick, when what waits is counted
			})
			f := dialTenths(t, e)
			f.publish(t, e, len(f.stalled)*most+(len(f.stalled)+f.reading)*f.window*bulk) // the window may be in writes that sockets took in part
			if policy == handler.Disconnect {
				eventually(t, "those that stall are closed", func() bool { return e.Hub().Count("") == f.reading })
			}
			total := 0
			for i, client := range f.stalled {
				if policy == handler.Disconnect {
					expectSlowEnd(t, book, client, f.conns[i])
					continue
				}
				total += settleAccount(t, book, client, f.conns[i], f.published)
			}
			counted := 0
			for m, n := range e.Counters().Missed {
				if m.Policy != policy || m.Topic != "feed" {
					t.Errorf("%d counted as %+v", n, m)
				}
				counted += int(n)
			}
			if told := book.total(); counted != total || told != total {
				t.Errorf("%d counted as missed, and the handler told of %d; want %d, all of those that stall", counted, told, total)
			}
		})
	}
}

// A tenths is the readers of a feed, of whom one in ten stalls.
type tenths struct {
	published, window int            // messages, and how many of them may be under way
	reading           int            // clients
	got               chan struct{}  // one for each message that one of them has got
	done              sync.WaitGroup // they are
	stalled           []*rawClient
	conns             []handler.Conn // of the stalled
}

// dialTenths opens the connections, and reads from nine in ten.
func dialTenths(t *testing.T, e *engine.Engine) *tenths {
	t.Helper()
	const readers = 40
	f := &tenths{published: overKernel / bulk, window: 8}
	f.got = make(chan struct{}, f.window*readers)
	for i := range readers {
		client, conn := dialSubscriber(t, e, "feed")
		if i%10 == 0 {
			f.stalled, f.conns = append(f.stalled, client), append(f.conns, conn)
			continue
		}
		f.reading++
		f.done.Go(func() {
			for i := range f.published {
				if n, more := client.nextNews(t); !more || n != i {
					t.Errorf("a client that reads got message %d, %t; want %d", n, more, i)
				}
				f.got <- struct{}{}
			}
		})
	}
	return f
}

// publish publishes the feed, as fast as those that read get it. Never must more wait for all
// connections than so many bytes.
func (f *tenths) publish(t *testing.T, e *engine.Engine, most int) {
	t.Helper()
	waited := int64(0)
	for i := range f.published + f.window {
		if i >= f.window { // all readers have had message i-window
			for range f.reading {
				receive(t, "the readers", f.got)
			}
		}
		if i < f.published {
			publishKey(t, e, i, fmt.Sprint(i%5))
		}
		waited = max(waited, e.Counters().QueuedBytes)
	}
	f.done.Wait()
	eventually(t, "something waits", func() bool {
		now := e.Counters().QueuedBytes
		waited = max(waited, now)
		return now > 0
	})
	if waited > int64(most) {
		t.Errorf("%d bytes waited for those that stall; want at most %d", waited, most)
	}
}

// expectSlowEnd reads what a client that stalled was sent before it was closed: the first
// messages, without a gap, and a close frame with 1008.
func expectSlowEnd(t *testing.T, book *ledger, client *rawClient, conn handler.Conn) {
	t.Helper()
	for i := 0; ; i++ {
		_, p, err := client.readMessage()
		var closed peerClosed
		if errors.As(err, &closed) && closed.code == frame.ClosePolicyViolation {
			break
		}
		n := -1
		if err == nil {
			_, err = fmt.Sscan(string(p[:min(len(p), 64)]), &n)
		}
		if err != nil || n != i {
			t.Fatalf("got message %d, error %v; want %d, or a close frame with 1008", n, err, i)
		}
	}
	_ = client.Close()
	eventually(t, "OnClose", func() bool { _, _, ended := book.entry(conn.ID()); return ended })
	if missed, err, _ := book.entry(conn.ID()); missed != 0 || !errors.Is(err, handler.ErrSlowConsumer) {
		t.Errorf("a client that stalled has missed %d and ended with %v; want 0, ErrSlowConsumer", missed, err)
	}
}

// settleAccount closes a connection, reads what waits for it, and checks that this and
// what was missed is all that was published. It returns what was missed.
func settleAccount(t *testing.T, book *ledger, client *rawClient, conn handler.Conn, published int) int {
	t.Helper()
	if err := conn.Close(frame.CloseNormal, ""); err != nil {
		t.Errorf("a stalled client was closed: %v", err)
		return 0
	}
	got := client.readAll(t)
	client.put(t, closeFrame(frame.CloseNormal, ""))
	eventually(t, "OnClose", func() bool { _, _, ended := book.entry(conn.ID()); return ended })
	missed, _, _ := book.entry(conn.ID())
	if missed == 0 || len(got)+missed != published {
		t.Errorf("got %d messages and missed %d of %d", len(got), missed, published)
	}
	return missed
}

// Readers of one feed that stall cost references to its messages, not copies of them.
func TestMemoryOfStalledReaders(t *testing.T) {
	const (
		readers = 5000
		size    = 1 << 10 // of a message
		backlog = 512     // messages that wait for a reader
		stall   = 128     // messages more: the kernel takes less
		keys    = backlog / 2
		slot    = 2 * 16   // bytes for each that waits: a reference, and what slices and maps have to spare
		other   = 1 << 10  // bytes more for a reader
		shared  = 16 << 20 // the messages, once, and what else goes on
	)
	needDescriptors(t, readers)
	for _, policy := range []handler.SlowPolicy{handler.Disconnect, handler.DropNewest, handler.DropOldest, handler.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			mux := routes(handler.Funcs{Open: func(c handler.Conn, _ *handler.Request) error { return c.Subscribe("feed") }})
			mux.Handle("/watch", subscriber())
			e := startEngine(t, engine.Options{
				Loops: 1, SlowPolicy: policy, SlowTimeout: -1, PongTimeout: -1, Mux: mux,
				OutboxSoftBytes: backlog * size, OutboxHardBytes: 2 * backlog * size,
			})
			clients := startProcess(t, "stalled clients")
			for range readers / 1000 {
				clients.ask(t, "connect 1000 %s", e.Addr())
			}
			watch, _ := dialHub(t, e, "/watch?topic=done", 1)
			before := liveHeap()
			for i := range stall + backlog {
				if _, err := e.Hub().Publish("feed", frame.Binary, make([]byte, size), handler.PublishOptions{Key: fmt.Sprint(i % keys)}); err != nil {
					t.Fatal(err)
				}
			}
			publish(t, e, "done", "done", nil)
			watch[0].expectText(t, "done") // and so all of the feed has been handed out
			heap := liveHeap() - before
			if most := int64(readers*(backlog*slot+other) + shared); heap > most {
				t.Errorf("%d bytes of heap; want at most %d", heap, most)
			}
			eventually(t, "what waits is counted", func() bool { return e.Counters().QueuedBytes >= readers*keys*size/2 })
			t.Logf("%d bytes of heap for a reader that stalls, %d messages of %d bytes behind", heap/readers, backlog, size)
			if n := e.Counters().Connections; n != readers+1 {
				t.Errorf("%d connections are left; want %d", n, readers+1)
			}
		})
	}
}
