package engine_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// tlsVersions are the versions that engines speak.
var tlsVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

func TestTLSEcho(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		for _, version := range tlsVersions {
			t.Run(tls.VersionName(version), func(t *testing.T) {
				config := ca.client()
				config.MinVersion, config.MaxVersion = version, version
				c := dialSecure(t, e, config, "/")
				for i := range 5 {
					want := fmt.Sprint("message ", i)
					c.put(t, text(want))
					c.expectText(t, want)
				}
				c.put(t, closeFrame(frame.CloseNormal, ""))
				c.expectClose(t, frame.CloseNormal)
				c.expectEnd(t) // a close_notify alert: without it the end would be unexpected
			})
		}
	})
}

func TestTLS11Refused(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	config := ca.client()
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := tls.Client(dialTCP(t, e).Conn, config).Handshake(); !isAlert(err) {
		t.Errorf("handshake: %v; want an alert", err)
	}
}

// What is published must not reach the socket past the encryption.
func TestTLSBroadcast(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	var clients []*rawClient
	for range 8 {
		clients = append(clients, dialSecure(t, e, ca.client(), "/"))
	}
	eventually(t, "all to be open", func() bool { return e.Hub().Count("") == len(clients) })
	const messages = 50
	for i := range messages {
		e.Hub().Broadcast(frame.Text, fmt.Append(nil, "news ", i), handler.Audience{})
	}
	for _, c := range clients {
		for i := range messages {
			c.expectText(t, fmt.Sprint("news ", i))
		}
	}
}

// A choppedConn writes a few bytes at a time. The socket sends them off one by one.
type choppedConn struct {
	net.Conn
	size int
}

func (c choppedConn) Write(p []byte) (int, error) {
	for from := 0; from < len(p); from += c.size {
		piece := p[from:min(from+c.size, len(p))]
		if n, err := c.Conn.Write(piece); err != nil {
			return from + n, err
		}
	}
	return len(p), nil
}

// Where records are cut on their way does not matter, in the handshake or later.
func TestTLSInPieces(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		for _, size := range []int{1, 2, 3, 5, 7, 100} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				c := dialTCP(t, e)
				c.Conn = choppedConn{c.Conn, size}
				c = secured(t, c, ca.client())
				c.put(t, upgrade("/"))
				c.expectStatus(t, http.StatusSwitchingProtocols)
				for _, length := range []int{0, 1, 125, 126, 3000} {
					want := string(bytes.Repeat([]byte{'x'}, length))
					c.put(t, text(want), text("next"))
					c.expectText(t, want)
					c.expectText(t, "next")
				}
			})
		}
	})
}

// A first record that is cut at any byte is waited for.
func TestTLSHelloCut(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	for cut := 1; cut < 1500; cut += 37 {
		c := dialTCP(t, e)
		before := e.Counters().BytesIn
		c.Conn = &cutConn{Conn: c.Conn, at: cut, read: func() {
			eventually(t, "the first part to be read", func() bool { return e.Counters().BytesIn > before })
		}}
		_ = secured(t, c, ca.client()).Close()
	}
}

// A cutConn cuts the first write in two.
type cutConn struct {
	net.Conn
	at   int
	read func() // waits until the first part has been read
}

func (c *cutConn) Write(p []byte) (int, error) {
	at := min(c.at, len(p))
	if c.at = 0; at == 0 || at == len(p) {
		return c.Conn.Write(p)
	}
	if n, err := c.Conn.Write(p[:at]); err != nil {
		return n, err
	}
	c.read()
	n, err := c.Conn.Write(p[at:])
	return at + n, err
}

func TestTLSLargeMessages(t *testing.T) {
	const largest = 16 << 20
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{
			Mux: routes(handler.Echo{}), Mode: mode, MaxMessageBytes: largest, OutboxHardBytes: 2 * largest, InboxBytes: largest,
		})
		for _, version := range tlsVersions {
			config := ca.client()
			config.MaxVersion = version
			c := dialSecure(t, e, config, "/")
			for _, size := range []int{16 << 10, 64<<10 + 1, 1 << 20, largest} {
				payload := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
				written := flood(c, 1, func(int) []byte { return masked(frame.Binary, payload) })
				if _, got, err := c.readMessage(); err != nil || !bytes.Equal(got, payload) {
					t.Errorf("%d bytes: got %d, error %v", size, len(got), err)
				}
				if err := receive(t, "the writer", written); err != nil {
					t.Errorf("%d bytes: write: %v", size, err)
				}
			}
		}
	})
}

// What comes in one flight with the end of the handshake is not lost: the upgrade, and
// frames behind it.
func TestTLSFramesBehindUpgrade(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode})
		c := dialTLS(t, e, ca.client())
		all := upgrade("/")
		const messages = 3000
		for i := range messages {
			all = append(all, text(fmt.Sprint(i))...)
		}
		written := flood(c, 1, func(int) []byte { return all })
		c.expectStatus(t, http.StatusSwitchingProtocols)
		for i := range messages {
			c.expectText(t, fmt.Sprint(i))
		}
		if err := receive(t, "the writer", written); err != nil {
			t.Fatal(err)
		}
	})
}

// A client that closes its side right behind its close frame gets ours all the same.
func TestTLSCloseNotifyBehindCloseFrame(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		ends := make(chan handler.CloseStatus, 1)
		e, ca := startTLS(t, engine.Options{Mode: mode, Mux: routes(handler.Funcs{
			Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
		})})
		c := dialSecure(t, e, ca.client(), "/")
		c.put(t, text("hello"), closeFrame(frame.CloseNormal, "bye"))
		if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.expectClose(t, frame.CloseNormal)
		c.expectEnd(t)
		if s := receive(t, "OnClose", ends); !s.Clean || s.Code != frame.CloseNormal {
			t.Errorf("OnClose got %+v; want a clean close", s)
		}
	})
}

