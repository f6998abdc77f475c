package engine

import (
	"hash/maphash"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
)

// Topics are named by tokens with dots in between, as in NATS: orders.eu.new. A
// subscription may have a star for one token, orders.*.new, and may end in a token >
// for one or more: orders.>.

// isTopic reports whether name can be published to.
func isTopic(name string) bool { return isSubject(name, false) }

// isPattern reports whether a valid subject has wildcards.
func isPattern(name string) bool {
	for token := range strings.SplitSeq(name, ".") {
		if token == "*" || token == ">" {
			return true
		}
	}
	return false
}

// isSubject reports whether name can be subscribed to, or, without wildcards,
// published to.
func isSubject(name string, wildcards bool) bool {
	rest, token, more := name, "", true
	for more {
		token, rest, more = strings.Cut(rest, ".")
		switch {
		case token == "" || strings.ContainsAny(token, " \t\r\n\x00"):
			return false
		case (token == "*" || token == ">") && !wildcards:
			return false
		case token == ">" && more:
			return false
		}
	}
	return true
}

const subjectShards = 64

// subjects counts the subscriptions of an engine, over all its loops, and finds the
// patterns that match a topic. A subject without subscriptions takes no memory.
type subjects struct {
	seed   maphash.Seed
	shards [subjectShards]subjectShard

	mu       sync.RWMutex
	patterns patternNode
	matching atomic.Int64 // patterns subscribed to; publishers look no further at 0
}

type subjectShard struct {
	mu    sync.Mutex
	count map[string]int
}

func (s *subjects) shard(name string) *subjectShard {
	return &s.shards[maphash.String(s.seed, name)%subjectShards]
}

// add counts delta more subscriptions to name, which may be a pattern.
func (s *subjects) add(name string, delta int) {
	sh := s.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.count == nil {
		sh.count = make(map[string]int)
	}
	before := sh.count[name]
	sh.count[name] = before + delta
	switch {
	case before == 0 && isPattern(name):
		s.change((*patternNode).insert, name, 1)
	case before+delta == 0:
		delete(sh.count, name)
		if len(sh.count) == 0 {
			sh.count = nil // a map does not shrink by itself
		}
		if isPattern(name) {
			s.change((*patternNode).remove, name, -1)
		}
	}
}

// change changes the tree of patterns. The lock of the pattern's shard is held, so
// that the tree and the counts agree; nobody takes a shard's lock under s.mu.
func (s *subjects) change(how func(*patternNode, string), name string, delta int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how(&s.patterns, name)
	s.matching.Add(delta)
}

// count is the number of subscriptions to name.
func (s *subjects) count(name string) int {
	sh := s.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.count[name]
}

// appendMatching appends the patterns that match topic.
func (s *subjects) appendMatching(all []string, topic string) []string {
	if s.matching.Load() == 0 {
		return all
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.patterns.appendMatching(all, topic)
}

// all yields every subject and its number of subscriptions, those of one shard
// at a time.
func (s *subjects) all() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i := range s.shards {
			for name, n := range s.shards[i].snapshot() {
				if !yield(name, n) {
					return
				}
			}
		}
	}
}

func (s *subjectShard) snapshot() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]int, len(s.count))
	for name, n := range s.count {
		all[name] = n
	}
	return all
}

// A patternNode is the patterns that begin with the same tokens.
type patternNode struct {
	next    map[string]*patternNode // by token; "*" and ">" among them
	pattern string                  // that ends here; "": none
}

func (n *patternNode) insert(pattern string) {
	for token := range strings.SplitSeq(pattern, ".") {
		child := n.next[token]
		if child == nil {
			child = new(patternNode)
			if n.next == nil {
				n.next = make(map[string]*patternNode)
			}
			n.next[token] = child
		}
		n = child
	}
	n.pattern = pattern
}

func (n *patternNode) remove(pattern string) { n.prune(pattern, true) }

// prune removes the pattern whose remaining tokens are rest, and the nodes that are
// left without one.
func (n *patternNode) prune(rest string, more bool) {
	if !more {
		n.pattern = ""
		return
	}
	token, rest, more := strings.Cut(rest, ".")
	child := n.next[token]
	child.prune(rest, more)
	if child.pattern == "" && len(child.next) == 0 {
		delete(n.next, token)
	}
}

// appendMatching appends the patterns below n that match the tokens in rest.
func (n *patternNode) appendMatching(all []string, rest string) []string {
	token, rest, more := strings.Cut(rest, ".")
	if tail := n.next[">"]; tail != nil {
		all = append(all, tail.pattern)
	}
	for _, key := range [...]string{token, "*"} {
		child := n.next[key]
		switch {
		case child == nil:
		case more:
			all = child.appendMatching(all, rest)
		case child.pattern != "":
			all = append(all, child.pattern)
		}
	}
	return all
}
