package bench

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serveTLS is serve with TLS, and the file of the authority.
func serveTLS(t *testing.T, answer func() answers) (url, caFile string) {
	t.Helper()
	s := startServer(t, (*httptest.Server).StartTLS, answer)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return "wss" + strings.TrimPrefix(s.URL, "https"), caFile
}

func TestRunWithTLS(t *testing.T) {
	url, caFile := serveTLS(t, func() answers { return echoed })
	trusts := map[string]func(*Config){
		"authority": func(c *Config) { c.CAFile = caFile },
		"anybody":   func(c *Config) { c.Insecure = true },
		"processes": func(c *Config) { c.CAFile = caFile; withWorkers(t, c, 2) },
		"connect":   func(c *Config) { c.CAFile = caFile; c.Scenario = "connect" },
	}
	for name, trust := range trusts {
		t.Run(name, func(t *testing.T) {
			c := quick(url)
			trust(&c)
			_, r := mustRun(t, c)
			if got := faults(&r.Tally); got != (fault{}) || r.Opened != c.Connections || c.Scenario == "echo" && r.Received == 0 {
				t.Errorf("faults %+v, %d opened, %d received; failures %v", got, r.Opened, r.Received, r.Failures)
			}
		})
	}
}

func TestRunTellsWhyTLSFailed(t *testing.T) {
	url, _ := serveTLS(t, func() answers { return echoed })
	plain := serve(t, func() answers { return echoed })
	for _, tt := range []struct{ url, want string }{
		{url, "certificate not trusted: x509: certificate signed by unknown authority"},
		{"wss" + strings.TrimPrefix(plain, "ws"), "no TLS spoken there"},
		{"ws" + strings.TrimPrefix(url, "wss"), "status 400"},
	} {
		_, r := mustRun(t, quick(tt.url))
		if r.Opened != 0 || r.Failures[tt.want] != 4 {
			t.Errorf("%s: failures %v; want 4 × %s", tt.url, r.Failures, tt.want)
		}
	}
}
