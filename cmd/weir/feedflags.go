package main

import (
	"cmp"
	"flag"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/feed"
)

// feedOptions are the flags about the feed.
type feedOptions struct {
	on            bool
	options       feed.Options // but for the keys
	publishKeys   []string     // files
	subscribeKeys []string
}

const mostTopics = 1 << 24

func feedFlags(fs *flag.FlagSet) (*feedOptions, error) {
	f, err := feed.New(feed.Options{})
	if err != nil {
		return nil, err
	}
	d := f.Options()
	o := new(feedOptions)
	notEmpty := func(s string) bool { return s != "" }
	fs.Var(toggle(&o.on), "feed", "serve a feed: /feed, /publish/{topic} and the page /live")
	fs.Var(list(&o.publishKeys, "the path of a file", notEmpty), "feed-publish-key",
		"`file` with a key for the tokens of publishers: a secret (HS256), or a public RSA (RS256) or Ed25519 (EdDSA) key in PEM; may be repeated (default: a new secret, of which a token is printed)")
	fs.Var(list(&o.subscribeKeys, "the path of a file", notEmpty), "feed-subscribe-key",
		"`file` with a key for the tokens of subscribers; may be repeated (default: they need none)")
	fs.Var(whole(&o.options.HistoryCount, 1, mostBytes, d.HistoryCount), "feed-history-count", "`number` of messages kept of each topic")
	fs.Var(whole(&o.options.HistoryBytes, 1, mostBytes, d.HistoryBytes), "feed-history-bytes", "`bytes` of messages kept of each topic")
	fs.Var(spanOrNever(&o.options.HistoryAge, -1, d.HistoryAge), "feed-history-age", "`time` that messages are kept; 0: for ever")
	fs.Var(whole(&o.options.MaxTopics, 1, mostTopics, d.MaxTopics), "feed-topics", "`number` of topics at most")
	return o, nil
}

// check refuses flags without --feed, and fills in what follows from those of the engine.
func (o *feedOptions) check(fs *flag.FlagSet, e, d engine.Options) error {
	for _, name := range []string{
		"feed-publish-key", "feed-subscribe-key", "feed-history-count", "feed-history-bytes", "feed-history-age", "feed-topics",
	} {
		if given(fs, name) && !o.on {
			return usagef("--%s needs --feed, which is off", name)
		}
	}
	// Half of what may wait for a peer is left to what is published meanwhile.
	hard := outboxHard(e, d)
	o.options.ReplayBytes = max(1, hard/2)
	o.options.MaxBodyBytes = cmp.Or(e.MaxMessageBytes, d.MaxMessageBytes)
	if o.on && o.options.MaxBodyBytes > o.options.ReplayBytes {
		return usagef("--max-message is %d; with --feed it must be at most half of --outbox-hard, which is %d", o.options.MaxBodyBytes, hard)
	}
	return nil
}
