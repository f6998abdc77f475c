// Package feed is a ready handler for feeds: topics with a history, to which clients
// subscribe over WebSocket and publishers post over HTTP or WebSocket. A client that was
// away gets exactly what it has missed, or is told what it cannot have any more.
//
// A Feed is made of Options and put on the routes of an engine; Key, Message and Published
// belong to it. "weir serve --feed" is a server made of it.
//
//	f, err := feed.New(feed.Options{PublishKeys: keys})
//	mux.Handle("/feed", f)
//	mux.Handle("*", f) // /feed/{topic}; other paths are refused with 404
//	e, err := engine.New(engine.Options{Mux: mux, HTTP: f})
//
// # Topics, offsets, epochs
//
// A topic is tokens of ASCII letters, digits, - and _ with dots in between, such as
// orders.eu; it comes into being when it is first used. Its messages are numbered from 1
// without gaps: that is the offset. Offsets belong to an epoch, which is another one when
// the server has restarted or has forgotten the topic. Epoch and offset together say how
// far a client has come.
//
// # Publishing over HTTP
//
// POST /publish/{topic} with a token in "Authorization: Bearer". The body is one message:
// a JSON value with Content-Type application/json; text, or bytes if it is not UTF-8, with
// any other. With application/x-ndjson it is up to 1000 JSON values, one a line, of which
// none is published if one of them cannot be. The answer has the offset of the last:
//
//	{"topic":"orders.eu","epoch":"6b1d…-1","offset":7,"count":1}
//
// A message that is larger than Options.ReplayBytes, as subscribers get it, cannot be delivered
// and is answered 413, as is a body above MaxBodyBytes.
//
// While more is published than the engine can hand out (handler.ErrBusy) the answer is 503,
// and says how many of a batch were published before. It is 503 too once the feed is closed,
// which Feed.Close does before the engine is shut down, even if the request began before.
//
// # Subscribing
//
// A WebSocket to /feed/{topic} is subscribed from the start and gets the newest message
// first. With ?since=OFFSET&epoch=EPOCH it gets what came after OFFSET first, with ?since=0
// all that there is. A WebSocket to /feed uses the protocol, which the other may use too. A
// token is given in Authorization or as ?token=. Requests are JSON objects in text messages:
//
//	{"op":"subscribe","topic":T}                       the newest message, and those to come
//	{"op":"resume","topic":T,"epoch":E,"offset":N}     those after N, and those to come
//	{"op":"unsubscribe","topic":T}
//	{"op":"publish","topic":T,"data":any JSON value}   answered as over HTTP, of type "published"
//	{"op":"presence","topic":T}                        the number of subscribers
//	{"op":"info"}                                      own subscriptions, and patterns of what is allowed
//	{"op":"ping"}
//
// And these are what the server says:
//
//	{"type":"subscribed","topic":T,"epoch":E,"offset":N}   what is sent from here on begins
//	                          with the history, if there is any to send, which ends at N
//	{"type":"message","topic":T,"offset":N,"data":…}       or "text", or "base64"
//	{"type":"gap","topic":T,"epoch":E,"reason":R,"from":A,"to":B}   offsets A to B of this epoch
//	                          are gone. R is "history": they have left it; or "epoch": what the
//	                          client has seen was another epoch, how much of that it has missed
//	                          is not known, and this one is sent from its beginning
//	{"type":"missed","topic":T,"count":N}                  N messages were dropped, see below;
//	                          without a topic: N of topics beyond the 256 that are told one by one
//	{"type":"more","topic":T,"epoch":E,"offset":N}         the connection is not subscribed,
//	                          because too much history is under way to it: resume from N, now
//	                          that this has been read
//	{"type":"unsubscribed","topic":T}                      no message of T follows
//	{"type":"presence","topic":T,"subscribers":N}
//	{"type":"published",…}, {"type":"info",…}, {"type":"pong"}
//	{"type":"error","op":…,"topic":…,"code":C,"text":…}    C is malformed, bad-topic, bad-offset,
//	                          no-data, too-large, forbidden, subscribed, not-subscribed, dropping,
//	                          too-many-topics, too-many-subscriptions, busy or closing; nothing
//	                          has changed
//
// # Slow subscribers
//
// A client that reads too slowly is closed with 1008, whatever the policy elsewhere: nothing is
// dropped for it, and it resumes. With ?slow=drop-newest, ?slow=drop-oldest or ?slow=conflate in
// the path it stays connected, and messages of its subscriptions are dropped as
// handler.SlowPolicy says; a topic has one key, so conflate keeps the newest message of each. Its
// client sees by the offsets where something is missing, and once it reads again "missed" tells
// how many: what comes of a topic behind "subscribed", what gaps and what "missed" messages say
// are together all that was published, when the client has caught up; for a client that is
// behind in more than 256 topics, all that was published to its topics. "missed" overtakes
// messages that wait, as all replies do. If the connection ends before that, the
// offsets alone tell, and a resumption begins behind the last message seen. Such a connection
// cannot unsubscribe: what it would be told in turn might be dropped.
//
// # Tokens
//
// A token is a JWT signed with a key of the server, by the algorithm that belongs to the key
// and no other. Its claims "publish" and "subscribe" are lists of topics and patterns, with *
// for one token and > at the end for one or more; exp and nbf are heeded if they are there.
// Rights are looked at when they are used: a subscription outlives the token it was made with.
//
// # Why nothing is lost and nothing comes twice
//
// A topic has a lock. Under it a message gets its offset, is posted to the engine and
// enters the history, so the engine has the messages of a topic in the order of their offsets, and it
// delivers publications and changes of subscriptions in the order in which they were posted.
// One that the engine is too busy to take gets no offset.
//
// A subscription is posted under the same lock, after everything up to offset N was posted
// and before everything above: the engine brings exactly what is above N. What the client has
// missed up to N is put in its outbox before the lock is released, so it stands before N+1
// there. To keep the lock short, all but the last few are sent before it is taken: nothing
// else of the topic reaches the connection meanwhile, as it is not subscribed.
//
// That holds for a connection that was never subscribed to the topic before. After an
// "unsubscribe", messages may still be on their way through the engine, and must not be
// overtaken by what a new subscription begins with. From then on the connection gets such
// beginnings by publication to a subject that it alone is subscribed to, and the engine's
// order includes them. The answer to "unsubscribe" goes this way too. If the engine is too
// busy for them, the connection is closed with 1013.
//
// That is so unless the client has asked for a policy that drops.
//
// # What will hurt
//
// One Feed serves one engine. Memory is bounded by MaxTopics times HistoryBytes, or ReplayBytes
// if that is more, which with the defaults is 10 GB: lower one of them if publishers may make many topics. Where
// everybody may subscribe, subscribers can use up the topics too.
package feed
