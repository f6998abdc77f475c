package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

const (
	dialTimeout = 10 * time.Second
	dialWait    = time.Second
	mostMessage = 16 << 20 // bytes, in either direction
)

// dialOptions are the arguments of dial.
type dialOptions struct {
	url    string
	dial   engine.DialOptions
	engine engine.Options
	binary bool
	once   bool
	json   bool
	wait   time.Duration // of silence behind the input; negative: for ever
}

// parseDial reads the arguments of dial.
func parseDial(args []string, stdout io.Writer) (dialOptions, error) {
	var o dialOptions
	var ca string
	fs := flag.NewFlagSet("dial URL", flag.ContinueOnError)
	handshakeFlags(fs, &o, &ca)
	fs.Var(toggle(&o.binary), "binary", "send lines as binary messages, not as text")
	fs.Var(toggle(&o.once), "once", "send one line, if there is one, and print one message")
	fs.Var(toggle(&o.json), "json", "print one JSON object for each event, binary messages in base64")
	fs.Var(spanOrNever(&o.wait, -1, dialWait), "wait", "`time` of silence to wait for behind the last line; 0: until the server closes")
	words, err := parseWords(fs, args, stdout)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, dialExplained)
		}
		return o, err
	}
	if err := o.takeURL(words); err != nil {
		return o, err
	}
	switch secure := strings.HasPrefix(strings.ToLower(o.url), "wss:"); {
	case !secure && (ca != "" || o.dial.TLSConfig.InsecureSkipVerify):
		return o, usagef("--ca and --insecure are for a URL with wss, not for %q", o.url)
	case ca != "" && o.dial.TLSConfig.InsecureSkipVerify:
		return o, usagef("--insecure trusts any server, so --ca has no use; leave one of them out")
	case o.once && given(fs, "wait"):
		return o, usagef("--wait has no use with --once, which waits for --timeout")
	}
	o.engine.CloseTimeout = o.dial.HandshakeTimeout
	if ca != "" {
		if o.dial.TLSConfig.RootCAs, err = readAuthorities(ca); err != nil {
			return o, err
		}
	}
	return o, nil
}

const dialExplained = `
Each line of the input is sent as one message. Messages are printed one a line: the
time, the kind, and the text, control characters escaped, or the bytes in hexadecimal.
The rest, pings and pongs too, goes to the standard error. Pings are answered.

The exit code is 1 if the connection could not be opened, or ended otherwise than with
a close frame with 1000, 1001 or no code.
`

func handshakeFlags(fs *flag.FlagSet, o *dialOptions, ca *string) {
	o.wait = dialWait
	o.dial.Header = make(http.Header)
	o.dial.TLSConfig = new(tls.Config)
	o.dial.HandshakeTimeout = dialTimeout
	o.engine = engine.Options{
		NoListen: true, Loops: 1, Workers: 1,
		MaxMessageBytes: mostMessage, OutboxSoftBytes: 2 * mostMessage, OutboxHardBytes: 2 * mostMessage,
		Logger: slog.New(slog.DiscardHandler),
	}
	fs.Var(&value{want: "a header field that is not the handshake's own, such as 'Authorization: Bearer x'", set: func(s string) bool {
		name, field, ok := strings.Cut(s, ":")
		field = strings.TrimSpace(field)
		o.dial.Header.Add(name, field)
		var checked handler.Request
		return ok && !strings.EqualFold(name, "Origin") && checked.AddHeader(name, field) == nil
	}}, "header", "`field` of the opening handshake, 'Name: value'; may be repeated")
	fs.Var(list(&o.dial.Subprotocols, "a token, such as chat.v1", func(s string) bool {
		return handler.Policy{Subprotocols: []string{s}}.Check() == nil
	}), "subprotocol", "`name` of a sub-protocol to offer; may be repeated")
	fs.Var(&value{want: "an origin such as https://example.com", set: func(s string) bool {
		o.dial.Origin = s
		var checked handler.Request
		return s != "" && checked.AddHeader("Origin", s) == nil
	}}, "origin", "`origin` to come from, as a browser says")
	fs.Var(toggle(&o.engine.Deflate.Enabled), "compression", "offer permessage-deflate (RFC 7692)")
	fs.Var(span(&o.dial.HandshakeTimeout, dialTimeout), "timeout",
		"`time` that the opening and the close handshake may take, and with --once the message")
	fs.Var(text(ca, "the path of a file in PEM", ""), "ca", "`file` with authorities in PEM to trust, in place of the system's")
	fs.Var(toggle(&o.dial.TLSConfig.InsecureSkipVerify), "insecure", "trust any certificate of the server")
}

// takeURL takes the URL, the only argument, and refuses what could not be dialled.
func (o *dialOptions) takeURL(words []string) error {
	const example = "such as ws://127.0.0.1:7681/echo"
	switch len(words) {
	case 0:
		return usagef("dial needs a URL, " + example)
	case 1:
	default:
		return usagef("dial takes one URL, not %q as well; what is sent comes from the input", words[1])
	}
	o.url = words[0]
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return usagef("%q is no URL of a WebSocket, "+example, o.url)
	}
	return nil
}

// readAuthorities reads certificates in PEM.
func readAuthorities(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read --ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca %s has no certificate in PEM", name)
	}
	return pool, nil
}
