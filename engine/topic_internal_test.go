package engine

import (
	"hash/maphash"
	"slices"
	"testing"
)

func TestSubjects(t *testing.T) {
	for _, tt := range []struct {
		name             string
		topic, isPattern bool
		subscribable     bool
	}{
		{name: "a", topic: true, subscribable: true},
		{name: "a.b-c.d_e", topic: true, subscribable: true},
		{name: "a.*", isPattern: true, subscribable: true},
		{name: "*", isPattern: true, subscribable: true},
		{name: ">", isPattern: true, subscribable: true},
		{name: "a.*.>", isPattern: true, subscribable: true},
		{name: "a*.b>", topic: true, subscribable: true},
		{name: ""}, {name: "."}, {name: "a."}, {name: ".a"}, {name: "a..b"}, {name: "a b"}, {name: "a\n"},
		{name: ">.a", isPattern: true}, {name: "a.>.b", isPattern: true},
	} {
		if got := isTopic(tt.name); got != tt.topic {
			t.Errorf("isTopic(%q) = %v", tt.name, got)
		}
		if got := isSubject(tt.name, true); got != tt.subscribable {
			t.Errorf("isSubject(%q) = %v", tt.name, got)
		}
		if got := isPattern(tt.name); got != tt.isPattern {
			t.Errorf("isPattern(%q) = %v", tt.name, got)
		}
	}
}

func TestPatternsMatch(t *testing.T) {
	s := subjects{seed: maphash.MakeSeed()}
	patterns := []string{"a.*", "a.>", "*.b", ">", "a.*.c", "*.*", "a.b.>"}
	for _, p := range patterns {
		s.add(p, 1)
		s.add(p, 1)
	}
	s.add("a.b", 1) // no pattern
	tests := map[string][]string{
		"a":       {">"},
		"a.b":     {"a.*", "a.>", "*.b", ">", "*.*"},
		"a.b.c":   {"a.>", ">", "a.*.c", "a.b.>"},
		"x.b":     {"*.b", ">", "*.*"},
		"a.b.c.d": {"a.>", ">", "a.b.>"},
	}
	for topic, want := range tests {
		got := s.appendMatching(nil, topic)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s matches %v; want %v", topic, got, want)
		}
	}
	for _, p := range patterns {
		s.add(p, -1)
	}
	if got := s.appendMatching(nil, "a.b"); len(got) != 5 {
		t.Errorf("a.b matches %v after half of the subscriptions have ended; want 5", got)
	}
	for _, p := range patterns {
		s.add(p, -1)
	}
	if got := s.appendMatching(nil, "a.b"); len(got) != 0 || len(s.patterns.next) != 0 || s.matching.Load() != 0 {
		t.Errorf("a.b matches %v after all have ended, %d nodes and %d patterns left; want none", got, len(s.patterns.next), s.matching.Load())
	}
}

// matches agrees with the tree of patterns.
func TestMatches(t *testing.T) {
	topics := []string{"a", "b", "a.b", "a.c", "b.b", "a.b.c", "a.c.c", "a.b.c.d", "ab"}
	for _, pattern := range []string{"a", "a.b", "a.*", "a.>", "*", "*.b", ">", "a.*.c", "*.*", "a.b.>", "*.>", "a.b.c.d"} {
		var tree patternNode
		tree.insert(pattern)
		for _, topic := range topics {
			want := len(tree.appendMatching(nil, topic)) == 1
			if got := matches(pattern, topic); got != want {
				t.Errorf("matches(%q, %q) = %v", pattern, topic, got)
			}
		}
	}
}

// A loop that always has casts to take, and one that had very many, keep no more memory
// than what waits.
func TestCastsThatAreDone(t *testing.T) {
	const waiting, many = 10, 100_000
	l := &loop{casts: make([]cast, waiting)}
	for range many {
		l.casts = append(l.casts, cast{name: "a"})
		l.dropCasts(1)
		if n := len(l.casts) - l.cast; n != waiting {
			t.Fatalf("%d casts wait; want %d", n, waiting)
		}
	}
	if c := cap(l.casts); c > 10*waiting {
		t.Errorf("room for %d casts where %d wait", c, waiting)
	}
	l.casts = append(l.casts, make([]cast, many)...)
	l.dropCasts(len(l.casts) - l.cast)
	if cap(l.casts) != 0 {
		t.Errorf("room for %d casts where none waits", cap(l.casts))
	}
}
