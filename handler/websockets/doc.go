// Package websockets is a server, and a client, with callbacks that a service loop runs,
// in the manner of the R package websockets.
//
// A Server upgrades every path, and answers every other request with one page. Its
// Callbacks Established, Receive and Closed may be replaced while it runs. They run on
// the goroutine that calls Service, and nowhere else:
//
//	s, err := websockets.NewServer(websockets.Options{Page: websockets.StaticFile("chat.html")})
//	s.Receive(func(data []byte, ws *websockets.Conn, _ websockets.Header) { s.Broadcast(data) })
//	for {
//		s.Service(time.Second)
//	}
//
// Daemonize runs that loop in the background, and Run until a context ends. A Client
// opens connections and has the same callbacks and the same loop.
//
// # Who runs what
//
// Callbacks of one server, or client, never overlap, so what they share with each other
// needs no lock. The page runs on goroutines of net/http, whether Service is called or
// not. All methods may be called from any goroutine, and by callbacks, with three that
// wait for callbacks and so cannot be called by one: Close, Run and Dial.
//
// # What will hurt
//
// The server listens on the loopback interface unless told otherwise, and pages of
// other origins cannot connect unless Options.Engine.Origins lets them. The data given
// to Receive is valid until it returns.
//
// Unlike package handler, this one imports the engine: a server that listens needs one.
package websockets
