// Package handler is what an application writes against: it describes a
// connection, the callbacks that serve it, and the paths they are served on. It
// knows nothing of sockets, so an application is tested with a Conn of its own
// and no network.
//
// A Handler receives the events of a connection, a Conn answers them, and a Hub
// reaches all other connections of the same engine. A Request is the opening
// handshake as the client sent it. A Mux finds the Handler of a path, and its
// Decide says whether a request may become a connection; a Refusal is the HTTP
// answer when it may not.
//
// # Who runs what
//
// Callbacks of one connection never overlap and come in order, so a Handler may
// keep unguarded state per connection in Conn.Value. Callbacks of different
// connections run concurrently: what they share needs a lock. All methods of
// Conn and Hub may be called from any goroutine, and none of them blocks.
//
// # What will hurt
//
// The payload given to OnMessage is valid until OnMessage returns; copy it to
// keep it. A peer that reads slower than the application sends is disconnected
// (ErrSlowConsumer). A Handler that blocks holds up its own connection and one
// worker; when the engine runs handlers on its event loops, it holds up every
// connection of that loop.
package handler
