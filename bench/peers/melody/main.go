// Command melody serves the benchmark's paths on olahol/melody, which is a hub
// on gorilla/websocket, the way its examples do. A message that finds the queue of
// a session full, 256 messages, is dropped.
package main

import (
	"net/http"

	"github.com/olahol/melody"

	"github.com/weirws/weir/bench/peers/serve"
)

// maxMessageBytes is above what the benchmark sends; the default is 512.
const maxMessageBytes = 16 << 20

func main() {
	echo := newMelody()
	echo.HandleMessage(func(s *melody.Session, message []byte) { _ = s.Write(message) })
	echo.HandleMessageBinary(func(s *melody.Session, message []byte) { _ = s.WriteBinary(message) })
	broadcast := newMelody()
	broadcast.HandleMessage(func(_ *melody.Session, message []byte) { _ = broadcast.Broadcast(message) })
	broadcast.HandleMessageBinary(func(_ *melody.Session, message []byte) { _ = broadcast.BroadcastBinary(message) })
	serve.Main(func(address string) error {
		return serve.HTTP(address, handle(echo), handle(broadcast))
	})
}

func newMelody() *melody.Melody {
	m := melody.New()
	m.Config.MaxMessageSize = maxMessageBytes
	return m
}

func handle(m *melody.Melody) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = m.HandleRequest(w, r) // it has answered
	}
}
