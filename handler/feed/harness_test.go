package feed_test

import (
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/feed"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

const secret = "the secret of the tests, which is long enough"

// A server is a feed on an engine of its own.
type server struct {
	*feed.Feed
	address string
	dialer  *websocket.Dialer
}

// start starts a server that ends with the test.
func start(t testing.TB, o feed.Options, eo engine.Options) *server {
	t.Helper()
	f, err := feed.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	eo.Mux = handler.NewMux()
	eo.Mux.Handle("/feed", f)
	eo.Mux.Handle("*", f)
	eo.HTTP = f
	if eo.Network != "unix" {
		eo.Address = "127.0.0.1:0"
	}
	eo.Loops = cmp.Or(eo.Loops, 2)
	eo.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	e, err := engine.New(eo)
	if err != nil {
		t.Fatalf("engine.New: %v", err)
	}
	if err := e.Start(); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		e.Service(0)
	})
	if eo.Mode == engine.Service {
		service(t, e)
	}
	at := e.Addr()
	dial := func(string, string) (net.Conn, error) { return net.Dial(at.Network(), at.String()) }
	address := at.String()
	if eo.Network == "unix" {
		address = "localhost" // which nobody looks up
	}
	return &server{Feed: f, address: address, dialer: &websocket.Dialer{NetDial: dial}}
}

// service calls Service until the test ends.
func service(t testing.TB, e *engine.Engine) {
	stop := make(chan struct{})
	var caller sync.WaitGroup
	caller.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				e.Service(10 * time.Millisecond)
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		caller.Wait()
	})
}

// withKeys are options with which publishers and subscribers need a token.
func withKeys(t testing.TB) feed.Options {
	t.Helper()
	keys := []feed.Key{parseKey(t, secret)}
	return feed.Options{PublishKeys: keys, SubscribeKeys: keys}
}

// withPublishKey are options with which publishers need a token.
func withPublishKey(t testing.TB) feed.Options {
	t.Helper()
	return feed.Options{PublishKeys: []feed.Key{parseKey(t, secret)}}
}

func parseKey(t testing.TB, file string) feed.Key {
	t.Helper()
	k, err := feed.ParseKey([]byte(file))
	if err != nil {
		t.Fatalf("ParseKey: %v", err)
	}
	return k
}

// token signs claims with the secret.
func token(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(secret), claims)
}

func sign(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	return text
}

// may are the claims of a token for these patterns.
func may(publish, subscribe string) jwt.MapClaims {
	return jwt.MapClaims{"publish": strings.Fields(publish), "subscribe": strings.Fields(subscribe)}
}

// post makes a request to publish and returns status and body.
func (s *server) post(t testing.TB, topic, contentType, token, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+s.address+"/publish/"+topic, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Close = true
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("POST %s: %v", topic, err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("POST %s: %v", topic, err)
	}
	return response.StatusCode, string(got)
}

// publish publishes JSON values in the process of the server.
func (s *server) publish(t testing.TB, topic string, values ...string) feed.Published {
	t.Helper()
	var messages []feed.Message
	for _, v := range values {
		m, err := feed.JSON([]byte(v))
		if err != nil {
			t.Fatalf("JSON(%s): %v", v, err)
		}
		messages = append(messages, m)
	}
	p, err := s.Publish(topic, messages...)
	if err != nil {
		t.Fatalf("publishing to %s: %v", topic, err)
	}
	return p
}

// A client is a WebSocket client that fails its test.
type client struct {
	*websocket.Conn
	t testing.TB
}

// dial opens a connection and closes it when the test ends.
func (s *server) dial(t testing.TB, path string) *client {
	t.Helper()
	conn, _, err := s.dialer.Dial("ws://"+s.address+path, nil)
	if err != nil {
		t.Fatalf("dialing %s: %v", path, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{conn, t}
}

// refused tries to open a connection and returns the status that refuses it.
func (s *server) refused(t testing.TB, path string) int {
	t.Helper()
	c, r, err := s.dialer.Dial("ws://"+s.address+path, nil)
	if err == nil {
		_ = c.Close()
		t.Fatalf("%s was accepted", path)
	}
	if r == nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r.StatusCode
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatalf("sending %s: %v", text, err)
	}
}

// expect reads one message for each of want: JSON objects of which every field is
// compared, but for epoch and text where want has none.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		_, got, err := c.ReadMessage()
		if err != nil {
			c.t.Fatalf("got %v, want %s", err, w)
		}
		if !sameReply(c.t, got, []byte(w)) {
			c.t.Fatalf("got %s, want %s", got, w)
		}
	}
}

func sameReply(t testing.TB, got, want []byte) bool {
	t.Helper()
	g, w := make(map[string]any), make(map[string]any)
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	for _, field := range []string{"epoch", "text"} {
		if _, ok := w[field]; !ok && w["type"] != "message" {
			delete(g, field)
		}
	}
	gotText, _ := json.Marshal(g)
	wantText, _ := json.Marshal(w)
	return string(gotText) == string(wantText)
}

// epochOf asks for the epoch of a topic.
func (s *server) epochOf(t testing.TB, topic string) string {
	t.Helper()
	return s.publish(t, topic).Epoch
}

// eventually fails the test unless ok comes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
