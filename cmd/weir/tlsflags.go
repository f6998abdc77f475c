package main

import (
	"flag"

	"github.com/weirws/weir/engine"
)

// tlsFiles are the flags about TLS.
type tlsFiles struct{ cert, key, clientCA string }

func tlsFlags(fs *flag.FlagSet) *tlsFiles {
	const want = "the path of a file in PEM"
	var f tlsFiles
	fs.Var(text(&f.cert, want, ""), "tls-cert", "`file` with the server's certificates in PEM, the leaf first: speak TLS; read again when it changes")
	fs.Var(text(&f.key, want, ""), "tls-key", "`file` with the key of the certificate, in PEM")
	fs.Var(text(&f.clientCA, want, ""), "tls-client-ca", "`file` with authorities in PEM, one of which must have issued the certificate of each client")
	return &f
}

// options are those of the engine, nil without TLS.
func (f *tlsFiles) options() (*engine.TLSOptions, error) {
	switch {
	case f.cert == "" && f.key != "":
		return nil, usagef("--tls-key needs --tls-cert, the certificate of that key")
	case f.cert == "" && f.clientCA != "":
		return nil, usagef("--tls-client-ca needs --tls-cert and --tls-key, the certificate of the server")
	case f.cert == "":
		return nil, nil
	case f.key == "":
		return nil, usagef("--tls-cert needs --tls-key, the key of that certificate")
	}
	return &engine.TLSOptions{CertFile: f.cert, KeyFile: f.key, ClientCAFile: f.clientCA}, nil
}
