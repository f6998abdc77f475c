package engine_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	bulk       = 16 << 10 // bytes of a message of a feed
	overKernel = 4 << 20  // more than the kernel holds of what is sent to a stalled client of startFeed
)

// news is message i of a feed, about key.
func news(i int, key string) []byte {
	head := fmt.Sprint(i, " ", key, " ")
	return append([]byte(head), make([]byte, bulk-len(head))...)
}

// nextNews reads the next message of a feed and returns its number. Any other end
// than an ordinary close frame is an error. Any goroutine may call it.
func (c *rawClient) nextNews(t testing.TB) (i int, more bool) {
	_, p, err := c.readMessage()
	var closed peerClosed
	if errors.As(err, &closed) && closed.code == frame.CloseNormal {
		return 0, false
	}
	if err == nil {
		_, err = fmt.Sscan(string(p[:min(len(p), 64)]), &i)
	}
	if err != nil || len(p) != bulk {
		t.Errorf("message of %d bytes: %v", len(p), err)
		return 0, false
	}
	return i, true
}

// expectNews reads the next message of a feed, which must be number i.
func (c *rawClient) expectNews(t testing.TB, i int) {
	t.Helper()
	if n, more := c.nextNews(t); !more || n != i {
		t.Fatalf("got message %d, %t; want %d", n, more, i)
	}
}

// readFeed reads messages of a feed up to the close frame: so many at a time as it is
// told through reads, and the rest when that is closed.
func (c *rawClient) readFeed(t testing.TB, reads <-chan int) (all []int) {
	t.Helper()
	n, told := 0, true
	for {
		for ; told && n == 0; n, told = <-reads {
		}
		i, more := c.nextNews(t)
		if !more {
			return all
		}
		all = append(all, i)
		n--
	}
}

// readAll is readFeed without a pause.
func (c *rawClient) readAll(t testing.TB) []int {
	now := make(chan int)
	close(now)
	return c.readFeed(t, now)
}

// publishKey publishes message i of the feed.
func publishKey(t testing.TB, e *engine.Engine, i int, key string) {
	t.Helper()
	if _, err := e.Hub().Publish("feed", frame.Binary, news(i, key), handler.PublishOptions{Key: key}); err != nil {
		t.Fatal(err)
	}
}

// startFeed starts an engine with one loop and subscribers, on a unix socket: there the
// kernel holds little.
func startFeed(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	o.Network, o.Address, o.Loops = "unix", filepath.Join(t.TempDir(), "s"), 1
	if o.Mux == nil {
		o.Mux = routes(subscriber())
	}
	return startEngine(t, o)
}

// A client that stalls and goes on reading gets what its policy says, in order, and
// stays connected.
func TestSlowPolicies(t *testing.T) {
	const published, keys, soft = overKernel / bulk, 7, 16 * bulk
	tests := []struct {
		policy handler.SlowPolicy
		check  func(t *testing.T, got []int)
	}{
		{handler.DropNewest, func(t *testing.T, got []int) {
			for i, n := range got {
				if n != i {
					t.Fatalf("message %d at place %d; want the first ones without a gap", n, i)
				}
			}
			if len(got) == published {
				t.Error("nothing was dropped")
			}
		}},
		{handler.DropOldest, func(t *testing.T, got []int) {
			gaps := 0
			for i := 1; i < len(got); i++ {
				if got[i] != got[i-1]+1 {
					gaps++
				}
			}
			if gaps != 1 || got[len(got)-1] != published-1 {
				t.Errorf("%d gaps, the last is %d; want 1, %d", gaps, got[len(got)-1], published-1)
			}
		}},
		{handler.Conflate, func(t *testing.T, got []int) {
			tail := got[len(got)-keys:]
			seen := make(map[int]bool)
			for _, n := range tail {
				seen[n%keys] = true
				if n < published-keys {
					t.Errorf("%d is not the newest of its key", n)
				}
			}
			if len(seen) != keys || len(got) > published/2 {
				t.Errorf("%d keys at the end, %d messages in all; want %d, and most conflated", len(seen), len(got), keys)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.policy.String(), func(t *testing.T) {
			e := startFeed(t, engine.Options{SlowPolicy: tt.policy, OutboxSoftBytes: soft})
			stalled, conn := dialSubscriber(t, e, "feed")
			keepsUp, _ := dialSubscriber(t, e, "feed")
			for i := range published {
				publishKey(t, e, i, fmt.Sprint(i%keys))
				keepsUp.expectNews(t, i)
			}
			if err := conn.Close(frame.CloseNormal, ""); err != nil { // goes behind what waits
				t.Fatal(err)
			}
			tt.check(t, stalled.readAll(t))
		})
	}
}

// Publishing, stalling, reading and connecting again in any order, with TLS and without: at its
// end a connection that conflates has the newest value of every key, none older after a newer
// one, and no message twice; what all have got and what is counted as missed are all that
// was published.
func TestConflation(t *testing.T) {
	ca := newAuthority(t)
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 6))
			keys, soft := 1+r.IntN(30), 1+r.IntN(20*bulk)
			o := engine.Options{SlowPolicy: handler.Conflate, OutboxSoftBytes: soft}
			dial := dialSubscriber
			if seed%3 == 2 {
				o.TLS = withCertificate(ca.issue(t, "server"))
				dial = func(t *testing.T, e *engine.Engine, topics ...string) (*rawClient, handler.Conn) {
					return dialSecureSubscriber(t, e, ca, topics[0])
				}
			}
			e := startFeed(t, o)
			f := &conflation{engine: e, random: r, keys: keys}
			var other handler.Conn
			f.all, other = dial(t, e, "feed")
			f.done, _ = dial(t, e, "done")
			if err := other.SetSlowPolicy(handler.Disconnect); err != nil {
				t.Fatal(err)
			}
			got := 0
			for range 1 + r.IntN(3) {
				c, conn := dial(t, e, "feed")
				got += f.connection(t, c, conn)
			}
			missed := int(e.Counters().Missed[engine.Missed{Policy: handler.Conflate, Topic: "feed"}])
			if got+missed != len(f.keyOf) {
				t.Errorf("%d messages were got and %d missed; want %d together", got, missed, len(f.keyOf))
			}
		})
	}
}

