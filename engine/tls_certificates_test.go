package engine_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

func TestMutualTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, authorities, "CERTIFICATE", ca.cert.Raw)
	names := make(chan string, 1)
	o := withCertificate(ca.issue(t, "server"))
	o.ClientCAFile = authorities
	e := startEngine(t, engine.Options{TLS: o, Mux: routes(handler.Funcs{
		Open: func(_ handler.Conn, r *handler.Request) error {
			names <- r.TLS.PeerCertificates[0].Subject.CommonName
			return nil
		},
	})})
	for _, version := range tlsVersions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			config := ca.client()
			config.MaxVersion = version
			known := config.Clone()
			known.Certificates = []tls.Certificate{ca.issue(t, "client")}
			dialSecure(t, e, known, "/")
			if got := receive(t, "OnOpen", names); got != "client" {
				t.Errorf("the client is %q; want client", got)
			}
			unknown := config.Clone()
			unknown.Certificates = []tls.Certificate{stranger.issue(t, "client")}
			// A client that has a certificate of another authority does not send it unless made to.
			unknown.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &unknown.Certificates[0], nil
			}
			for name, config := range map[string]*tls.Config{"without certificate": config, "of another authority": unknown} {
				if err := handshakeAndRead(t, e, config); !isAlert(err) {
					t.Errorf("client %s: %v; want an alert", name, err)
				}
			}
		})
	}
}

// handshakeAndRead returns why the server refuses a client. With TLS 1.3 the client
// learns that when it reads.
func handshakeAndRead(t *testing.T, e *engine.Engine, config *tls.Config) error {
	t.Helper()
	conn := tls.Client(dialTCP(t, e).Conn, config)
	if err := conn.Handshake(); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

// With a ClientAuth that lets them in clients may come without a certificate.
func TestMutualTLSOptional(t *testing.T) {
	ca := newAuthority(t)
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, authorities, "CERTIFICATE", ca.cert.Raw)
	o := withCertificate(ca.issue(t, "server"))
	o.ClientCAFile = authorities
	o.Config.ClientAuth = tls.VerifyClientCertIfGiven
	e := startEngine(t, engine.Options{TLS: o, Mux: routes(handler.Echo{})})
	dialSecure(t, e, ca.client(), "/")
}

// serial is the serial number of the certificate that a new connection gets.
func serial(t *testing.T, e *engine.Engine, config *tls.Config) string {
	t.Helper()
	c := dialTLS(t, e, config)
	defer c.Close()
	return c.state().PeerCertificates[0].SerialNumber.String()
}

