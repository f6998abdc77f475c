package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// makeCert runs "weir cert" in a new directory.
func makeCert(t *testing.T, args ...string) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	code, stdout, stderr := call(t, append([]string{"cert", "--dir", dir}, args...)...)
	if code != exitOK || stderr != "" || !strings.Contains(stdout, "weir serve --tls-cert") {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// loadCert is the leaf in a file, and a pool with nothing else.
func loadCert(t *testing.T, certFile, keyFile string) (*x509.Certificate, *x509.CertPool) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return pair.Leaf, pool
}

func TestCert(t *testing.T) {
	tests := []struct {
		name  string
		args  []string
		hosts []string
		days  time.Duration
	}{
		{"default", nil, []string{"localhost", "127.0.0.1", "::1"}, 365},
		{"hosts", []string{"--host", "example.com", "--host=*.example.org", "--host", "192.0.2.1"}, []string{"example.com", "a.example.org", "192.0.2.1"}, 365},
		{"days", []string{"--days", "3"}, []string{"localhost"}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			certFile, keyFile := makeCert(t, tt.args...)
			leaf, pool := loadCert(t, certFile, keyFile)
			for _, host := range tt.hosts {
				if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool}); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "elsewhere.example", Roots: pool}); err == nil {
				t.Error("the certificate is for elsewhere too")
			}
			if valid := time.Until(leaf.NotAfter); valid > tt.days*dayTime || valid < (tt.days-1)*dayTime {
				t.Errorf("valid for %v; want %d days", valid, tt.days)
			}
			if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key has mode %v, error %v; want 0600", info.Mode(), err)
			}
		})
	}
}

func TestCertKeepsWhatExists(t *testing.T) {
	for _, existing := range []string{"cert.pem", "key.pem"} {
		t.Run(existing, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, existing), []byte("precious"), 0o644); err != nil {
				t.Fatal(err)
			}
			code, _, stderr := call(t, "cert", "--dir", dir)
			if want := existing + " exists already; to replace it, say --force\n"; code != exitFailed || !strings.HasSuffix(stderr, want) {
				t.Errorf("exit code %d, said %q; want %d, %q", code, stderr, exitFailed, want)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("%d files, error %v; want the old one only", len(entries), err)
			}
			if code, _, stderr := call(t, "cert", "--dir", dir, "--force"); code != exitOK {
				t.Fatalf("exit code %d, said %q", code, stderr)
			}
			loadCert(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
			if info, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key has mode %v, error %v; want 0600", info.Mode(), err)
			}
		})
	}
}

func TestCertWithoutDirectory(t *testing.T) {
	code, _, stderr := call(t, "cert", "--dir", filepath.Join(t.TempDir(), "missing"))
	if code != exitFailed || !strings.Contains(stderr, "no such file or directory") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, said %q", code, stderr)
	}
}

func TestServeTLS(t *testing.T) {
	certFile, keyFile := makeCert(t)
	w := serveHere(t, "--address", "127.0.0.1:0", "--tls-cert", certFile, "--tls-key", keyFile)
	for _, url := range []string{"https://" + w.address + "/", "wss://" + w.address + "/echo"} {
		if !strings.Contains(w.stderr.String(), url) {
			t.Errorf("%s is not in: %s", url, w.stderr)
		}
	}
	_, pool := loadCert(t, certFile, keyFile)
	config := &tls.Config{RootCAs: pool}
	conn, _, err := (&websocket.Dialer{TLSClientConfig: config}).Dial("wss://"+w.address+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	write(t, conn, "hello")
	wantMessage(t, conn, "hello")

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(client.CloseIdleConnections)
	response, err := client.Get("https://" + w.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %s", response.Status)
	}
}

// A self-signed certificate serves as the authority of a client that shows it.
func TestServeMutualTLS(t *testing.T) {
	certFile, keyFile := makeCert(t)
	w := serveHere(t, "--address", "127.0.0.1:0", "--tls-cert", certFile, "--tls-key", keyFile, "--tls-client-ca", certFile)
	_, pool := loadCert(t, certFile, keyFile)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{
		"with certificate":    {RootCAs: pool, Certificates: []tls.Certificate{pair}},
		"without certificate": {RootCAs: pool},
	} {
		conn, _, err := (&websocket.Dialer{TLSClientConfig: config}).Dial("wss://"+w.address+"/echo", nil)
		if want := len(config.Certificates) > 0; (err == nil) != want {
			t.Errorf("client %s: %v", name, err)
		}
		if conn != nil {
			conn.Close()
		}
	}
}

func TestServeTLSWithBadFiles(t *testing.T) {
	certFile, keyFile := makeCert(t)
	_, otherKey := makeCert(t)
	for name, args := range map[string][]string{
		"missing":              {"--tls-cert", "missing.pem", "--tls-key", keyFile},
		"key of another":       {"--tls-cert", certFile, "--tls-key", otherKey},
		"no authority in file": {"--tls-cert", certFile, "--tls-key", keyFile, "--tls-client-ca", keyFile},
	} {
		code, _, stderr := call(t, append([]string{"serve", "--address", "127.0.0.1:0"}, args...)...)
		if code != exitFailed || !strings.HasPrefix(stderr, "weir: engine: TLS ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, said %q; want one line about TLS", name, code, stderr)
		}
	}
}
