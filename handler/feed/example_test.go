package feed_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/feed"
)

// recorder is a connection without a network.
type recorder struct{ handler.Conn }

func (recorder) Hub() handler.Hub                       { return nil }
func (recorder) SetValue(any)                           {}
func (recorder) SetSlowPolicy(handler.SlowPolicy) error { return nil }
func (recorder) Subscribe(string) error                 { return nil }

func (recorder) SendPrepared(m *frame.Prepared) error {
	var said struct {
		Type   string
		Offset uint64
	}
	err := json.Unmarshal(m.Payload(), &said)
	fmt.Println(said.Type, said.Offset)
	return err
}

// A program may publish itself. A client that has seen all but the last message, and
// comes back, gets that.
func Example() {
	f, err := feed.New(feed.Options{HistoryCount: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	price, err := feed.JSON([]byte(`{"price":42}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	seen, err := f.Publish("stock.acme", feed.Bytes([]byte("opening")))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := f.Publish("stock.acme", price); err != nil {
		fmt.Println(err)
		return
	}

	query := fmt.Sprintf("since=%d&epoch=%s", seen.Offset, seen.Epoch)
	if err := f.OnOpen(recorder{}, &handler.Request{Path: "/feed/stock.acme", RawQuery: query}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// subscribed 2
	// message 2
}

// Publishers, and subscribers where that is wanted, show a JWT that a key of the server has
// signed.
func ExampleParseKey() {
	secret, err := feed.ParseKey([]byte("a secret of at least 32 bytes, as from: openssl rand -hex 32"))
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := feed.New(feed.Options{PublishKeys: []feed.Key{secret}})
	if err != nil {
		fmt.Println(err)
		return
	}
	claims := jwt.MapClaims{"publish": []string{"stock.*"}}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("a secret of at least 32 bytes, as from: openssl rand -hex 32"))
	if err != nil {
		fmt.Println(err)
		return
	}

	r := httptest.NewRequest(http.MethodPost, "/publish/stock.acme", strings.NewReader("opening"))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 200
}
