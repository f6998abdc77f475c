package feed_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/feed"
)

func TestSubscribeByPath(t *testing.T) {
	s := start(t, feed.Options{}, engine.Options{})
	early := s.dial(t, "/feed/orders.eu")
	early.expect(`{"type":"subscribed","topic":"orders.eu","offset":0}`)
	s.publish(t, "orders.eu", `{"id":1}`, `{"id":2}`, `{"id":3}`)
	s.publish(t, "orders.us", `"elsewhere"`)
	early.expect(
		`{"type":"message","topic":"orders.eu","offset":1,"data":{"id":1}}`,
		`{"type":"message","topic":"orders.eu","offset":2,"data":{"id":2}}`,
		`{"type":"message","topic":"orders.eu","offset":3,"data":{"id":3}}`)

	late := s.dial(t, "/feed/orders.eu/")
	late.expect(`{"type":"subscribed","topic":"orders.eu","offset":3}`, `{"type":"message","topic":"orders.eu","offset":3,"data":{"id":3}}`)
	epoch := s.epochOf(t, "orders.eu")
	for since, first := range map[string]int{"since=0": 1, "since=1&epoch=" + epoch: 2, "since=3&epoch=" + epoch: 4} {
		c := s.dial(t, "/feed/orders.eu?"+since)
		c.expect(`{"type":"subscribed","topic":"orders.eu","offset":3,"epoch":"` + epoch + `"}`)
		for offset := first; offset <= 3; offset++ {
			c.expect(fmt.Sprintf(`{"type":"message","topic":"orders.eu","offset":%d,"data":{"id":%d}}`, offset, offset))
		}
		c.send(`{"op":"ping"}`)
		c.expect(`{"type":"pong"}`)
	}
}

