// Package websockets is a server with callbacks that a service loop runs, in the manner
// of the R package websockets.
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
// Daemonize runs that loop in the background, and Run until a context ends.
//
// # Who runs what
//
// As long as one goroutine calls Service no two callbacks overlap, so what they share
// needs no lock. If several do, only those of one connection do not overlap. The page
// runs on goroutines of net/http, whether Service is called or not. Everything else
// may be called from any goroutine, callbacks included.
//
// # What will hurt
//
// The server listens on the loopback interface unless told otherwise, and pages of
// other origins cannot connect unless Options.Engine.Origins lets them. The data given
// to Receive is valid until it returns.
//
// Unlike package handler, this one imports the engine: a server that listens needs one.
package websockets
