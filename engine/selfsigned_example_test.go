package engine_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A server and a client that trusts it, without files.
func ExampleSelfSigned() {
	certificate, key, err := engine.SelfSigned(time.Now().Add(time.Hour), "127.0.0.1")
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		log.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)

	mux := handler.NewMux()
	mux.Handle("/echo", handler.Echo{})
	server, err := engine.New(engine.Options{
		Address: "127.0.0.1:0", Mux: mux,
		TLS: &engine.TLSOptions{Config: &tls.Config{Certificates: []tls.Certificate{pair}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	echo := make(chan string, 1)
	c, err := server.Dial(context.Background(), "wss://"+server.Addr().String()+"/echo",
		handler.Func(func(_ handler.Conn, _ frame.Opcode, payload []byte) { echo <- string(payload) }),
		engine.DialOptions{TLSConfig: &tls.Config{RootCAs: trusted}})
	if err != nil {
		log.Fatal(err)
	}
	c.Send(frame.Text, []byte("hello over TLS"))
	fmt.Println(<-echo)
	// Output: hello over TLS
}
