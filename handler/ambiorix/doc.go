// Package ambiorix is an application of named messages: a page and a server tell
// each other "greeting", "chat" or "count", each with a value, and the receiver
// registered under that name gets it. It takes over the model, the wire format and
// the pages of the R framework Ambiorix.
//
// An App has receivers, of its own and from each Router it uses; a Client is a
// connection that a receiver answers; Broadcast reaches all clients, all but one, or
// a group that clients have joined. The App brings the HTTP side along, routes and
// files on net/http, and the browser's part: one script without dependencies. It
// knows nothing of sockets. Its Mux and HTTP go into the options of an engine.
//
// # The wire
//
// A message is one text message, a JSON object:
//
//	{"name":"greeting","message":"hello","isAmbiorix":true}
//
// That is how the App writes it, byte for byte: these fields in this order, no space
// between them. Coming in, the fields may be in any order and others among them;
// names are compared exactly, and the last of two fields with one name counts. A
// message that is absent is null. What is not such a message has one of these
// outcomes:
//
//	JSON that is no object, no isAmbiorix, or another
//	value in it than true                                ignored
//	no name, a name that is no string, or one without
//	a receiver                                           ignored
//	text that is not JSON                                closed with 1007
//	a binary message                                     closed with 1003
//	the receiver returns an error or panics              closed with 1011
//
// Others never notice. A receiver gets the message as the JSON it came as, so that
// what it relays loses nothing: integers beyond 53 bits, 1e20, a list of one.
//
// # Who runs what
//
// Messages of one client come to receivers one at a time and in order, those of
// different clients concurrently: what receivers share needs a lock. All methods of
// App, Router and Client may be called from any goroutine, and sending never blocks.
// What one goroutine broadcasts reaches each client in that order, and so does what it
// sends to one client; nothing is promised about the order of the two.
//
// # What will hurt
//
// Decode[any] turns numbers into float64; relay the message instead. Pages of other
// origins are refused unless the engine's Origins allow them.
package ambiorix
