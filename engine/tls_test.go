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