// A conflation is a schedule of TestConflation.
type conflation struct {
	engine *engine.Engine
	random *rand.Rand
	keys   int
	keyOf  []int      // by number of the message
	all    *rawClient // gets everything
	done   *rawClient // tells when the loop is done with a publication
}

// connection is the life of one connection that conflates. It returns how many messages that
// got.
func (f *conflation) connection(t *testing.T, c *rawClient, conn handler.Conn) int {
	t.Helper()
	begin := len(f.keyOf)
	reads, all := make(chan int, 1000), make(chan []int, 1)
	go func() { all <- c.readFeed(t, reads) }() // ends with the close frame
	for range 15 {
		for range f.random.IntN(60) {
			i, key := len(f.keyOf), f.random.IntN(f.keys)
			publishKey(t, f.engine, i, fmt.Sprint(key))
			f.keyOf = append(f.keyOf, key)
			f.all.expectNews(t, i)
		}
		reads <- f.random.IntN(40)
	}
	publishTo(t, f.engine, "done", 0)
	f.done.expectNews(t, 0) // a close frame may overtake what the loop has not come to
	if err := conn.Close(frame.CloseNormal, ""); err != nil {
		t.Fatal(err)
	}
	close(reads)
	got := receive(t, "the client", all)
	c.put(t, closeFrame(frame.CloseNormal, ""))
	for i := range got {
		if got[i] -= begin; got[i] < 0 {
			t.Fatalf("got message %d, which is from before it was connected", got[i]+begin)
		}
	}
	checkConflated(t, f.keyOf[begin:], got)
	return len(got)
}

// checkConflated checks what has arrived of messages whose keys are keyOf.
func checkConflated(t *testing.T, keyOf, got []int) {
	t.Helper()
	newest, last := make(map[int]int), make(map[int]int)
	for i, key := range keyOf {
		newest[key] = i
	}
	for _, i := range got {
		key := keyOf[i]
		if before, ok := last[key]; ok && before >= i {
			t.Fatalf("key %d: message %d after %d", key, i, before)
		}
		last[key] = i
	}
	if !maps.Equal(last, newest) {
		t.Errorf("the state at the end is %v; want %v", last, newest)
	}
}