// A client that ends TLS without a close frame is gone.
func TestTLSCloseNotifyAlone(t *testing.T) {
	ends := make(chan handler.CloseStatus, 1)
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Funcs{
		Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
	})})
	c := dialSecure(t, e, ca.client(), "/")
	if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.expectEnd(t)
	if s := receive(t, "OnClose", ends); s.Code != frame.CloseAbnormal || !errors.Is(s.Err, io.EOF) {
		t.Errorf("OnClose got %+v; want 1006 and io.EOF", s)
	}
}

// Bytes that are no record end the connection with an alert.
func TestTLSBadRecord(t *testing.T) {
	ends := make(chan handler.CloseStatus, 1)
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Funcs{
		Close: func(_ handler.Conn, s handler.CloseStatus) { ends <- s },
	})})
	c := dialSecure(t, e, ca.client(), "/")
	socket := c.Conn.(*tls.Conn).NetConn()
	if _, err := socket.Write([]byte{23, 3, 3, 0, 32, 31: 0, 36: 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.in.ReadByte(); !isAlert(err) {
		t.Errorf("read: %v; want an alert", err)
	}
	if s := receive(t, "OnClose", ends); s.Code != frame.CloseAbnormal || s.Err == nil {
		t.Errorf("OnClose got %+v; want 1006 and an error", s)
	}
}

func TestTLSRequestState(t *testing.T) {
	states := make(chan *tls.ConnectionState, 1)
	m := handler.NewMux()
	m.Handle("/", handler.Funcs{Open: func(_ handler.Conn, r *handler.Request) error {
		states <- r.TLS
		return nil
	}})
	e, ca := startTLS(t, engine.Options{Mux: m})
	dialSecure(t, e, ca.client(), "/")
	if s := receive(t, "OnOpen", states); s == nil || !s.HandshakeComplete || s.ServerName != "localhost" {
		t.Errorf("the request has TLS state %+v", s)
	}
	dialRaw(t, startEngine(t, engine.Options{Mux: m}), "/")
	if s := receive(t, "OnOpen", states); s != nil {
		t.Errorf("in plain text the request has TLS state %+v", s)
	}
}

func TestTLSResumption(t *testing.T) {
	ca := newAuthority(t)
	certFile, keyFile := writePair(t, t.TempDir(), ca.issue(t, "server"))
	for name, o := range map[string]*engine.TLSOptions{
		"from memory": withCertificate(ca.issue(t, "server")),
		"from files":  {CertFile: certFile, KeyFile: keyFile},
	} {
		e := startEngine(t, engine.Options{Mux: routes(handler.Echo{}), TLS: o})
		for _, version := range tlsVersions {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				config := ca.client()
				config.MaxVersion = version
				config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
				for i := range 3 {
					c := dialSecure(t, e, config, "/")
					c.put(t, text("hello"))
					c.expectText(t, "hello") // the ticket comes before that
					if got, want := c.state().DidResume, i > 0; got != want {
						t.Errorf("connection %d: resumed %v; want %v", i, got, want)
					}
					_ = c.Close()
				}
			})
		}
	}
}

// A port with TLS answers those who do not speak it in plain text.
func TestTLSPlainClientRefused(t *testing.T) {
	e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{})})
	for name, first := range map[string][]byte{
		"upgrade": upgrade("/"),
		"request": request("GET", "/"),
		"garbage": {0, 1, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialTCP(t, e)
			c.put(t, first)
			_, body := c.expectStatus(t, http.StatusBadRequest)
			if want := "this port speaks TLS: use https or wss"; body != want {
				t.Errorf("body %q; want %q", body, want)
			}
			c.expectEnd(t)
		})
	}
	_, response, err := websocket.DefaultDialer.Dial("ws://"+e.Addr().String(), nil)
	if !errors.Is(err, websocket.ErrBadHandshake) || response.StatusCode != http.StatusBadRequest {
		t.Errorf("gorilla: %v", err)
	}
	dialSecure(t, e, ca.client(), "/") // nobody else is harmed
}

// Other libraries' clients, with compression.
func TestTLSInterop(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		e, ca := startTLS(t, engine.Options{Mux: routes(handler.Echo{}), Mode: mode, Deflate: frame.DeflateOptions{Enabled: true}})
		url := "wss://" + e.Addr().String()
		large := fmt.Sprint(rand.New(rand.NewPCG(1, 2)).Perm(20_000)) // not too compressible

		g, _, err := (&websocket.Dialer{TLSClientConfig: ca.client(), EnableCompression: true}).Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		for _, want := range []string{"small", large} {
			if err := g.WriteMessage(websocket.TextMessage, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := g.ReadMessage(); err != nil || string(got) != want {
				t.Errorf("gorilla got %d bytes, error %v; want %d", len(got), err, len(want))
			}
		}

		transport := &http.Transport{TLSClientConfig: ca.client(), ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		c, _, err := coder.Dial(t.Context(), url, &coder.DialOptions{
			HTTPClient: &http.Client{Transport: transport}, CompressionMode: coder.CompressionNoContextTakeover,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for _, want := range []string{"small", large} {
			if err := c.Write(t.Context(), coder.MessageText, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
				t.Errorf("coder got %d bytes, error %v; want %d", len(got), err, len(want))
			}
		}
		if err := c.Close(coder.StatusNormalClosure, "bye"); err != nil {
			t.Errorf("coder's close: %v", err)
		}
	})
}
