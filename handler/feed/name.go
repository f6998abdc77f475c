package feed

import "strings"

const longestTopic = 200 // bytes

// isTopic reports whether name names a topic: tokens of ASCII letters, digits, hyphens
// and underscores, with dots in between. It stands in URLs and JSON as it is.
func isTopic(name string) bool {
	if len(name) > longestTopic {
		return false
	}
	for token := range strings.SplitSeq(name, ".") {
		if token == "" || strings.ContainsFunc(token, isNoNameRune) {
			return false
		}
	}
	return true
}

func isNoNameRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// covers reports whether pattern is topic, or matches it by the rules of NATS: a star
// is any one token, and > at the end is one or more.
func covers(pattern, topic string) bool {
	for {
		want, restWant, moreWant := strings.Cut(pattern, ".")
		got, restGot, moreGot := strings.Cut(topic, ".")
		switch {
		case want == ">" && !moreWant:
			return true
		case want != "*" && want != got:
			return false
		case !moreWant || !moreGot:
			return moreWant == moreGot
		}
		pattern, topic = restWant, restGot
	}
}

// coversAny reports whether one of patterns covers topic.
func coversAny(patterns []string, topic string) bool {
	for _, p := range patterns {
		if covers(p, topic) {
			return true
		}
	}
	return false
}
