package engine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
)

// TLSOptions make an engine speak TLS on its port: wss instead of ws, https instead of
// http. There must be a certificate: in files, or in Config.
//
// The protocol is TLS 1.2 or 1.3 with HTTP/1.1, which is what WebSocket connections
// are opened with; HTTP/2 is not offered. What does not begin as a TLS handshake is
// answered with status 400 in plain text.
type TLSOptions struct {
	// CertFile and KeyFile are a certificate chain, the leaf first, and its key, both in
	// PEM. When the files change, handshakes from a second later on use what is in
	// them then; what cannot be used is logged once and tried again, and the certificate in
	// use stays until then.
	CertFile, KeyFile string
	// ClientCAFile is certificates in PEM, one of which must have issued that of the
	// client: mutual TLS. It is read again like the others. With a ClientAuth in Config
	// clients without a certificate may be let in.
	ClientCAFile string
	// Config is for everything else, such as certificates that are not in files. It is
	// cloned. Its callbacks run on the goroutines of handshakes. Default: that of crypto/tls.
	Config *tls.Config
}

// check reports contradictions, not what is wrong with the files.
func (o *TLSOptions) check() error {
	if o == nil {
		return nil
	}
	c := o.config()
	inConfig := len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil
	switch {
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("engine: TLS needs both CertFile and KeyFile, or neither")
	case o.CertFile == "" && !inConfig:
		return errors.New("engine: TLS needs a certificate: CertFile and KeyFile, or one in Config")
	case o.CertFile != "" && inConfig:
		return errors.New("engine: TLS has certificates both in CertFile and in Config")
	case o.ClientCAFile != "" && (c.ClientCAs != nil || c.GetConfigForClient != nil):
		return errors.New("engine: TLS has client authorities both in ClientCAFile and in Config")
	case c.MinVersion != 0 && c.MinVersion < tls.VersionTLS12:
		return errors.New("engine: TLS has a MinVersion in Config that is below 1.2")
	}
	return nil
}

func (o *TLSOptions) config() *tls.Config {
	if o.Config == nil {
		return new(tls.Config)
	}
	return o.Config.Clone()
}

// serverConfig is the configuration of every connection of the engine; nil without
// TLS. It is the same one always, since the keys of session tickets belong to it.
func (o *TLSOptions) serverConfig(log *slog.Logger) (*tls.Config, error) {
	if o == nil {
		return nil, nil
	}
	c := o.config()
	speakHTTP11(c)
	if o.CertFile == "" && o.ClientCAFile == "" {
		return c, nil
	}
	files := &tlsFiles{options: o, base: c.Clone(), log: log}
	if err := files.refresh(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	c.GetConfigForClient = files.current
	return c, nil
}

// speakHTTP11 makes HTTP/1.1 what is agreed on, unless it is none of the protocols of HTTP.
func speakHTTP11(c *tls.Config) {
	c.NextProtos = slices.DeleteFunc(slices.Clone(c.NextProtos), func(p string) bool { return p == "h2" })
	if !slices.Contains(c.NextProtos, "http/1.1") {
		c.NextProtos = append(c.NextProtos, "http/1.1")
	}
}

// load returns base with what the files hold.
func (o *TLSOptions) load(base *tls.Config) (*tls.Config, error) {
	c := base.Clone()
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("TLS certificate %s with key %s: %w", o.CertFile, o.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if o.ClientCAFile != "" {
		pem, err := os.ReadFile(o.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("TLS client authorities: %w", err)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("TLS client authorities %s: no certificate in PEM in it", o.ClientCAFile)
		}
		if c.ClientAuth == tls.NoClientCert {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	return c, nil
}