func TestTLSCertificateReload(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	first, second := ca.issue(t, "first"), ca.issue(t, "second")
	certFile, keyFile := writePair(t, dir, first)
	var log lockedBuilder
	e := startEngine(t, engine.Options{
		Mux: routes(handler.Echo{}), TLS: &engine.TLSOptions{CertFile: certFile, KeyFile: keyFile},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	open := dialSecure(t, e, ca.client(), "/")
	before := serial(t, e, ca.client())

	writePEM(t, keyFile, "PRIVATE KEY", []byte("no key"))
	eventually(t, "the bad key to be noticed", func() bool {
		if got := serial(t, e, ca.client()); got != before {
			t.Fatalf("certificate %s; want still %s", got, before)
		}
		return strings.Contains(log.String(), "TLS files changed, but cannot be used")
	})

	writePair(t, dir, second)
	eventually(t, "the new certificate", func() bool { return serial(t, e, ca.client()) != before })
	if got, want := serial(t, e, ca.client()), leafOf(t, second).SerialNumber.String(); got != want {
		t.Errorf("certificate %s; want %s", got, want)
	}
	open.put(t, text("still here"))
	open.expectText(t, "still here")
}

// Files that could not be used were not read again until they changed, although what was in
// the way may pass. Here it passes without a trace on the files.
func TestTLSCertificateReloadAfterPassingError(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	certFile, keyFile := writePair(t, dir, ca.issue(t, "first"))
	var log lockedBuilder
	e := startEngine(t, engine.Options{
		Mux: routes(handler.Echo{}), TLS: &engine.TLSOptions{CertFile: certFile, KeyFile: keyFile},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	before := serial(t, e, ca.client())
	second := ca.issue(t, "second")
	writePair(t, dir, second)
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	when := time.Now()
	rewrite := func(content []byte) {
		if err := errors.Join(os.WriteFile(keyFile, content, 0o600), os.Chtimes(keyFile, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	records := func() int { return strings.Count(log.String(), "TLS files changed, but cannot be used") }

	rewrite(make([]byte, len(key)))
	var noticed time.Time
	eventually(t, "two looks at the bad key", func() bool {
		if got := serial(t, e, ca.client()); got != before {
			t.Fatalf("certificate %s; want still %s", got, before)
		}
		if noticed.IsZero() && records() > 0 {
			noticed = time.Now()
		}
		return !noticed.IsZero() && time.Since(noticed) > 1500*time.Millisecond // they are a second apart
	})
	rewrite(key)
	eventually(t, "the new certificate", func() bool {
		return serial(t, e, ca.client()) == leafOf(t, second).SerialNumber.String()
	})
	if got := records(); got != 1 {
		t.Errorf("%d records of one bad key; want 1:\n%s", got, log.String())
	}
}

// When the client authorities change, sessions that began under the old ones are not
// resumed.
func TestTLSClientAuthorityReload(t *testing.T) {
	old, next, dir := newAuthority(t), newAuthority(t), t.TempDir()
	authorities := filepath.Join(dir, "ca.pem")
	writePEM(t, authorities, "CERTIFICATE", old.cert.Raw)
	o := withCertificate(old.issue(t, "server"))
	o.ClientCAFile = authorities
	e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), TLS: o})
	for _, version := range tlsVersions {
		config := old.client()
		config.MaxVersion = version
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		config.Certificates = []tls.Certificate{old.issue(t, "client")}
		writePEM(t, authorities, "CERTIFICATE", old.cert.Raw)
		eventually(t, "the old client to be let in", func() bool { return admitted(t, e, config) })
		writePEM(t, authorities, "CERTIFICATE", next.cert.Raw)
		eventually(t, "the old client to be refused", func() bool { return !admitted(t, e, config) })
	}
}

// admitted reports whether a client gets through both handshakes.
func admitted(t *testing.T, e *engine.Engine, config *tls.Config) bool {
	t.Helper()
	conn := tls.Client(dialTCP(t, e).Conn, config)
	defer conn.Close()
	if _, err := conn.Write(upgrade("/")); err != nil {
		return false
	}
	_, err := conn.Read(make([]byte, 1))
	return err == nil
}

func leafOf(t *testing.T, pair tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestTLSOptionsRefused(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	certFile, keyFile := writePair(t, dir, ca.issue(t, "server"))
	otherCert, _ := writePair(t, t.TempDir(), ca.issue(t, "other"))
	empty, missing := filepath.Join(dir, "empty.pem"), filepath.Join(dir, "missing.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inMemory := withCertificate(ca.issue(t, "server")).Config
	withAuthorities := inMemory.Clone()
	withAuthorities.ClientCAs = ca.pool
	for name, o := range map[string]engine.TLSOptions{
		"no certificate":                {},
		"no key":                        {CertFile: certFile},
		"key alone":                     {KeyFile: keyFile},
		"certificate twice":             {CertFile: certFile, KeyFile: keyFile, Config: inMemory},
		"authorities twice":             {ClientCAFile: certFile, Config: withAuthorities},
		"old version":                   {Config: &tls.Config{Certificates: inMemory.Certificates, MinVersion: tls.VersionTLS10}},
		"missing certificate":           {CertFile: missing, KeyFile: keyFile},
		"missing key":                   {CertFile: certFile, KeyFile: missing},
		"empty certificate":             {CertFile: empty, KeyFile: keyFile},
		"key of another certificate":    {CertFile: otherCert, KeyFile: keyFile},
		"missing authorities":           {CertFile: certFile, KeyFile: keyFile, ClientCAFile: missing},
		"no certificate in authorities": {CertFile: certFile, KeyFile: keyFile, ClientCAFile: keyFile},
	} {
		_, err := engine.New(engine.Options{TLS: &o})
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "engine: TLS ") {
			t.Errorf("%s: New: %v; want one sentence about TLS", name, err)
		}
	}
}

// A lockedBuilder keeps what is logged.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
