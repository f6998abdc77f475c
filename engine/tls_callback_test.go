package engine_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// A callback of crypto/tls that ends the engine does not wait for itself.
func TestTLSCallbackEndsItsEngine(t *testing.T) {
	for _, ender := range enders {
		t.Run(ender.name, func(t *testing.T) {
			results, pair := make(chan error, 1), newAuthority(t).issue(t, "server")
			var e *engine.Engine
			config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				results <- ender.end(e)
				return &pair, nil
			}}
			e = newEngine(t, engine.Options{Mux: routes(handler.Echo{}), TLS: &engine.TLSOptions{Config: config}, CloseTimeout: time.Hour})
			if err := e.Start(); err != nil {
				t.Fatal(err)
			}
			c := dialTCP(t, e)
			go func() { _ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() }() // ends with the connection
			expectNil(t, ender.name, results)
			_ = c.Close()
			receive(t, "Done", e.Done())
		})
	}
}

// The first record of a client may be a little longer than what a loop reads ahead of the
// handshake, and end in a read of its own.
func TestTLSLongestRecordInTwoReads(t *testing.T) {
	e, _ := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), HeaderTimeout: time.Hour})
	record := make([]byte, 5+16<<10) // which is no ClientHello
	copy(record, []byte{22, 3, 1, 16 << 10 >> 8, 0})
	const first = 16<<10 + 2
	c := dialTCP(t, e)
	c.put(t, record[:first])
	eventually(t, "the first part", func() bool { return e.Counters().BytesIn == first })
	c.put(t, record[first:])
	if b, err := c.in.ReadByte(); err != nil || b != 21 {
		t.Errorf("got byte %d, error %v; want an alert", b, err)
	}
}
