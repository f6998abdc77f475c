package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"regexp"
	"time"

	"github.com/weirws/weir/engine"
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
	certificate, key, err := engine.SelfSigned(end, hosts...)
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