func TestRefusedPaths(t *testing.T) {
	s := start(t, feed.Options{MaxTopics: 1}, engine.Options{})
	s.publish(t, "a", "1")
	epoch := s.epochOf(t, "a")
	for path, want := range map[string]int{
		"/other": 404, "/feeds": 404, "/": 404, "/feed//": 404, "/feed/a/b": 400, "/feed/a..b": 400, "/feed/*": 400,
		"/feed/" + strings.Repeat("a", 201): 400,
		"/feed/a?since=x":                   400, "/feed/a?since=-1": 400, "/feed/a?since=": 400, "/feed/a?since=1": 400,
		"/feed/a?slow=": 400, "/feed?slow=disconnect": 400, "/feed/a?since=2&epoch=" + epoch: 400, "/feed/b": 503, "/feed/a?token=nobody's": 401,
	} {
		if got := s.refused(t, path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestProtocol(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.Service, engine.OnLoop} {
		t.Run(mode.String(), func(t *testing.T) { testProtocol(t, start(t, withPublishKey(t), engine.Options{Mode: mode})) })
	}
}

func testProtocol(t *testing.T, s *server) {
	c := s.dial(t, "/feed?token="+token(t, may("a b.>", "")))
	steps := []struct {
		name  string
		send  string
		reply string // several in lines
	}{
		{"ping", `{"op":"ping"}`, `{"type":"pong"}`},
		{"info", `{"op":"info"}`, `{"type":"info","subscriptions":[],"subscribe":[">"],"publish":["a","b.>"]}`},
		{"publish", `{"op":"publish","topic":"a","data":{"x":"<é>"}}`, `{"type":"published","topic":"a","offset":1,"count":1}`},
		{"publish null", `{"op":"publish","topic":"a","data":null}`, `{"type":"published","topic":"a","offset":2,"count":1}`},
		{"subscribe", `{"op":"subscribe","topic":"a"}`,
			`{"type":"subscribed","topic":"a","offset":2}` + "\n" + `{"type":"message","topic":"a","offset":2,"data":null}`},
		{"info after that", `{"op":"info"}`, `{"type":"info","subscriptions":["a"],"subscribe":[">"],"publish":["a","b.>"]}`},
		{"subscribe again", `{"op":"subscribe","topic":"a"}`, `{"type":"error","op":"subscribe","topic":"a","code":"subscribed"}`},
		{"presence", `{"op":"presence","topic":"a"}`, `{"type":"presence","topic":"a","subscribers":1}`},
		{"unsubscribe", `{"op":"unsubscribe","topic":"a"}`, `{"type":"unsubscribed","topic":"a"}`},
		{"unsubscribe again", `{"op":"unsubscribe","topic":"a"}`, `{"type":"error","op":"unsubscribe","topic":"a","code":"not-subscribed"}`},
		{"publish meanwhile", `{"op":"publish","topic":"a","data":3}`, `{"type":"published","topic":"a","offset":3,"count":1}`},
		{"resume from the start", `{"op":"resume","topic":"a","offset":0}`, `{"type":"subscribed","topic":"a","offset":3}
			{"type":"message","topic":"a","offset":1,"data":{"x":"<é>"}}
			{"type":"message","topic":"a","offset":2,"data":null}
			{"type":"message","topic":"a","offset":3,"data":3}`},
		{"topic of nobody", `{"op":"presence","topic":"none"}`, `{"type":"presence","topic":"none","subscribers":0}`},
		{"publish elsewhere", `{"op":"publish","topic":"b","data":1}`, `{"type":"error","op":"publish","topic":"b","code":"forbidden"}`},
		{"publish nothing", `{"op":"publish","topic":"a"}`, `{"type":"error","op":"publish","topic":"a","code":"no-data"}`},
		{"publish nowhere", `{"op":"publish","data":1}`, `{"type":"error","op":"publish","code":"bad-topic"}`},
		{"subscribe to a pattern", `{"op":"subscribe","topic":"b.*"}`, `{"type":"error","op":"subscribe","code":"bad-topic"}`},
		{"resume from nowhere", `{"op":"resume","topic":"b"}`, `{"type":"error","op":"resume","topic":"b","code":"bad-offset"}`},
		{"resume without epoch", `{"op":"resume","topic":"b","offset":7}`, `{"type":"error","op":"resume","topic":"b","code":"bad-offset"}`},
		{"resume from the future", `{"op":"resume","topic":"b","offset":7,"epoch":"` + s.epochOf(t, "b") + `"}`, `{"type":"error","op":"resume","topic":"b","code":"bad-offset"}`},
		{"a negative offset", `{"op":"resume","topic":"b","offset":-1}`, `{"type":"error","topic":"b","code":"malformed"}`},
		{"unknown op", `{"op":"shout","topic":"a"}`, `{"type":"error","topic":"a","code":"malformed"}`},
		{"no object", `[1]`, `{"type":"error","code":"malformed"}`},
		{"no JSON", `hello`, `{"type":"error","code":"malformed"}`},
		{"empty", ``, `{"type":"error","code":"malformed"}`},
	}
	for _, step := range steps {
		c.t = named{t, step.name}
		c.send(step.send)
		for reply := range strings.SplitSeq(step.reply, "\n") {
			c.expect(reply)
		}
	}
	if err := c.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseUnsupportedData) {
		t.Errorf("after a binary message: %v", err)
	}
}

// named adds the name of a step to what goes wrong in it.
type named struct {
	testing.TB
	name string
}

func (n named) Fatalf(format string, args ...any) {
	n.Helper()
	n.TB.Fatalf(n.name+": "+format, args...)
}

func TestResumeTellsTheGap(t *testing.T) {
	s := start(t, feed.Options{HistoryCount: 2}, engine.Options{})
	s.publish(t, "a", "1", "2", "3", "4", "5")
	epoch := s.epochOf(t, "a")
	c := s.dial(t, "/feed")
	c.send(`{"op":"resume","topic":"a","epoch":"` + epoch + `","offset":1}`)
	c.expect(`{"type":"subscribed","topic":"a","offset":5}`,
		`{"type":"gap","topic":"a","reason":"history","from":2,"to":3,"epoch":"`+epoch+`"}`,
		`{"type":"message","topic":"a","offset":4,"data":4}`,
		`{"type":"message","topic":"a","offset":5,"data":5}`)
	c = s.dial(t, "/feed/a?since=4711&epoch=another")
	c.expect(`{"type":"subscribed","topic":"a","offset":5}`,
		`{"type":"gap","topic":"a","reason":"epoch","from":1,"to":3,"epoch":"`+epoch+`"}`,
		`{"type":"message","topic":"a","offset":4,"data":4}`,
		`{"type":"message","topic":"a","offset":5,"data":5}`)
	c = s.dial(t, "/feed/b?since=4711&epoch=another")
	c.expect(`{"type":"subscribed","topic":"b","offset":0}`, `{"type":"gap","topic":"b","reason":"epoch"}`)
	s.publish(t, "b", "1")
	c.expect(`{"type":"message","topic":"b","offset":1,"data":1}`)
}

// What has grown old is not sent, though nothing was published since that would have dropped
// it. It was sent, to whoever had unsubscribed before as well.
func TestResumeSendsNothingOld(t *testing.T) {
	const age = 50 * time.Millisecond
	s := start(t, feed.Options{HistoryAge: age}, engine.Options{})
	s.publish(t, "a", "1", "2", "3")
	published := time.Now()
	c := s.dial(t, "/feed")
	c.send(`{"op":"subscribe","topic":"b"}`)
	c.expect(`{"type":"subscribed","topic":"b","offset":0}`)
	c.send(`{"op":"unsubscribe","topic":"b"}`)
	c.expect(`{"type":"unsubscribed","topic":"b"}`)
	eventually(t, "the messages are old", func() bool { return time.Since(published) > age })
	want := []string{
		`{"type":"subscribed","topic":"a","offset":3}`,
		`{"type":"gap","topic":"a","reason":"history","from":1,"to":2}`,
		`{"type":"message","topic":"a","offset":3,"data":3}`,
	}
	s.dial(t, "/feed/a?since=0").expect(want...)
	s.publish(t, "c", "1", "2", "3")
	published = time.Now()
	eventually(t, "the messages are old", func() bool { return time.Since(published) > age })
	c.send(`{"op":"resume","topic":"c","offset":0}`)
	for _, w := range want {
		c.expect(strings.Replace(w, `"a"`, `"c"`, 1))
	}
}

func TestHistoryUnderWayIsBounded(t *testing.T) {
	s := start(t, feed.Options{ReplayBytes: 110}, engine.Options{}) // two messages
	for _, topic := range []string{"a", "b"} {
		s.publish(t, topic, `"1"`, `"2"`, `"3"`)
	}
	a, b := s.epochOf(t, "a"), s.epochOf(t, "b")
	c := s.dial(t, "/feed")
	c.send(`{"op":"resume","topic":"a","offset":0}`)
	c.send(`{"op":"resume","topic":"b","offset":0}`)
	c.expect(`{"type":"message","topic":"a","offset":1,"data":"1"}`,
		`{"type":"message","topic":"a","offset":2,"data":"2"}`,
		`{"type":"more","topic":"a","offset":2,"epoch":"`+a+`"}`,
		`{"type":"more","topic":"b","offset":0,"epoch":"`+b+`"}`)

	// The place told for b proves that what was sent of a has been read.
	c.send(`{"op":"resume","topic":"b","epoch":"` + b + `","offset":0}`)
	c.expect(`{"type":"message","topic":"b","offset":1,"data":"1"}`,
		`{"type":"message","topic":"b","offset":2,"data":"2"}`,
		`{"type":"more","topic":"b","offset":2}`)
	// The one told for a is from before that.
	c.send(`{"op":"resume","topic":"a","epoch":"` + a + `","offset":2}`)
	c.expect(`{"type":"more","topic":"a","offset":2}`)
	c.send(`{"op":"resume","topic":"a","epoch":"` + a + `","offset":2}`)
	c.expect(`{"type":"subscribed","topic":"a","offset":3}`, `{"type":"message","topic":"a","offset":3,"data":"3"}`)
}

func TestSubscriptionsOfAConnectionAreBounded(t *testing.T) {
	s := start(t, feed.Options{}, engine.Options{})
	c := s.dial(t, "/feed")
	for i := range 1000 {
		c.send(fmt.Sprintf(`{"op":"subscribe","topic":"t%d"}`, i))
		c.expect(fmt.Sprintf(`{"type":"subscribed","topic":"t%d","offset":0}`, i))
	}
	c.send(`{"op":"subscribe","topic":"t1000"}`)
	c.expect(`{"type":"error","op":"subscribe","topic":"t1000","code":"too-many-subscriptions"}`)
	c.send(`{"op":"unsubscribe","topic":"t0"}`)
	c.send(`{"op":"subscribe","topic":"t1000"}`)
	c.expect(`{"type":"unsubscribed","topic":"t0"}`, `{"type":"subscribed","topic":"t1000","offset":0}`)
	s.publish(t, "t1000", "1")
	c.expect(`{"type":"message","topic":"t1000","offset":1,"data":1}`)
}

func TestPresenceFollowsConnections(t *testing.T) {
	s := start(t, feed.Options{}, engine.Options{})
	if n := s.Subscribers("a"); n != 0 {
		t.Errorf("%d subscribers before the first connection", n)
	}
	one, two := s.dial(t, "/feed/a"), s.dial(t, "/feed/a")
	two.expect(`{"type":"subscribed","topic":"a","offset":0}`)
	one.expect(`{"type":"subscribed","topic":"a","offset":0}`)
	two.send(`{"op":"presence","topic":"a"}`)
	two.expect(`{"type":"presence","topic":"a","subscribers":2}`)
	one.Close()
	eventually(t, "one subscriber", func() bool { return s.Subscribers("a") == 1 })
	two.Close()
	eventually(t, "no subscriber", func() bool { return s.Subscribers("a") == 0 })
}
