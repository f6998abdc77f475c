package feed

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirws/weir/frame"
)

// held describes a history by the offsets it has.
func held(h *history) string { return fmt.Sprintf("%d-%d", h.first(), h.last) }

func TestHistoryHeedsItsBounds(t *testing.T) {
	at := time.Unix(1000, 0)
	message := func(size int) *frame.Prepared {
		return frame.Prepare(frame.Text, []byte(strings.Repeat("x", size)), nil)
	}
	tests := []struct {
		name   string
		bounds bounds
		sizes  []int // of messages, one a second
		want   string
	}{
		{"nothing", bounds{3, 100, time.Hour}, nil, "1-0"},
		{"below all", bounds{3, 100, time.Hour}, []int{1, 1, 1}, "1-3"},
		{"count", bounds{3, 100, time.Hour}, []int{1, 1, 1, 1, 1}, "3-5"},
		{"bytes", bounds{9, 100, time.Hour}, []int{50, 50, 50}, "2-3"},
		{"bytes, one byte more", bounds{9, 100, time.Hour}, []int{50, 50, 51}, "3-3"},
		{"larger than the bound", bounds{9, 100, time.Hour}, []int{50, 101}, "2-2"},
		{"age", bounds{9, 100, 2 * time.Second}, []int{1, 1, 1, 1, 1}, "3-5"},
		{"no age", bounds{9, 100, -1}, []int{1, 1, 1, 1, 1}, "1-5"},
		{"empty messages", bounds{2, 100, -1}, []int{0, 0, 0}, "2-3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h history
			bytes := 0
			for i, size := range tt.sizes {
				h.add(entry{message(size), at.Add(time.Duration(i) * time.Second)}, tt.bounds)
			}
			for _, e := range h.entries {
				bytes += e.size()
			}
			if held(&h) != tt.want || h.bytes != bytes {
				t.Errorf("holds %s, %d bytes; want %s, %d bytes", held(&h), h.bytes, tt.want, bytes)
			}
		})
	}
}

func TestHistoryGivesMemoryBack(t *testing.T) {
	var h history
	b := bounds{count: 10_000, bytes: 1 << 20, age: time.Second}
	at := time.Unix(1000, 0)
	m := frame.Prepare(frame.Text, []byte("x"), nil)
	for range 10_000 {
		h.add(entry{m, at}, b)
	}
	h.trim(at.Add(time.Hour), b)
	if held(&h) != "10000-10000" || cap(h.entries) > 64 {
		t.Errorf("holds %s with room for %d", held(&h), cap(h.entries))
	}
}

func TestHistoryAfter(t *testing.T) {
	var h history
	for size := range 9 { // offset n has n-1 bytes; 4 to 9 are kept
		h.add(entry{message: frame.Prepare(frame.Text, make([]byte, size), nil)}, bounds{6, 1000, -1})
	}
	tests := []struct {
		offset uint64
		limit  int
		want   page // but for the messages
		count  int
	}{
		{9, 100, page{last: 9, whole: true}, 0},
		{8, 100, page{last: 9, bytes: 8, whole: true}, 1},
		{3, 100, page{last: 9, bytes: 33, whole: true}, 6},
		{2, 100, page{last: 9, bytes: 33, whole: true, missing: 1}, 6},
		{0, 100, page{last: 9, bytes: 33, whole: true, missing: 3}, 6},
		{3, 33, page{last: 9, bytes: 33, whole: true}, 6},
		{3, 32, page{last: 8, bytes: 25}, 5},
		{0, 7, page{last: 5, bytes: 7, missing: 3}, 2},
		{0, 2, page{last: 3, missing: 3}, 0},
		{8, -5, page{last: 8}, 0},
		{9, -5, page{last: 9, whole: true}, 0},
	}
	for _, tt := range tests {
		got := h.after(tt.offset, tt.limit)
		for i, e := range got.messages {
			if offset := got.last - uint64(len(got.messages)-1-i); e.size() != int(offset)-1 {
				t.Errorf("after(%d, %d): message %d has %d bytes", tt.offset, tt.limit, offset, e.size())
			}
		}
		count := len(got.messages)
		got.messages = nil
		if fmt.Sprint(got) != fmt.Sprint(tt.want) || count != tt.count {
			t.Errorf("after(%d, %d) = %+v, %d messages; want %+v, %d", tt.offset, tt.limit, got, count, tt.want, tt.count)
		}
	}
}

