package feed

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A busyHub takes so many publications before it is busy.
type busyHub struct {
	handler.Hub
	room int
	got  []string
}

func (h *busyHub) Publish(_ string, _ frame.Opcode, payload []byte, _ handler.PublishOptions) (int, error) {
	if h.room == 0 {
		return 0, handler.ErrBusy
	}
	h.room--
	h.got = append(h.got, string(payload))
	return 1, nil
}

// What a busy engine has not taken has no offset and is not in the history.
func TestPublishBusy(t *testing.T) {
	f, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	hub := &busyHub{room: 2}
	f.attach(hub)
	p, err := f.Publish("a", Bytes([]byte("one")), Bytes([]byte("two")), Bytes([]byte("three")))
	if !errors.Is(err, ErrBusy) || p.Count != 2 || p.Offset != 2 {
		t.Errorf("Publish = %+v, %v; want 2 messages up to offset 2, ErrBusy", p, err)
	}
	if kept := len(f.topics["a"].history.after(0, 1<<20).messages); kept != 2 {
		t.Errorf("%d messages in the history; want 2", kept)
	}
	hub.room = 1
	if p, err := f.Publish("a", Bytes([]byte("three"))); err != nil || p.Offset != 3 {
		t.Errorf("Publish = %+v, %v; want offset 3", p, err)
	}
	if last := hub.got[len(hub.got)-1]; len(hub.got) != 3 || !strings.Contains(last, `"offset":3,"text":"three"`) {
		t.Errorf("the engine got %q", hub.got)
	}
}

func TestPublishBusyOverHTTP(t *testing.T) {
	secret := []byte(strings.Repeat("secret", 6))
	key, err := ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"publish": []string{"a"}}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{PublishKeys: []Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	f.attach(&busyHub{room: 1})
	r := httptest.NewRequest(http.MethodPost, "/publish/a", strings.NewReader("1\n2\n"))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/x-ndjson")
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "1 of 2 messages") {
		t.Errorf("got %d %q; want 503, 1 of 2 messages", w.Code, w.Body)
	}
}
