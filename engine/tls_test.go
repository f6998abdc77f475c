package engine_test

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// tlsVersions are the versions that engines speak.
var tlsVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

func TestTLSEcho(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		for _, version := range tlsVersions {
			t.Run(tls.VersionName(version), func(t *testing.T) {
				config := ca.client()
				config.MinVersion, config.MaxVersion = version, version
				c := dialSecure(t, e, config, "/")
				for i := range 5 {
					want := fmt.Sprint("message ", i)
					c.put(t, text(want))
					c.expectText(t, want)
				}
				c.put(t, closeFrame(frame.CloseNormal, ""))
				c.expectClose(t, frame.CloseNormal)
				c.expectEnd(t) // a close_notify alert: without it the end would be unexpected
			})
		}
	})
}

// What is published must not reach the socket past the encryption.
func TestTLSBroadcast(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	var clients []*rawClient
	for range 8 {
		clients = append(clients, dialSecure(t, e, ca.client(), "/"))
	}
	eventually(t, "all to be open", func() bool { return e.Hub().Count("") == len(clients) })
	const messages = 50
	for i := range messages {
		e.Hub().Broadcast(frame.Text, fmt.Append(nil, "news ", i), handler.Audience{})
	}
	for _, c := range clients {
		for i := range messages {
			c.expectText(t, fmt.Sprint("news ", i))
		}
	}
}
