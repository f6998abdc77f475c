package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"path/filepath"
	"regexp"
	"time"
)

const (
	certDays = 365
	mostDays = 3650
	dayTime  = 24 * time.Hour
)

// hostName is what a certificate may be for besides addresses. An asterisk stands for
// one label.
var hostName = regexp.MustCompile(`^(\*\.)?([a-zA-Z0-9_]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(\.[a-zA-Z0-9_]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)

// cert makes a certificate that signs itself, for tests and development.
func cert(_ context.Context, args []string, stdout, _ io.Writer) error {
	var hosts []string
	var dir string
	var force bool
	days := certDays
	fs := flag.NewFlagSet("cert", flag.ContinueOnError)
	fs.Var(list(&hosts, "a host name or an IP address", isHost), "host",
		"`name` or address that the certificate is for; may be repeated (default: localhost, 127.0.0.1 and ::1)")
	fs.Var(text(&dir, "the path of a directory", "."), "dir", "`directory` for cert.pem and key.pem")
	fs.Var(whole(&days, 1, mostDays, certDays), "days", "`days` that the certificate is valid")
	fs.Var(toggle(&force), "force", "replace files that exist")
	rest, err := parse(fs, args, stdout)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("cert takes flags only, not the argument %q; for another host, say --host", rest[0])
	}
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	end := time.Now().Add(time.Duration(days) * dayTime)
	certificate, key, err := selfSigned(hosts, end)
	if err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writeNew(force, newFile{certFile, certificate, 0o644}, newFile{keyFile, key, 0o600}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s and %s are for %s, until %s; not for production: nobody has signed them.\n"+
		"weir serve --tls-cert %s --tls-key %s\n", certFile, keyFile, join(hosts, "and"), end.Format(time.DateOnly), certFile, keyFile)
	return nil
}

func isHost(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Zone() == "" || err != nil && len(s) <= 253 && hostName.MatchString(s)
}

// selfSigned makes a key and a certificate for hosts that it signs, both in PEM: for
// servers, and for clients that have to show one.
func selfSigned(hosts []string, end time.Time) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("making a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"weir cert, for development"}, CommonName: hosts[0]},
		NotBefore:    time.Now().Add(-time.Hour), // clocks differ
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},

		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
