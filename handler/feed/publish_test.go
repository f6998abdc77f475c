package feed_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/feed"
)

func TestPublishOverHTTP(t *testing.T) {
	o := withPublishKey(t)
	o.MaxBodyBytes = 5000
	s := start(t, o, engine.Options{})
	tok := token(t, may("a b.*", ""))
	c := s.dial(t, "/feed/a")
	c.expect(`{"type":"subscribed","topic":"a","offset":0}`)
	tests := []struct {
		name, topic, contentType, token, body string
		status                                int
		answer                                string // begins so, but for the epoch
		messages                              string // what subscribers of a get, in lines
	}{
		{"JSON", "a", "application/json", tok, " {\"x\": [1, \"<é>\"]}\n", 200,
			`{"topic":"a","epoch":"E","offset":1,"count":1}`, `{"type":"message","topic":"a","offset":1,"data":{"x":[1,"<é>"]}}`},
		{"JSON of another kind", "a", "application/geo+json; charset=utf-8", tok, `1`, 200,
			`{"topic":"a","epoch":"E","offset":2,"count":1}`, `{"type":"message","topic":"a","offset":2,"data":1}`},
		{"text", "a", "text/plain", tok, "say \"hé\"\n", 200,
			`{"topic":"a","epoch":"E","offset":3,"count":1}`, `{"type":"message","topic":"a","offset":3,"text":"say \"hé\"\n"}`},
		{"bytes", "a", "application/octet-stream", tok, "\xff\x00", 200,
			`{"topic":"a","epoch":"E","offset":4,"count":1}`, `{"type":"message","topic":"a","offset":4,"base64":"/wA="}`},
		{"nothing", "a", "", tok, "", 200,
			`{"topic":"a","epoch":"E","offset":5,"count":1}`, `{"type":"message","topic":"a","offset":5,"text":""}`},
		{"batch", "a", "application/x-ndjson", tok, "{\"n\":1}\r\n\n \n[2]\n\"three\"", 200,
			`{"topic":"a","epoch":"E","offset":8,"count":3}`, `{"type":"message","topic":"a","offset":6,"data":{"n":1}}
				{"type":"message","topic":"a","offset":7,"data":[2]}
				{"type":"message","topic":"a","offset":8,"data":"three"}`},
		{"by a pattern", "b.c", "text/plain", tok, "x", 200, `{"topic":"b.c","epoch":"E","offset":1,"count":1}`, ""},

		{"no JSON", "a", "application/json", tok, `{"x":`, 400, "the body is not JSON", ""},
		{"two values", "a", "application/json", tok, `1 2`, 400, "the body is not JSON", ""},
		{"no UTF-8", "a", "application/json", tok, "\"\xff\"", 400, "the body is not JSON", ""},
		{"a bad line", "a", "application/ndjson", tok, "1\n\nx\n", 400, "line 3 is not JSON; nothing was published", ""},
		{"an empty batch", "a", "application/ndjson", tok, "\n", 400, "there is no message", ""},
		{"too many lines", "a", "application/ndjson", tok, strings.Repeat("1\n", 1001), 400, "there are more than 1000 messages", ""},
		{"too large", "a", "text/plain", tok, strings.Repeat("x", 5001), 413, "the body is larger than 5000 bytes", ""},
		{"bad topic", "a..b", "text/plain", tok, "x", 400, "a topic is letters", ""},
		{"pattern", "b.*", "text/plain", tok, "x", 400, "a topic is letters", ""},
		{"topic of another", "c", "text/plain", tok, "x", 403, "the token does not allow this topic", ""},
		{"no token", "a", "text/plain", "", "x", 401, "a valid token is needed", ""},
		{"bad token", "a", "text/plain", "x.y.z", "x", 401, "a valid token is needed", ""},
	}
	for _, tt := range tests {
		status, answer := s.post(t, tt.topic, tt.contentType, tt.token, tt.body)
		want := strings.Replace(tt.answer, `"E"`, `"`+s.epochOf(t, "a")+`"`, 1)
		if tt.topic == "b.c" {
			want = strings.Replace(tt.answer, `"E"`, `"`+s.epochOf(t, "b.c")+`"`, 1)
		}
		if status != tt.status || !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %d %s; want %d %s", tt.name, status, answer, tt.status, want)
		}
		for m := range strings.Lines(tt.messages) {
			c.expect(m)
		}
	}
}

