package feed

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

const (
	socketPath = "/feed"

	maxSubscriptions = 1000 // of one connection
)

// A session is what a connection is and may do. Only callbacks of its connection use it,
// and those do not overlap.
type session struct {
	conn      handler.Conn
	publish   right
	subscribe right
	topics    []string // subscribed to
	parted    bool     // has ever unsubscribed, see doc.go
	drops     bool     // its client has chosen to miss messages rather than be closed

	// How far the client is known to have read the history that it was sent.
	sent  uint64          // bytes
	read  uint64          // of those
	marks map[string]mark // by topic: where it was told that there is more; nil before
}

// A mark is a place in what a connection was sent. A client that goes on from there has
// read everything before it.
type mark struct {
	offset uint64
	sent   uint64
}

// A request is a message of a client.
type request struct {
	Op     string          `json:"op"`
	Topic  string          `json:"topic"`
	Epoch  string          `json:"epoch"`
	Offset *uint64         `json:"offset"`
	Data   json.RawMessage `json:"data"`
}

// OnOpen accepts connections to /feed, and to /feed/{topic}, which it subscribes. See the
// package documentation for the query.
func (f *Feed) OnOpen(c handler.Conn, r *handler.Request) error {
	name, ok := topicOf(r.Path)
	if !ok {
		return handler.Refuse(http.StatusNotFound, "no such path")
	}
	query := r.Query()
	token := bearer(r.Header.Get("Authorization"))
	if token == "" {
		token = query.Get("token")
	}
	s := &session{conn: c}
	if s.publish, s.subscribe, ok = f.rights(token); !ok {
		refusal := handler.Refuse(http.StatusUnauthorized, "a valid token is needed")
		refusal.Header.Set("WWW-Authenticate", "Bearer")
		return refusal
	}
	policy, known := slowPolicyOf(query)
	if !known {
		return handler.Refuse(errBadSlow.status, errBadSlow.text)
	}
	s.drops = policy != handler.Disconnect
	f.attach(c.Hub())
	c.SetValue(s)
	_ = c.SetSlowPolicy(policy) // an engine that has ended sends nothing
	if name == "" {
		return nil
	}
	at, failed := cursorOf(query)
	if failed == nil {
		failed = f.follow(s, name, at)
	}
	if failed != nil {
		return handler.Refuse(failed.status, failed.text)
	}
	return nil
}

// topicOf returns the topic in a path, "" if it names none. It reports false for a path that
// is not the feed's.
func topicOf(path string) (topic string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(path, "/"), socketPath)
	if !ok || rest == "" {
		return "", ok
	}
	topic, ok = strings.CutPrefix(rest, "/")
	return topic, ok && topic != ""
}

// slowPolicyOf returns what is to happen to messages for a client that reads too slowly. It
// reports false for what is none of the possibilities. A client that is closed resumes; one for
// which messages are dropped has a gap, and so that has to be asked for.
func slowPolicyOf(query url.Values) (p handler.SlowPolicy, ok bool) {
	if !query.Has("slow") {
		return handler.Disconnect, true
	}
	p, ok = map[string]handler.SlowPolicy{
		"drop-newest": handler.DropNewest, "drop-oldest": handler.DropOldest, "conflate": handler.Conflate,
	}[query.Get("slow")]
	return p, ok
}

// cursorOf returns where a subscription by path starts.
func cursorOf(query url.Values) (cursor, *failure) {
	if !query.Has("since") {
		return cursor{newest: true}, nil
	}
	offset, err := strconv.ParseUint(query.Get("since"), 10, 64)
	if err != nil {
		return cursor{}, errBadCursor
	}
	return resumption(query.Get("epoch"), &offset)
}

// resumption returns the cursor of a client that has seen messages up to offset.
func resumption(epoch string, offset *uint64) (cursor, *failure) {
	if offset == nil || epoch == "" && *offset > 0 {
		return cursor{}, errBadCursor
	}
	return cursor{epoch: epoch, offset: *offset}, nil
}

// OnMessage does what a client asks for.
func (f *Feed) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	if op != frame.Text {
		_ = c.Close(frame.CloseUnsupportedData, "text messages only") // else it is closing already
		return
	}
	s := c.Value().(*session)
	var r request
	failed := errMalformed
	if err := json.Unmarshal(payload, &r); err == nil {
		failed = f.do(s, &r)
	}
	if failed != nil {
		s.send(prepare(failed.reply(&r)))
	}
}

// OnMissed tells a client how many messages of a topic were dropped for it, or of topics that
// are not counted one by one.
func (f *Feed) OnMissed(c handler.Conn, subject string, n int) {
	topic, ok := strings.CutPrefix(subject, f.subject(""))
	switch {
	case ok:
	case subject == handler.OtherTopics:
		topic = ""
	default:
		return // the application's
	}
	c.Value().(*session).send(prepare(missedReply{Type: "missed", Topic: topic, Count: n}))
}

// OnClose does nothing: the engine ends the subscriptions.
func (f *Feed) OnClose(handler.Conn, handler.CloseStatus) {}

// do fulfils a request, or returns why not.
func (f *Feed) do(s *session, r *request) *failure {
	switch r.Op {
	case "subscribe":
		return f.follow(s, r.Topic, cursor{newest: true})
	case "resume":
		at, failed := resumption(r.Epoch, r.Offset)
		if failed != nil {
			return failed
		}
		return f.follow(s, r.Topic, at)
	case "unsubscribe":
		return f.unfollow(s, r.Topic)
	case "publish":
		return f.publishFor(s, r)
	case "presence":
		return f.tellPresence(s, r.Topic)
	case "info":
		s.send(prepare(infoReply{
			Type: "info", Subscriptions: append([]string{}, s.topics...),
			Subscribe: append([]string{}, s.subscribe.patterns...), Publish: append([]string{}, s.publish.patterns...),
		}))
	case "ping":
		s.send(prepare(pongReply{Type: "pong"}))
	default:
		return errMalformed
	}
	return nil
}

func (f *Feed) publishFor(s *session, r *request) *failure {
	switch {
	case !isTopic(r.Topic):
		return errBadTopic
	case !s.publish.allows(r.Topic, f.now()):
		return errForbidden
	case len(r.Data) == 0:
		return errNoData
	}
	m, err := JSON(r.Data)
	if err != nil {
		return errMalformed
	}
	p, err := f.Publish(r.Topic, m)
	if err != nil {
		return failureOf(err)
	}
	s.send(prepare(publishedReply{"published", p}))
	return nil
}

func (f *Feed) tellPresence(s *session, topic string) *failure {
	if failed := f.mayFollow(s, topic); failed != nil {
		return failed
	}
	s.send(prepare(presenceReply{Type: "presence", Topic: topic, Subscribers: f.Subscribers(topic)}))
	return nil
}

// send queues a message. It reports false if the connection is ending, of which OnClose
// tells the rest.
func (s *session) send(m *frame.Prepared) bool { return s.conn.SendPrepared(m) == nil }

// failureOf returns what a client is told about an error of Publish.
func failureOf(err error) *failure {
	switch {
	case errors.Is(err, ErrTooManyTopics):
		return errManyTopics
	case errors.Is(err, ErrTooLarge):
		return errTooLarge
	case errors.Is(err, ErrBusy):
		return errBusy
	case errors.Is(err, ErrClosed):
		return errClosing
	default:
		return errBadTopic
	}
}