func TestTopicsAreForgottenWhenThereAreTooMany(t *testing.T) {
	f, err := New(Options{MaxTopics: 2, HistoryAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	f.now = func() time.Time { return now }
	publish := func(topic string) (Published, error) { return f.Publish(topic, Bytes([]byte("x"))) }
	first, err := publish("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"b", "a", "b"} {
		if _, err := publish(topic); err != nil {
			t.Errorf("%s: %v", topic, err)
		}
	}
	if _, err := publish("c"); !errors.Is(err, ErrTooManyTopics) {
		t.Errorf("a third topic: %v", err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := publish("a"); err != nil {
		t.Error(err)
	}
	if p, err := publish("c"); err != nil || p.Offset != 1 {
		t.Errorf("a third topic when b is silent: %+v, %v", p, err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := publish("d"); err != nil {
		t.Errorf("another topic when all are silent: %v", err)
	}
	if again, err := publish("a"); err != nil || again.Offset != 1 || again.Epoch == first.Epoch {
		t.Errorf("a topic that was forgotten: %+v, %v; before: %+v", again, err, first)
	}
}

// TestTopicsAreForgottenWhileOthersPublish has no offset of an epoch given twice, however
// often topics are forgotten.
func TestTopicsAreForgottenWhileOthersPublish(t *testing.T) {
	f, err := New(Options{MaxTopics: 5, HistoryAge: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var clock atomic.Int64
	f.now = func() time.Time { return time.Unix(0, clock.Add(int64(200*time.Millisecond))) }
	var given sync.Map
	var refused, forgotten atomic.Int64
	var publishers sync.WaitGroup
	for range 8 {
		publishers.Go(func() {
			for i := range 2000 {
				p, err := f.Publish(fmt.Sprint("t", i%12), Message{})
				if errors.Is(err, ErrTooManyTopics) {
					refused.Add(1)
					continue
				}
				if _, twice := given.LoadOrStore(p, true); twice || err != nil {
					t.Errorf("%+v, %v", p, err)
				}
				if p.Offset == 1 {
					forgotten.Add(1)
				}
			}
		})
	}
	publishers.Wait()
	if refused.Load() == 0 || forgotten.Load() < 10 || len(f.topics) > 5 {
		t.Errorf("%d refused, %d made, %d there", refused.Load(), forgotten.Load(), len(f.topics))
	}
	for name, topic := range f.topics {
		if n := topic.pins.Load(); n != 0 {
			t.Errorf("%s is pinned %d times", name, n)
		}
	}
}

func TestSilentTopicsAreTrimmed(t *testing.T) {
	f, err := New(Options{HistoryAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	f.now = func() time.Time { return now }
	for range 5 {
		if _, err := f.Publish("a", Message{}, Message{}); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(2 * time.Hour)
	if _, err := f.Publish("b", Message{}); err != nil {
		t.Fatal(err)
	}
	if got := held(&f.topics["a"].history); got != "10-10" {
		t.Errorf("holds %s", got)
	}
}

func TestRightsEndWithTheToken(t *testing.T) {
	now := time.Unix(1000, 0)
	r := right{patterns: []string{"a"}, until: now.Add(time.Second)}
	if !r.allows("a", now) || r.allows("b", now) || r.allows("a", now.Add(time.Second)) {
		t.Error("a right is not what its patterns and its end say")
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "orders.eu.New_1-2": true, strings.Repeat("a", 200): true, strings.Repeat("a", 201): false,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "*": false, "a.>": false, "a b": false, "a/b": false, "é": false, "a\"": false, "a\xff": false,
	} {
		if got := isTopic(name); got != want {
			t.Errorf("isTopic(%q) = %t", name, got)
		}
	}
	matches := map[string][]string{
		"a": {"a"}, "a.b": {"a.b"}, "*": {"a", "b"}, "a.*": {"a.b", "a.c"}, "*.b": {"a.b"}, "a.>": {"a.b", "a.c", "a.b.c"},
		">": {"a", "b", "a.b", "a.c", "a.b.c"}, "*.*.c": {"a.b.c"}, "*.>": {"a.b", "a.c", "a.b.c"}, "a.>.c": nil, "": nil, "a.": nil,
	}
	for pattern, want := range matches {
		var got []string
		for _, topic := range []string{"a", "b", "a.b", "a.c", "a.b.c"} {
			if covers(pattern, topic) {
				got = append(got, topic)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q covers %q, want %q", pattern, got, want)
		}
	}
}

func TestNewRefusesNegativeBounds(t *testing.T) {
	if _, err := New(Options{HistoryCount: -1, MaxTopics: -1}); err == nil || strings.Count(err.Error(), "negative") != 2 {
		t.Errorf("New: %v", err)
	}
}
