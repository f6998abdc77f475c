package engine_test

import (
	"bufio"
	"crypto/tls"
	"net/http"
	"sync"
	"testing"

	"github.com/weirws/weir/frame"
)

// BenchmarkIdleMemoryTLS prints what an idle connection over TLS costs, as
// BenchmarkIdleMemory does, and what it costs once it has echoed a message of 16 KiB:
// a tls.Conn keeps the buffer of the largest record it has read.
func BenchmarkIdleMemoryTLS(b *testing.B) {
	const held = 5_000
	needDescriptors(b, 2*held)
	for _, version := range tlsVersions {
		b.Run(tls.VersionName(version), func(b *testing.B) {
			for b.Loop() {
				measureIdleTLS(b, version, held)
			}
		})
	}
}

// measureIdleTLS reports what n idle connections cost.
func measureIdleTLS(b *testing.B, version uint16, n int) {
	ca := newAuthority(b)
	certFile, keyFile := writePair(b, b.TempDir(), ca.issue(b, "server"))
	server := startProcess(b, "idle server")
	address := server.ask(b, "start TLS %s %s", certFile, keyFile)
	config := ca.client()
	config.MaxVersion = version
	before := askUsage(b, server, "settled")
	clients := make([]*rawClient, n)
	defer func() {
		for _, c := range clients {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	eachOf(b, clients, func(c **rawClient) error {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return err
		}
		*c = &rawClient{Conn: conn, in: bufio.NewReaderSize(conn, 512)}
		if _, err := conn.Write(upgrade("/")); err != nil {
			return err
		}
		_, err = http.ReadResponse((*c).in, nil)
		return err
	})
	report := func(name string, now usage) {
		b.ReportMetric(float64(now.resident-before.resident)/float64(n), "rss-B/conn"+name)
		b.ReportMetric(float64(now.heap-before.heap)/float64(n), "heap-B/conn"+name)
		b.ReportMetric(float64(now.objects-before.objects)/float64(n), "objects/conn"+name)
	}
	report("", askUsage(b, server, "settled"))
	message := masked(frame.Binary, make([]byte, 16<<10))
	eachOf(b, clients, func(c **rawClient) error {
		if _, err := (*c).Write(message); err != nil {
			return err
		}
		_, _, err := (*c).readMessage()
		return err
	})
	report("-after-16KiB", askUsage(b, server, "settled"))
}

// eachOf calls f for all clients, for some at the same time.
func eachOf(b *testing.B, clients []*rawClient, f func(**rawClient) error) {
	b.Helper()
	const atOnce = 20
	var group sync.WaitGroup
	for first := range atOnce {
		group.Go(func() {
			for i := first; i < len(clients); i += atOnce {
				if err := f(&clients[i]); err != nil {
					b.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
}
