package engine_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A sealer writes the records of a TLS 1.3 client whose handshake is over, in place of
// a tls.Conn, which cannot be made to update its keys.
type sealer struct {
	to      net.Conn
	hash    func() hash.Hash
	keySize int
	secret  []byte
	aead    cipher.AEAD
	iv      []byte
	count   uint64 // records written with this key
}

// newSealer takes over the writing of conn, which has written nothing. keys is the key
// log.
func newSealer(t *testing.T, conn *tls.Conn, keys string) *sealer {
	t.Helper()
	s := &sealer{to: conn.NetConn(), hash: sha256.New, keySize: 16}
	if conn.ConnectionState().CipherSuite == tls.TLS_AES_256_GCM_SHA384 {
		s.hash, s.keySize = sha512.New384, 32
	}
	for line := range strings.Lines(keys) {
		fields := strings.Fields(line)
		if fields[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(fields[2])
			if err != nil {
				t.Fatal(err)
			}
			s.use(t, secret)
			return s
		}
	}
	t.Fatal("no secret in the key log")
	return nil
}

// use makes secret the source of the key.
func (s *sealer) use(t *testing.T, secret []byte) {
	t.Helper()
	s.secret, s.count = secret, 0
	block, err := aes.NewCipher(s.derive(t, "key", s.keySize))
	if err != nil {
		t.Fatal(err)
	}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	s.iv = s.derive(t, "iv", s.aead.NonceSize())
}

// derive is HKDF-Expand-Label of RFC 8446 section 7.1.
func (s *sealer) derive(t *testing.T, label string, size int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := append(binary.BigEndian.AppendUint16(nil, uint16(size)), byte(len(label)))
	info = append(append(info, label...), 0)
	out, err := hkdf.Expand(s.hash, s.secret, string(info), size)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// record encrypts one record (RFC 8446 section 5.2).
func (s *sealer) record(kind byte, content []byte) []byte {
	inner := append(bytes.Clone(content), kind)
	header := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+s.aead.Overhead()))
	nonce := bytes.Clone(s.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, s.count) {
		nonce[len(nonce)-8+i] ^= b
	}
	s.count++
	return s.aead.Seal(bytes.Clone(header), nonce, inner, header)
}

// update is a KeyUpdate message (RFC 8446 section 4.6.3), in as many records as there
// are bytes if cut is set. The next record has the new key.
func (s *sealer) update(t *testing.T, wantAnswer, cut bool) []byte {
	t.Helper()
	message := []byte{24, 0, 0, 1, 0}
	if wantAnswer {
		message[4] = 1
	}
	var all []byte
	if cut {
		for _, b := range message {
			all = append(all, s.record(22, []byte{b})...)
		}
	} else {
		all = s.record(22, message)
	}
	s.use(t, s.derive(t, "traffic upd", len(s.secret)))
	return all
}

// Messages of the handshake protocol that come later are heeded, wherever they are cut:
// the client changes its keys, and has the engine change its own.
func TestTLSKeyUpdate(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		var keys bytes.Buffer
		config := ca.client()
		config.KeyLogWriter = &keys
		c := dialTLS(t, e, config)
		if suite := c.state().CipherSuite; suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
			t.Log("this machine prefers a cipher that the sealer does not have")
			return
		}
		s := newSealer(t, c.Conn.(*tls.Conn), keys.String())
		send := func(all []byte, size int) {
			if _, err := (choppedConn{s.to, size}).Write(all); err != nil {
				t.Fatal(err)
			}
		}
		send(s.record(23, upgrade("/")), 1000)
		c.expectStatus(t, http.StatusSwitchingProtocols)
		for i, size := range []int{1000, 1, 7, 1000} {
			for _, cut := range []bool{false, true} {
				want := fmt.Sprintf("%d %v", i, cut)
				all := s.update(t, false, cut)
				all = append(all, s.record(23, text(want))...)
				all = append(all, s.update(t, true, cut)...)
				all = append(all, s.record(23, text(want+" answered"))...)
				send(all, size)
				c.expectText(t, want)
				c.expectText(t, want+" answered")
			}
		}
		send(s.record(23, closeFrame(frame.CloseNormal, "")), 1000)
		c.expectClose(t, frame.CloseNormal)
		c.expectEnd(t)
	})
}

// An update that wants an answer, with nothing else behind it, is answered at once.
func TestTLSKeyUpdateAlone(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	var keys bytes.Buffer
	config := ca.client()
	config.KeyLogWriter = &keys
	c := dialTLS(t, e, config)
	if suite := c.state().CipherSuite; suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		t.Log("this machine prefers a cipher that the sealer does not have")
		return
	}
	s := newSealer(t, c.Conn.(*tls.Conn), keys.String())
	if _, err := s.to.Write(s.record(23, upgrade("/"))); err != nil {
		t.Fatal(err)
	}
	c.expectStatus(t, http.StatusSwitchingProtocols)
	before := e.Counters().BytesOut
	if _, err := s.to.Write(s.update(t, true, false)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answer", func() bool { return e.Counters().BytesOut > before })
}
