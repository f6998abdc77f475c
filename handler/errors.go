package handler

import "errors"

// Returned by the methods of Conn and Hub. In every case nothing was queued.
var (
	// ErrClosed: the close handshake has begun or the connection has ended.
	ErrClosed = errors.New("handler: connection closed")
	// ErrSlowConsumer: the peer reads too slowly for what is sent to it. It is
	// also the CloseStatus.Err of a connection that was closed for that.
	ErrSlowConsumer = errors.New("handler: slow consumer")
	// ErrOpcode: the opcode is neither frame.Text nor frame.Binary.
	ErrOpcode = errors.New("handler: opcode of a message must be text or binary")
	// ErrPingTooLong: the payload of a ping is above 125 bytes.
	ErrPingTooLong = errors.New("handler: ping payload above 125 bytes")
	// ErrCloseCode: the code must not appear in a close frame.
	ErrCloseCode = errors.New("handler: close code must not be sent")
	// ErrTopic: the topic is malformed, or has wildcards where none may be.
	ErrTopic = errors.New("handler: malformed topic")
	// ErrBusy: more is being published than the engine can hand out, and as much waits
	// as may.
	ErrBusy = errors.New("handler: too many publications wait")
	// ErrSlowPolicy: the policy is none of those there are.
	ErrSlowPolicy = errors.New("handler: no such slow policy")
	// ErrRate: the rate is negative.
	ErrRate = errors.New("handler: negative rate")
	// ErrNotFound: no open connection has this id.
	ErrNotFound = errors.New("handler: no such connection")
)

// Found in CloseStatus.Err: the engine ended the connection.
var (
	// ErrPongTimeout: the peer left a ping unanswered.
	ErrPongTimeout = errors.New("handler: no pong in time")
	// ErrIdleTimeout: the peer sent no message for longer than allowed.
	ErrIdleTimeout = errors.New("handler: idle for too long")
	// ErrCloseTimeout: the peer left our close frame unanswered.
	ErrCloseTimeout = errors.New("handler: close handshake not finished in time")
	// ErrAborted: the application cut the connection.
	ErrAborted = errors.New("handler: connection aborted")
	// ErrPanic: a callback of the connection panicked, or called runtime.Goexit.
	ErrPanic = errors.New("handler: callback panicked")
)

// Returned by Mux.Add and Policy.Check, wrapped with the offending value.
var (
	// ErrNilHandler: the route has no Handler.
	ErrNilHandler = errors.New("handler: route without a handler")
	// ErrBadPath: the path is neither "*" nor a slash followed by characters
	// that a path can have.
	ErrBadPath = errors.New("handler: bad path")
	// ErrDuplicatePath: there is a route for this path already.
	ErrDuplicatePath = errors.New("handler: duplicate path")
	// ErrBadOrigin: the origin pattern has none of the forms of CheckOrigin.
	ErrBadOrigin = errors.New("handler: bad origin pattern")
	// ErrBadSubprotocol: the name is not a token (RFC 9110 section 5.6.2).
	ErrBadSubprotocol = errors.New("handler: bad subprotocol")
)

// ErrBadHeader is returned by Request.SetHeader and AddHeader for a header field
// that cannot be part of the response, wrapped with its name.
var ErrBadHeader = errors.New("handler: bad response header")
