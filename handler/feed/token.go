package feed

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	leastSecretBytes = 32   // RFC 7518 section 3.2: as long as the hash
	leastRSABits     = 2048 // RFC 7518 section 3.3
)

// A Key verifies the signature of tokens, with one algorithm. It is immutable; ParseKey
// makes one.
type Key struct {
	algorithm string
	material  any
}

// ParseKey makes a key of the contents of a file. In PEM they must be a public key: one of
// RSA, at least 2048 bits, verifies RS256 and one of Ed25519 verifies EdDSA. Anything else is a
// secret for HS256, at least 32 bytes without the line end that a file may have, unless it is
// a public key in DER or of SSH. The error is ErrKey, wrapped with what is wrong.
func ParseKey(file []byte) (Key, error) {
	// What looks like a public key is never taken for a secret: everybody could sign with it.
	switch {
	case bytes.Contains(file, []byte("-----BEGIN")):
		return parsePublicKey(file)
	case isOfSSH(file):
		return Key{}, fmt.Errorf("%w: it is a public key of SSH, where one in PEM is wanted", ErrKey)
	case isDER(file):
		return Key{}, fmt.Errorf("%w: it is a public key in DER, where PEM is wanted", ErrKey)
	}
	secret := bytes.TrimSuffix(bytes.TrimSuffix(file, []byte("\n")), []byte("\r"))
	if len(secret) < leastSecretBytes {
		return Key{}, fmt.Errorf("%w: the secret has %d bytes, less than %d", ErrKey, len(secret), leastSecretBytes)
	}
	return Key{algorithm: jwt.SigningMethodHS256.Alg(), material: bytes.Clone(secret)}, nil
}

// isOfSSH reports whether a file is a public key as ssh-keygen writes it (RFC 4253 section 6.6,
// RFC 5656 section 6.2).
func isOfSSH(file []byte) bool {
	for _, algorithm := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"} {
		if bytes.HasPrefix(bytes.TrimSpace(file), []byte(algorithm)) {
			return true
		}
	}
	return false
}

// isDER reports whether a file is a public key in DER, by itself or in a certificate.
func isDER(file []byte) bool {
	if _, err := x509.ParsePKIXPublicKey(file); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PublicKey(file); err == nil {
		return true
	}
	_, err := x509.ParseCertificate(file)
	return err == nil
}

func parsePublicKey(file []byte) (Key, error) {
	block, rest := pem.Decode(file)
	switch {
	case block == nil:
		return Key{}, fmt.Errorf("%w: malformed PEM", ErrKey)
	case block.Type != "PUBLIC KEY":
		return Key{}, fmt.Errorf("%w: it is a %s, where a PUBLIC KEY is wanted", ErrKey, block.Type)
	case bytes.Contains(rest, []byte("-----BEGIN")):
		return Key{}, fmt.Errorf("%w: there is more than one key", ErrKey)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < leastRSABits {
			return Key{}, fmt.Errorf("%w: %d bits of RSA are less than %d", ErrKey, bits, leastRSABits)
		}
		return Key{algorithm: jwt.SigningMethodRS256.Alg(), material: public}, nil
	case ed25519.PublicKey:
		return Key{algorithm: jwt.SigningMethodEdDSA.Alg(), material: public}, nil
	default:
		return Key{}, fmt.Errorf("%w: it is neither RSA nor Ed25519", ErrKey)
	}
}

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
}

// verify returns what a token says if one of keys has signed it and it is valid now.
func verify(keys []Key, token string, now func() time.Time) (claims, bool) {
	for _, k := range keys {
		// Without the list of methods, the token would choose how it is verified.
		p := jwt.NewParser(jwt.WithValidMethods([]string{k.algorithm}), jwt.WithTimeFunc(now))
		var c claims
		if _, err := p.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return k.material, nil }); err == nil {
			return c, true
		}
	}
	return claims{}, false
}

// bearer returns the token of an Authorization field (RFC 6750 section 2.1), "" if it
// has none.
func bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// A right is a set of topics, until some time.
type right struct {
	patterns []string
	until    time.Time // zero: for ever
}

func (r right) allows(topic string, now time.Time) bool {
	return (r.until.IsZero() || now.Before(r.until)) && coversAny(r.patterns, topic)
}

func newRight(patterns []string, c claims) right {
	r := right{patterns: patterns}
	if c.ExpiresAt != nil {
		r.until = c.ExpiresAt.Time
	}
	return r
}

var everything = []string{">"}

// rights returns what the bearer of a token may do, and false if nobody has signed it or
// if it is "" and nothing can be done without one.
func (f *Feed) rights(token string) (publish, subscribe right, ok bool) {
	open := len(f.options.SubscribeKeys) == 0
	if open {
		subscribe = right{patterns: everything}
	}
	if token == "" {
		return publish, subscribe, open
	}
	publisher, mayPublish := verify(f.options.PublishKeys, token, f.now)
	if mayPublish {
		publish = newRight(publisher.Publish, publisher)
	}
	subscriber, maySubscribe := verify(f.options.SubscribeKeys, token, f.now)
	if maySubscribe {
		subscribe = newRight(subscriber.Subscribe, subscriber)
	}
	return publish, subscribe, mayPublish || maySubscribe
}