// The policy is the connection's own, or else the topic's, or else the route's, or else the
// engine's.
func TestWhoseSlowPolicy(t *testing.T) {
	const drops, closes = handler.DropNewest, handler.Disconnect
	tests := []struct {
		name                      string
		engine, route, topic, own handler.SlowPolicy
		isClosed                  bool
	}{
		{"none", 0, 0, 0, 0, true},
		{"engine", drops, 0, 0, 0, false},
		{"route", closes, drops, 0, 0, false},
		{"route that drops nothing", drops, closes, 0, 0, true},
		{"topic", closes, closes, drops, 0, false},
		{"topic that drops nothing", drops, drops, closes, 0, true},
		{"own", closes, closes, closes, drops, false},
		{"own that drops nothing", drops, drops, drops, closes, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mux := handler.NewMux()
			if err := mux.Add(handler.Route{Path: "/", Handler: subscriber(), SlowPolicy: tt.route}); err != nil {
				t.Fatal(err)
			}
			e := startFeed(t, engine.Options{
				Mux: mux, SlowPolicy: tt.engine, Topics: []engine.TopicOptions{{Pattern: "feed", SlowPolicy: tt.topic}},
				OutboxSoftBytes: 4 * bulk, OutboxHardBytes: 8 * bulk,
			})
			client, conn := dialSubscriber(t, e, "feed")
			for _, p := range []handler.SlowPolicy{handler.Conflate, tt.own} { // 0 takes the first one back
				if err := conn.SetSlowPolicy(p); err != nil {
					t.Fatal(err)
				}
			}
			for i := range overKernel / bulk {
				publishKey(t, e, i, fmt.Sprint(i))
			}
			if !tt.isClosed {
				if err := conn.Close(frame.CloseNormal, ""); err != nil {
					t.Fatal(err)
				}
				client.readAll(t)
				return
			}
			eventually(t, "the slow client is closed", func() bool { return e.Hub().Count("") == 0 })
			client.expectSlowClose(t)
		})
	}
	e := startFeed(t, engine.Options{})
	_, conn := dialSubscriber(t, e)
	if err := conn.SetSlowPolicy(handler.Conflate + 1); !errors.Is(err, handler.ErrSlowPolicy) {
		t.Errorf("SetSlowPolicy with a policy that there is not: %v; want ErrSlowPolicy", err)
	}
}

// The newest values of so many keys are more than the hard mark allows: they are not
// dropped, and the client is closed.
func TestConflationOfTooManyKeys(t *testing.T) {
	e := startFeed(t, engine.Options{SlowPolicy: handler.Conflate, OutboxSoftBytes: 4 * bulk, OutboxHardBytes: 64 * bulk})
	client, _ := dialSubscriber(t, e, "feed")
	for i := range overKernel / bulk {
		publishKey(t, e, i, fmt.Sprint(i))
	}
	eventually(t, "the client is closed", func() bool { return e.Hub().Count("") == 0 })
	for i := 0; ; i++ {
		_, p, err := client.readMessage()
		var closed peerClosed
		if errors.As(err, &closed) && closed.code == frame.ClosePolicyViolation {
			break
		}
		var n int
		if _, scanErr := fmt.Sscan(string(p[:min(len(p), 64)]), &n); err != nil || scanErr != nil || n != i {
			t.Fatalf("got message %d, errors %v, %v; want %d, or a close frame with 1008", n, err, scanErr, i)
		}
	}
}

// What waits when the policy becomes Disconnect is not dropped any more.
func TestSlowPolicyChanges(t *testing.T) {
	const published = overKernel / bulk
	e := startFeed(t, engine.Options{SlowPolicy: handler.DropNewest, OutboxSoftBytes: 16 * bulk})
	client, conn := dialSubscriber(t, e, "feed")
	for i := range published {
		publishKey(t, e, i, "")
	}
	all, _ := dialSubscriber(t, e, "feed") // the loop is done with all of these
	if err := conn.SetSlowPolicy(handler.Disconnect); err != nil {
		t.Fatal(err)
	}
	for i := published; i < published+8; i++ {
		publishKey(t, e, i, "")
		all.expectNews(t, i)
	}
	if err := conn.Close(frame.CloseNormal, ""); err != nil {
		t.Fatal(err)
	}
	got := client.readAll(t)
	kept := len(got) - 8
	for i, n := range got {
		if i < kept && n != i || i >= kept && n != published+i-kept {
			t.Fatalf("message %d at place %d of %d", n, i, len(got))
		}
	}
	if kept < 16 || kept == published {
		t.Errorf("%d of the messages before the change were kept; want some", kept)
	}
}

// dialSecureSubscriber is dialSubscriber with TLS.
func dialSecureSubscriber(t *testing.T, e *engine.Engine, ca *authority, topics ...string) (*rawClient, handler.Conn) {
	t.Helper()
	client := dialSecure(t, e, ca.client(), "/?"+url.Values{"topic": topics}.Encode())
	conn, ok := e.Hub().Conn(client.readID(t))
	if !ok {
		t.Fatal("the hub does not know an open connection")
	}
	return client, conn
}
