package feed_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler/feed"
)

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParseKeyRefuses(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic := &rsaKey(t, 2048).PublicKey
	template := x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	const ofSSH = "AAAAC3NzaC1lZDI1NTE5AAAAIJ0m3Ym0Yb0hJ7m5m2c3m0J8n8tQ4m8sXk1d2v3b4n5m ann@example.com\n"
	good := publicPEM(t, public)
	for name, file := range map[string]string{
		"empty":            "",
		"short secret":     strings.Repeat("x", 31) + "\r\n",
		"RSA of 1024 bits": publicPEM(t, &rsaKey(t, 1024).PublicKey),
		"another curve":    publicPEM(t, &curve.PublicKey),
		"private key":      string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})),
		"two keys":         good + good,
		"PEM cut off":      good[:len(good)-10],
		"Ed25519 in DER":   string(pkix),
		"RSA in PKCS #1":   string(x509.MarshalPKCS1PublicKey(rsaPublic)),
		"certificate":      string(certificate),
		"Ed25519 of SSH":   "ssh-ed25519 " + ofSSH,
		"ECDSA of SSH":     "\necdsa-sha2-nistp256 " + ofSSH,
		"token of SSH":     "sk-ssh-ed25519@openssh.com " + ofSSH,
		"PEM of nothing":   string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(strings.Repeat("x", 40))})),
	} {
		if _, err := feed.ParseKey([]byte(file)); !errors.Is(err, feed.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokens(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPrivate := rsaKey(t, 2048)
	rsaFile, edFile := publicPEM(t, &rsaPrivate.PublicKey), publicPEM(t, public)
	s := start(t, feed.Options{
		PublishKeys:   []feed.Key{parseKey(t, secret+"\n"), parseKey(t, rsaFile), parseKey(t, edFile)},
		SubscribeKeys: []feed.Key{parseKey(t, strings.Repeat("another secret", 3))},
	}, engine.Options{})
	hour := time.Hour
	until := func(field string, d time.Duration) jwt.MapClaims {
		c := may("a", "a")
		c[field] = jwt.NewNumericDate(time.Now().Add(d))
		return c
	}
	tests := []struct {
		name   string
		token  string
		status int
	}{
		{"HS256", token(t, may("a", "")), 200},
		{"RS256", sign(t, jwt.SigningMethodRS256, rsaPrivate, may("a", "")), 200},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, private, may("a", "")), 200},
		{"not expired", token(t, until("exp", hour)), 200},
		{"valid already", token(t, until("nbf", -hour)), 200},
		{"expired", token(t, until("exp", -hour)), 401},
		{"not valid yet", token(t, until("nbf", hour)), 401},
		{"nothing allowed", token(t, jwt.MapClaims{}), 403},
		{"something else allowed", token(t, may("b a.* *.a a.>", "a")), 403},
		{"everything allowed", token(t, may("b >", "")), 200},
		{"claims of another shape", token(t, jwt.MapClaims{"publish": "a"}), 401},
		{"key of a stranger", sign(t, jwt.SigningMethodEdDSA, stranger, may("a", "")), 401},
		{"key of subscribers", sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("another secret", 3)), may("a", "a")), 401},
		{"no signature", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, may("a", "")), 401},
		{"public RSA key as a secret", sign(t, jwt.SigningMethodHS256, []byte(rsaFile), may("a", "")), 401},
		{"public Ed25519 key as a secret", sign(t, jwt.SigningMethodHS256, []byte(public), may("a", "")), 401},
		{"another hash", sign(t, jwt.SigningMethodHS512, []byte(secret), may("a", "")), 401},
		{"another padding", sign(t, jwt.SigningMethodPS256, rsaPrivate, may("a", "")), 401},
		{"cut off", token(t, may("a", ""))[:60], 401},
	}
	for _, tt := range tests {
		if status, answer := s.post(t, "a", "text/plain", tt.token, "x"); status != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, status, answer, tt.status)
		}
	}
}

func TestTokensOfSubscribers(t *testing.T) {
	s := start(t, withKeys(t), engine.Options{})
	for path, want := range map[string]int{"/feed": 401, "/feed/a": 401, "/feed?token=x": 401} {
		if got := s.refused(t, path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	tok := token(t, may("a", "b.*"))
	if got := s.refused(t, "/feed/a?token="+tok); got != 403 {
		t.Errorf("a topic that only publishing is allowed to: %d", got)
	}
	c := s.dial(t, "/feed/b.c?token="+tok)
	c.expect(`{"type":"subscribed","topic":"b.c","offset":0}`)
	c.send(`{"op":"subscribe","topic":"a"}`)
	c.expect(`{"type":"error","op":"subscribe","topic":"a","code":"forbidden"}`)
	c.send(`{"op":"resume","topic":"b.c.d","offset":0}`)
	c.expect(`{"type":"error","op":"resume","topic":"b.c.d","code":"forbidden"}`)
	c.send(`{"op":"presence","topic":"a"}`)
	c.expect(`{"type":"error","op":"presence","topic":"a","code":"forbidden"}`)
	c.send(`{"op":"publish","topic":"b.c","data":1}`)
	c.expect(`{"type":"error","op":"publish","topic":"b.c","code":"forbidden"}`)
	c.send(`{"op":"subscribe","topic":"b.d"}`)
	c.expect(`{"type":"subscribed","topic":"b.d","offset":0}`)
}
