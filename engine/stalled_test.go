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

// One reader in ten never reads during a steady feed. The others get everything, and
// those that stall what their policy says: the accounts agree to the message.
func TestOneReaderInTenStalls(t *testing.T) {
	const readers, published, window = 40, 256, 8
	for _, policy := range []handler.SlowPolicy{handler.Disconnect, handler.DropNewest, handler.DropOldest, handler.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			book := newLedger()
			e := startFeed(t, engine.Options{
				SlowPolicy: policy, OutboxSoftBytes: 32 * bulk, OutboxHardBytes: 64 * bulk,
				CloseTimeout: 50 * time.Millisecond, Mux: routes(book),
			})
			var stalled []*rawClient
			var slow []handler.Conn
			var reading sync.WaitGroup
			got := make(chan int, window*readers) // one for each message that a reader has got
			for i := range readers {
				client, conn := dialSubscriber(t, e, "feed")
				if i%10 == 0 {
					stalled, slow = append(stalled, client), append(slow, conn)
					continue
				}
				reading.Go(func() {
					for i := range published {
						if n, more := client.nextNews(t); !more || n != i {
							t.Errorf("a client that reads got message %d, %t; want %d", n, more, i)
						}
						got <- i
					}
				})
			}
			active := readers - len(stalled)
			for i := range published + window {
				if i >= window { // all readers have had message i-window
					for range active {
						receive(t, "the readers", got)
					}
				}
				if i < published {
					publishKey(t, e, i, fmt.Sprint(i%5))
				}
			}
			reading.Wait()
			total := 0
			for i, client := range stalled {
				if policy == handler.Disconnect {
					expectSlowEnd(t, book, slow[i].ID())
					continue
				}
				total += settleAccount(t, book, client, slow[i], published)
			}
			counted := uint64(0)
			for m, n := range e.Counters().Missed {
				if m.Policy != policy || m.Topic != "feed" {
					t.Errorf("%d counted as %+v", n, m)
				}
				counted += n
			}
			if int(counted) != total {
				t.Errorf("%d counted as missed; the handler was told of %d", counted, total)
			}
		})
	}
}

// expectSlowEnd waits until a connection has been closed because its peer is slow.
func expectSlowEnd(t *testing.T, book *ledger, id uint64) {
	t.Helper()
	eventually(t, "a stalled client is closed", func() bool { _, _, ended := book.entry(id); return ended })
	if missed, err, _ := book.entry(id); missed != 0 || !errors.Is(err, handler.ErrSlowConsumer) {
		t.Errorf("a stalled client has missed %d and ended with %v; want 0, ErrSlowConsumer", missed, err)
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
