package bench

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"slices"
)

// secure reports whether a server speaks TLS.
func secure(target string) bool {
	u, err := url.Parse(target)
	return err == nil && (u.Scheme == "wss" || u.Scheme == "https")
}

// tlsConfig is what connections to a server with wss or https trust. Sessions are not resumed, so
// that every handshake costs the server what the first does.
func (c Config) tlsConfig() (*tls.Config, error) {
	o := &tls.Config{InsecureSkipVerify: c.Insecure}
	if c.CAFile == "" {
		return o, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("bench: reading the authorities: %w", err)
	}
	o.RootCAs = x509.NewCertPool()
	if !o.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("bench: %s has no certificate in PEM", c.CAFile)
	}
	return o, nil
}

// validateTLS reports what is wrong with whom to trust.
func (c Config) validateTLS() error {
	switch {
	case c.CAFile == "" && !c.Insecure:
		return nil
	case c.CAFile != "" && c.Insecure:
		return fmt.Errorf("bench: any certificate is trusted, so authorities have no use; leave one of them out")
	case !slices.ContainsFunc(slices.Concat(c.URLs, c.Publishing.URLs), secure):
		return fmt.Errorf("bench: whom to trust matters for a URL with wss, and there is none")
	}
	_, err := c.tlsConfig()
	return err
}
