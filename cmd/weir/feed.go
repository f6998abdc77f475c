package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/feed"
)

// A feedServer is the feed of a server.
type feedServer struct {
	*feed.Feed
	token string // that may publish, if there is no key but one made here
}

// newFeed makes the feed that o asks for, nil if it asks for none.
func newFeed(o *feedOptions) (*feedServer, error) {
	if !o.on {
		return nil, nil
	}
	var err error
	s, fo := new(feedServer), o.options
	if fo.SubscribeKeys, err = readKeys("feed-subscribe-key", o.subscribeKeys); err != nil {
		return nil, err
	}
	if fo.PublishKeys, err = readKeys("feed-publish-key", o.publishKeys); err != nil {
		return nil, err
	}
	if len(fo.PublishKeys) == 0 {
		var key feed.Key
		if key, s.token, err = newKey(); err != nil {
			return nil, err
		}
		fo.PublishKeys = []feed.Key{key}
	}
	s.Feed, err = feed.New(fo)
	return s, err
}

func readKeys(name string, files []string) ([]feed.Key, error) {
	var keys []feed.Key
	for _, file := range files {
		contents, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", name, err)
		}
		key, err := feed.ParseKey(contents)
		if err != nil {
			return nil, fmt.Errorf("--%s %s: %w", name, file, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// newKey makes a key, which dies with the process, and a token that may publish to all
// topics.
func newKey() (feed.Key, string, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	text := fmt.Appendf(nil, "%x", secret)
	key, err := feed.ParseKey(text)
	if err != nil {
		return feed.Key{}, "", err
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"publish": []string{">"}}).SignedString(text)
	return key, token, err
}

// addRoutes adds the WebSocket paths of the feed.
func (s *feedServer) addRoutes(m *handler.Mux) {
	if s == nil {
		return
	}
	m.Handle("/feed", s.Feed)
	m.Handle("*", s.Feed) // refuses what is not below /feed
}

// close ends publishing: while a drain closes the connections, not all of them would get
// what is published.
func (s *feedServer) close() {
	if s != nil {
		s.Close()
	}
}

// addPages adds what is no WebSocket.
func (s *feedServer) addPages(m *http.ServeMux) {
	if s == nil {
		return
	}
	m.Handle("/publish/", s.Feed)
	m.HandleFunc("GET /feed/{topic}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		answer(w, http.StatusUpgradeRequired, "this path speaks WebSocket only")
	})
	addFiles(m, map[string]string{"/live": "live.html", "/live.css": "live.css", "/live.js": "live.js"})
}

// facts are the addresses of the feed on a host.
func (s *feedServer) facts(httpURL, wsURL string) []fact {
	if s == nil {
		return nil
	}
	live := httpURL + "/live"
	if s.token != "" {
		live += "#token=" + s.token // the page reads it, and the browser sends it to nobody
	}
	return []fact{{"feed", wsURL + "/feed"}, {"publish", httpURL + "/publish/{topic}"}, {"live", live}}
}

// secrets are what a publisher needs to know.
func (s *feedServer) secrets() []fact {
	if s == nil || s.token == "" {
		return nil
	}
	return []fact{{"token", s.token}}
}
