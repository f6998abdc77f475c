package bench

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/feed"
)

// serveFeed starts a feed and returns where it is, without a scheme, and a token to publish
// with.
func serveFeed(t *testing.T) (address, token string) {
	t.Helper()
	secret := []byte("the secret of the tests, which is long enough")
	key, err := feed.ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	f, err := feed.New(feed.Options{PublishKeys: []feed.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	mux := handler.NewMux()
	mux.Handle("/feed", f)
	mux.Handle("*", f)
	e, err := engine.New(engine.Options{Address: "127.0.0.1:0", Mux: mux, HTTP: f, Loops: 1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() }) // what it says is not what is tested
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"publish": []string{"*"}}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return e.Addr().String(), token
}

// TestFanoutOfAFeed publishes in the ways that a feed has.
func TestFanoutOfAFeed(t *testing.T) {
	address, token := serveFeed(t)
	posted := Publishing{URLs: []string{"http://" + address + "/publish/weir-1"}, Headers: []string{"Authorization: Bearer " + token}}
	postedJSON := posted
	postedJSON.Headers = append(postedJSON.Headers, "Content-Type: application/json")
	postedJSON.Template = `{"by":{{.Publisher}},"number":{{.Number}},"text":"{{.Message}}"}`
	tests := []struct {
		name, path string
		publishing Publishing
	}{
		{"posts", "/feed/weir-1", posted},
		{"posts of JSON", "/feed/weir-1", postedJSON},
		{"requests", "/feed?token=" + token, Publishing{
			Template:  `{"op":"publish","topic":"weir-1","data":{"of":{{.Publisher}},"text":"{{.Message}}"}}`,
			Subscribe: `{"op":"subscribe","topic":"weir-1"}`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := quickFanout("ws://" + address + tt.path)
			c.Publishing, c.Publishers, c.WarmUp = tt.publishing, 2, 300*time.Millisecond
			for _, workers := range []int{0, 2} {
				if workers > 0 {
					withWorkers(t, &c, workers)
				}
				_, r := mustRun(t, c)
				if got := faults(&r.Tally); got != (fault{}) || r.Sent != 200 || r.Expected != 2000 || r.Latency.Count() != 2000 || r.Last.Count() != 200 {
					t.Errorf("%d workers: faults %+v, %d sent, %d expected, %d came; %v", workers, got, r.Sent, r.Expected, r.Latency.Count(), r.Refusals)
				}
			}
		})
	}
}

// TestFanoutTellsWhatPostsDo compares what servers do with posts with what the report says.
// Of 200 posts each 20th is treated as the test says.
func TestFanoutTellsWhatPostsDo(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		envelope string // of the messages, %s
		want     fault
		sent     uint64
	}{
		{"refuses", http.StatusServiceUnavailable, "", fault{Unsent: 10}, 190},
		{"says yes and drops", http.StatusOK, "", fault{Lost: 100}, 200},
		{"says no and publishes", http.StatusBadGateway, "%s", fault{Unsent: 10, Duplicate: 90}, 190}, // its number is tried again, but for the last
		{"publishes in an envelope", http.StatusAccepted, `42["weir",{"data":"%s"}]`, fault{}, 200},
		{"publishes twice in one envelope", http.StatusOK, `{"a":"%[1]s"}` + "\n" + `{"a":"%[1]s"}`, fault{Duplicate: 100}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var posts atomic.Int64
			r := &room{filter: func() answers { return echoed }}
			url := r.serve(t, func(w http.ResponseWriter, q *http.Request) {
				body, err := io.ReadAll(q.Body)
				status, envelope := http.StatusOK, "%s"
				if posts.Add(1)%20 == 0 {
					status, envelope = tt.status, tt.envelope
				}
				if err == nil && envelope != "" {
					r.publish(&member{}, websocket.TextMessage, fmt.Appendf(nil, envelope, body))
				}
				w.WriteHeader(status)
			})
			c := quickFanout(url)
			c.Publishing.URLs = []string{"http" + strings.TrimPrefix(url, "ws") + "/publish"}
			c.Timeout = time.Second
			_, round := mustRun(t, c)
			got := faults(&round.Tally)
			if got != tt.want || round.Sent != tt.sent {
				t.Errorf("faults %+v, %d sent, %v; want %+v, %d", got, round.Sent, round.Refusals, tt.want, tt.sent)
			}
			if refused := round.Refusals[fmt.Sprintf("status %d", tt.status)]; uint64(refused) != tt.want.Unsent {
				t.Errorf("refusals %v", round.Refusals)
			}
		})
	}
}

