package engine_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/weirws/weir/engine"
)

func TestSelfSigned(t *testing.T) {
	end := time.Now().Add(time.Minute)
	certificate, key, err := engine.SelfSigned(end, "example.com", "*.example.org", "192.0.2.1", "2001:db8::1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(pair.Leaf)
	for host, want := range map[string]bool{
		"example.com": true, "a.example.org": true, "192.0.2.1": true, "2001:db8::1": true,
		"a.example.com": false, "example.org": false, "192.0.2.2": false,
	} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: trusted, KeyUsages: []x509.ExtKeyUsage{usage}})
			if (err == nil) != want {
				t.Errorf("%s, usage %d: %v; want it valid: %t", host, usage, err, want)
			}
		}
	}
	if got := pair.Leaf.NotAfter; !got.Equal(end.UTC().Truncate(time.Second)) {
		t.Errorf("valid until %v; want %v", got, end)
	}
	other, _, err := engine.SelfSigned(end, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	trusted = x509.NewCertPool()
	trusted.AppendCertsFromPEM(other)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: trusted}); err == nil {
		t.Error("trusted by who has another certificate")
	}
}

func TestSelfSignedRefuses(t *testing.T) {
	for _, hosts := range [][]string{nil, {"bücher.example"}} {
		if _, _, err := engine.SelfSigned(time.Now().Add(time.Hour), hosts...); err == nil {
			t.Errorf("a certificate for %q; want an error", hosts)
		}
	}
}
