package feed

import "errors"

// Returned by JSON, ParseKey and the methods of Feed.
var (
	// ErrTopic: the name of the topic is malformed.
	ErrTopic = errors.New("feed: malformed topic")
	// ErrTooManyTopics: there are Options.MaxTopics already, and all of them are in use.
	ErrTooManyTopics = errors.New("feed: too many topics")
	// ErrTooLarge: a message is larger than Options.ReplayBytes, as subscribers get it.
	ErrTooLarge = errors.New("feed: message too large")
	// ErrBusy: more is being published than the engine can hand out.
	ErrBusy = errors.New("feed: too many messages wait")
	// ErrClosed: the feed has been closed.
	ErrClosed = errors.New("feed: closed")
	// ErrNotJSON: the message is not one JSON value in UTF-8.
	ErrNotJSON = errors.New("feed: message is not JSON")
	// ErrKey: the bytes are not a key that tokens can be verified with.
	ErrKey = errors.New("feed: unusable key")
)

// A failure is why a request of a client was not fulfilled. Its code is part of the
// protocol, its text is for people.
type failure struct {
	code   string
	text   string
	status int // of the HTTP response, if there is one
}

var (
	errMalformed     = &failure{"malformed", "a message to the server must be a JSON object with a known op", 400}
	errBadTopic      = &failure{"bad-topic", "a topic is letters, digits, - and _ in tokens with dots in between, 200 bytes at most", 400}
	errBadCursor     = &failure{"bad-offset", "offset must be a whole number, none that is still to come, and epoch must go with it unless it is 0", 400}
	errNoData        = &failure{"no-data", "what is published must be in the field data, as any JSON value", 400}
	errTooLarge      = &failure{"too-large", "a message is larger, as subscribers get it, than the server can deliver; nothing was published", 413}
	errForbidden     = &failure{"forbidden", "the token does not allow this topic, or has expired", 403}
	errSubscribed    = &failure{"subscribed", "the connection is subscribed to the topic already", 409}
	errNotSubscribed = &failure{"not-subscribed", "the connection is not subscribed to the topic", 409}
	errDropping      = &failure{"dropping", "a connection with ?slow= does not unsubscribe; it is closed instead", 409}
	errBadSlow       = &failure{"bad-slow", "slow must be drop-newest, drop-oldest or conflate", 400}
	errManyTopics    = &failure{"too-many-topics", "the server has as many topics as it may have", 503}
	errBusy          = &failure{"busy", "more is being published than the server can hand out", 503}
	errClosing       = &failure{"closing", "the server is about to end, and takes no more messages", 503}
	errManySubs      = &failure{"too-many-subscriptions", "the connection has as many subscriptions as it may have", 503}
)

// reply is what the client is told. It has nothing of the request that is not known to be
// short.
func (f *failure) reply(r *request) errorReply {
	e := errorReply{Type: "error", Code: f.code, Text: f.text}
	if f != errMalformed {
		e.Op = r.Op
	}
	if isTopic(r.Topic) {
		e.Topic = r.Topic
	}
	return e
}
