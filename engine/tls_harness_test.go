package engine_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
)

// An authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

var serials atomic.Int64

// newAuthority makes an authority with a certificate of its own.
func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := certificateTemplate("test authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	var der []byte
	der, a.key = signCertificate(t, template, nil, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert = cert
	a.pool.AddCert(cert)
	return a
}

// issue makes a certificate, for localhost and for clients called name.
func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	template := certificateTemplate(name)
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, key := signCertificate(t, template, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func certificateTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

// signCertificate makes a key and a certificate for it, signed by itself if there is no
// parent.
func signCertificate(t testing.TB, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// writePair writes a certificate and its key to cert.pem and key.pem in dir.
func writePair(t testing.TB, dir string, pair tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, certFile, "CERTIFICATE", pair.Certificate[0])
	writePEM(t, keyFile, "PRIVATE KEY", key)
	return certFile, keyFile
}

// writePEM replaces a file in one step.
func writePEM(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	next := name + ".next"
	if err := os.WriteFile(next, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, name); err != nil {
		t.Fatal(err)
	}
}

// withCertificate is TLS with one certificate from memory.
func withCertificate(pair tls.Certificate) *engine.TLSOptions {
	return &engine.TLSOptions{Config: &tls.Config{Certificates: []tls.Certificate{pair}}}
}

// startTLS starts an engine with TLS, where o does not say otherwise with a certificate
// of the authority it returns.
func startTLS(t testing.TB, o engine.Options) (*engine.Engine, *authority) {
	t.Helper()
	ca := newAuthority(t)
	if o.TLS == nil {
		o.TLS = withCertificate(ca.issue(t, "server"))
	}
	return startEngine(t, o), ca
}

// client is a configuration that trusts the authority.
func (a *authority) client() *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "localhost"}
}

// dialTLS connects and completes the TLS handshake.
func dialTLS(t testing.TB, e *engine.Engine, config *tls.Config) *rawClient {
	t.Helper()
	return secured(t, dialTCP(t, e), config)
}

// secured makes c a TLS client. The TLS handshake is complete.
func secured(t testing.TB, c *rawClient, config *tls.Config) *rawClient {
	t.Helper()
	conn := tls.Client(c.Conn, config)
	if err := conn.Handshake(); err != nil {
		t.Fatalf("TLS handshake: %v", err)
	}
	return &rawClient{Conn: conn, in: bufio.NewReader(conn)}
}

// dialSecure connects to a path over TLS and completes both handshakes.
func dialSecure(t testing.TB, e *engine.Engine, config *tls.Config, path string) *rawClient {
	t.Helper()
	c := dialTLS(t, e, config)
	c.put(t, upgrade(path))
	c.expectStatus(t, 101)
	return c
}

// state is the state of a client with TLS.
func (c *rawClient) state() tls.ConnectionState { return c.Conn.(*tls.Conn).ConnectionState() }

// isAlert reports whether err is a fatal alert from the peer.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}