// A message grows where it is encoded. One that could not be delivered is refused: every
// subscriber was closed with 1008, whenever it came, until something else was published.
func TestPublishTooLarge(t *testing.T) {
	const most = 64 << 10 // bytes under way, half of what may wait
	o := withPublishKey(t)
	o.ReplayBytes = most
	s := start(t, o, engine.Options{OutboxSoftBytes: 2 * most, OutboxHardBytes: 2 * most})
	tok := token(t, may("a", ""))
	tooLarge := strings.Repeat("\x00", most/4) // six times as much in JSON
	for _, tt := range []struct{ name, contentType, body string }{
		{"text", "text/plain", tooLarge},
		{"bytes", "text/plain", strings.Repeat("\xff", most-100)},
		{"JSON", "application/json", `"` + strings.Repeat("x", most) + `"`},
		{"batch", "application/x-ndjson", `1` + "\n" + `"` + strings.Repeat("x", most) + `"`},
	} {
		if status, answer := s.post(t, "a", tt.contentType, tok, tt.body); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s; want 413", tt.name, status, answer)
		}
	}
	if p, err := s.Publish("a", feed.Message{}, feed.Bytes([]byte(tooLarge))); !errors.Is(err, feed.ErrTooLarge) || p.Count != 0 {
		t.Errorf("Publish: %+v, %v; want ErrTooLarge", p, err)
	}
	c := s.dial(t, "/feed?token="+tok)
	c.send(`{"op":"publish","topic":"a","data":"` + strings.Repeat("x", most) + `"}`)
	c.expect(`{"type":"error","op":"publish","topic":"a","code":"too-large"}`)

	// The largest that there may be comes to subscribers, by every way.
	large := `"` + strings.Repeat("x", most-83) + `"`
	for offset := 1; offset <= 3; offset++ {
		s.publish(t, "a", large)
	}
	want := func(offset int) string {
		return fmt.Sprintf(`{"type":"message","topic":"a","offset":%d,"data":%s}`, offset, large)
	}
	late := s.dial(t, "/feed/a")
	late.expect(`{"type":"subscribed","topic":"a","offset":3}`, want(3))
	epoch := s.epochOf(t, "a")
	for offset := 1; offset <= 2; offset++ {
		c.send(fmt.Sprintf(`{"op":"resume","topic":"a","epoch":%q,"offset":%d}`, epoch, offset-1))
		c.expect(want(offset), fmt.Sprintf(`{"type":"more","topic":"a","epoch":%q,"offset":%d}`, epoch, offset))
	}
	c.send(fmt.Sprintf(`{"op":"resume","topic":"a","epoch":%q,"offset":2}`, epoch))
	c.expect(`{"type":"subscribed","topic":"a","offset":3}`, want(3))
	s.publish(t, "a", large)
	c.expect(want(4))
}

func TestServeHTTPElsewhere(t *testing.T) {
	f, err := feed.New(withPublishKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, path string
		status       int
		header       string
	}{
		{"GET", "/publish/a", 405, "Allow: POST"},
		{"POST", "/publish/a", 401, "Www-Authenticate: Bearer"},
		{"POST", "/publish", 404, ""},
		{"POST", "/", 404, ""},
	} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, http.NoBody))
		name, value, _ := strings.Cut(tt.header, ": ")
		if w.Code != tt.status || w.Header().Get(name) != value {
			t.Errorf("%s %s: %d, %v; want %d, %s", tt.method, tt.path, w.Code, w.Header(), tt.status, tt.header)
		}
	}
}