// TestFanoutOfAServerThatDoesNotAnswer ends in time, and says why.
func TestFanoutOfAServerThatDoesNotAnswer(t *testing.T) {
	r := &room{filter: func() answers { return echoed }}
	ended := make(chan struct{})
	defer close(ended)
	url := r.serve(t, func(http.ResponseWriter, *http.Request) { <-ended })
	c := quickFanout(url)
	c.Publishing.URLs = []string{"http" + strings.TrimPrefix(url, "ws")}
	c.Timeout = 200 * time.Millisecond
	_, round := mustRun(t, c)
	if round.Sent+round.Unsent != 200 || round.Sent == 0 || round.Lost != 10*round.Sent || round.Latency.Count() != 0 {
		t.Errorf("%d sent, %d unsent, %d lost", round.Sent, round.Unsent, round.Lost)
	}
	if got := round.Refusals; uint64(got["no answer in time"]) != round.Sent || uint64(got["the answers before took too long"]) != round.Unsent {
		t.Errorf("refusals %v; %d sent, %d unsent", got, round.Sent, round.Unsent)
	}
}

// TestFanoutTellsWhatWasNeverPosted publishes where no connection comes about: such posts were
// not sent, and subscribers do not wait for them.
func TestFanoutTellsWhatWasNeverPosted(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // whose backlog takes the connections, and no TLS comes about
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	r := &room{filter: func() answers { return echoed }}
	url := r.serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	tests := []struct{ name, at, cause string }{
		{"nobody there", "http://127.0.0.1:1/", "connection refused"},
		{"TLS, which the server does not speak", "https" + strings.TrimPrefix(url, "ws"), "http: server gave HTTP response to HTTPS client"},
		{"TLS, to which the server says nothing", "https://" + deaf.Addr().String(), "no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := quickFanout(url)
			c.Publishing.URLs, c.Timeout = []string{tt.at}, 100*time.Millisecond
			_, round := mustRun(t, c)
			if got := faults(&round.Tally); got != (fault{Unsent: 200}) || round.Sent != 0 || round.Refusals[tt.cause] == 0 {
				t.Errorf("faults %+v, %d sent, refusals %v; want 200 unsent, and %q", got, round.Sent, round.Refusals, tt.cause)
			}
		})
	}
}

func TestReportHasNoSecrets(t *testing.T) {
	r := sampleReport()
	r.Config.Publishing.Headers = []string{"Authorization: Bearer secret"}
	for name, write := range map[string]func(io.Writer) error{"JSON": r.WriteJSON, "text": r.WriteText, "HTML": r.WriteHTML, "CSV": r.WriteCSV} {
		var b bytes.Buffer
		if err := write(&b); err != nil || bytes.Contains(b.Bytes(), []byte("Bearer secret")) {
			t.Errorf("%s: %v, or it has the secret", name, err)
		}
	}
	if r.Config.Publishing.Headers[0] != "Authorization: Bearer secret" {
		t.Error("writing has changed the configuration")
	}
}

func TestRunRefusesPublishing(t *testing.T) {
	tests := []struct {
		want   string
		change func(*Config)
	}{
		{"echo does not publish", func(c *Config) { c.Scenario = "echo" }},
		{"2 URLs to publish at are not one for each of the 1 servers", func(c *Config) { c.Publishing.URLs = append(c.Publishing.URLs, "http://a/") }},
		{`"ws://a/" is not a URL to publish at`, func(c *Config) { c.Publishing.URLs[0] = "ws://a/" }},
		{`"http://127.0.0.1:65536/" is not a URL to publish at`, func(c *Config) { c.Publishing.URLs[0] = "http://127.0.0.1:65536/" }},
		{"headers need a URL", func(c *Config) { c.Publishing.URLs, c.Publishing.Headers = nil, []string{"A: b"} }},
		{"is not a field such as", func(c *Config) { c.Publishing.Headers = []string{"A b"} }},
		{"is not a field such as", func(c *Config) { c.Publishing.Headers = []string{"A: b\nC: d"} }},
		{"lacks {{.Message}}", func(c *Config) { c.Publishing.Template = "news" }},
		{"what to publish:", func(c *Config) { c.Publishing.Template = "{{.Message" }},
		{"what to publish:", func(c *Config) { c.Publishing.Template = "{{.Mesage}}" }},
		{"what to subscribe with:", func(c *Config) { c.Publishing.Subscribe = "{{.Topic}}" }},
	}
	for _, tt := range tests {
		c := quickFanout("ws://127.0.0.1:1/")
		c.Publishing.URLs = []string{"http://127.0.0.1:1/"}
		tt.change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v", tt.want, err)
		}
	}
}
