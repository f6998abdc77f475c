package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/weirws/weir/handler"
)

// TopicOptions are what holds for the topics that a pattern matches.
type TopicOptions struct {
	// Pattern is a topic, or has wildcards as handler.Conn.Subscribe describes them.
	Pattern string
	// Window is how long a publication waits, at most, for others that then leave in the
	// same write: fewer packets and system calls for more latency. What waits leaves earlier
	// if it is 64 publications or 256 KiB, if something is published to a topic without a window
	// or broadcast, so that the order is kept, and when a drain begins. Subscriptions that
	// change meanwhile wait too, and what was published before and after such a change takes
	// a write each. What is given to Conn.Send meanwhile overtakes what waits. Default: 0,
	// nothing waits. Longest: 1 minute.
	Window time.Duration
	// SlowPolicy is what happens to publications for connections whose peer is slow to
	// read and that have set no policy. Default: that of the connection's route, or else the
	// engine's.
	SlowPolicy handler.SlowPolicy
}

const longestWindow = time.Minute

// check reports what is wrong with the options.
func (o *TopicOptions) check() error {
	if !isSubject(o.Pattern, true) {
		return fmt.Errorf("engine: Topics: the pattern %q is malformed: %w", o.Pattern, handler.ErrTopic)
	}
	if o.Window < 0 || o.Window > longestWindow {
		return fmt.Errorf("engine: Topics: the Window of %s is %v; it must be from 0 to %v", o.Pattern, o.Window, longestWindow)
	}
	if !o.SlowPolicy.Valid() {
		return fmt.Errorf("engine: Topics: the SlowPolicy of %s is %d: %w", o.Pattern, uint8(o.SlowPolicy), handler.ErrSlowPolicy)
	}
	return nil
}

// topicOptions returns the options of a topic, those of the first pattern that
// matches, or nil if there is none.
func (o *Options) topicOptions(topic string) *TopicOptions {
	for i := range o.Topics {
		if matches(o.Topics[i].Pattern, topic) {
			return &o.Topics[i]
		}
	}
	return nil
}

// matches reports whether a pattern matches a topic.
func matches(pattern, topic string) bool {
	for {
		wanted, patternRest, patternMore := strings.Cut(pattern, ".")
		token, topicRest, topicMore := strings.Cut(topic, ".")
		switch {
		case wanted == ">":
			return true
		case wanted != "*" && wanted != token || patternMore != topicMore:
			return false
		case !topicMore:
			return true
		}
		pattern, topic = patternRest, topicRest
	}
}
