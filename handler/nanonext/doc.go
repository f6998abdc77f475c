// Package nanonext serves WebSocket and HTTP handlers by path on one port, in the
// manner of the R package nanonext.
//
// A Server is made of a URL, options of its engine, and any number of Handlers:
// WebSocket for messages, and Func, File, Directory, Inline, Redirect and Stream for
// HTTP, which runs on net/http. Two handlers for the same thing are refused when the
// server is made.
//
//	s, err := nanonext.NewServer("http://127.0.0.1:8080", engine.Options{},
//		nanonext.WebSocket{Path: "/echo", Text: true, Message: func(ws nanonext.Conn, data []byte) { ws.Send(data) }},
//		nanonext.Directory{Path: "/", Dir: "www"},
//	)
//
// # Who runs what
//
// Callbacks of a WebSocket handler run where the engine runs handlers: on its workers
// by default, in order and one at a time for each connection. HTTP handlers run on the
// goroutines of net/http. What different connections share needs a lock.
//
// # What is where
//
// A path belongs to WebSocket or to HTTP: on the path of a WebSocket handler anything
// but an upgrade is answered 426 or 405, and an upgrade elsewhere 404. A WebSocket
// handler for "*" takes upgrades elsewhere too, except on the path of an HTTP handler
// without prefix, where they stay 404; what is no upgrade it leaves to HTTP.
//
// The path of a request is percent-decoded, its query is not looked at, and one slash at
// its end may be missing or too much. An exact path goes before a prefix, a longer prefix
// before a shorter one. A path with a segment ".." is answered 400 whatever its handler.
//
// # What has how long
//
// The body of an HTTP request has 30 s to arrive, whatever answers it, so that nobody holds
// a connection with one that does not end. A Func, or the HTTP handler of the engine's
// options, may set another deadline with http.ResponseController. For their answers there is
// none; what a Stream sends has Options.SlowTimeout of the engine for each piece.
//
// Unlike package handler, this one imports the engine: a server that can be started
// needs one.
package nanonext
