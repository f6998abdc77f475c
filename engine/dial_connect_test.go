package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// fullListener is an address that does not answer: its queue of connections is full.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for {
		filler, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(filler) })
		if err := unix.SetNonblock(filler, true); err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(filler, sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
		writable := []unix.PollFd{{Fd: int32(filler), Events: unix.POLLOUT}}
		if n, err := unix.Poll(writable, 100); n == 0 && err == nil {
			return fmt.Sprint("127.0.0.1:", sa.(*unix.SockaddrInet4).Port)
		}
	}
}

// closedPort is an address that refuses connections.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

func TestDialFails(t *testing.T) {
	silent := scripted(t, func(_ net.Conn, in *bufio.Reader, _ *http.Request) { awaitEnd(in) })
	body := scripted(t, func(conn net.Conn, in *bufio.Reader, _ *http.Request) {
		_, _ = conn.Write([]byte("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nhalf"))
		awaitEnd(in)
	})
	hangsUp := scripted(t, func(net.Conn, *bufio.Reader, *http.Request) {})
	inResponse := scripted(t, func(conn net.Conn, _ *bufio.Reader, _ *http.Request) {
		_, _ = conn.Write([]byte(acceptance[:50]))
	})
	inBody := scripted(t, func(conn net.Conn, in *bufio.Reader, _ *http.Request) {
		_, _ = conn.Write([]byte("HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\nall of it"))
	})
	short := engine.DialOptions{HandshakeTimeout: 50 * time.Millisecond}
	var refusal *engine.HandshakeError
	tests := []struct {
		name, address string
		o             engine.DialOptions
		err           error  // nil: a *HandshakeError
		body          string // of that
	}{
		{"refused", closedPort(t), engine.DialOptions{}, syscall.ECONNREFUSED, ""},
		{"address does not answer", fullListener(t), short, engine.ErrHandshakeTimeout, ""},
		{"server does not answer", silent, short, engine.ErrHandshakeTimeout, ""},
		{"body does not come", body, short, nil, "half"},
		{"hangs up at once", hangsUp, engine.DialOptions{}, io.ErrUnexpectedEOF, ""},
		{"hangs up in the response", inResponse, engine.DialOptions{}, io.ErrUnexpectedEOF, ""},
		{"hangs up after the body", inBody, engine.DialOptions{}, nil, "all of it"},
		{"LocalAddr of another family", silent, engine.DialOptions{LocalAddr: netip.IPv6Loopback()}, engine.ErrBadDialOptions, ""},
		{"LocalAddr that is not ours", silent, engine.DialOptions{LocalAddr: netip.MustParseAddr("192.0.2.1")}, syscall.EADDRNOTAVAIL, ""},
	}
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		callers := startCallers(t, engine.Options{Mode: mode})
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := callers.Dial(t.Context(), "ws://"+tt.address+"/", newCaller(), tt.o)
				switch {
				case tt.err != nil && !errors.Is(err, tt.err):
					t.Errorf("Dial: %v; want %v", err, tt.err)
				case tt.err == nil && (!errors.As(err, &refusal) || refusal.Status != 503 || string(refusal.Body) != tt.body):
					t.Errorf("Dial: %v; want a refusal with body %q", err, tt.body)
				}
			})
		}
		eventually(t, "all sockets are gone", func() bool { return callers.Counters().Sockets == 0 })
	})
}

func TestDialCancelled(t *testing.T) {
	reached := make(chan struct{}, 1)
	silent := scripted(t, func(_ net.Conn, in *bufio.Reader, _ *http.Request) {
		reached <- struct{}{}
		awaitEnd(in)
	})
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		callers := startCallers(t, engine.Options{Mode: mode, HeaderTimeout: time.Hour})
		t.Run("before", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := callers.Dial(ctx, "ws://"+silent+"/", handler.Echo{}, engine.DialOptions{}); !errors.Is(err, context.Canceled) {
				t.Errorf("Dial: %v; want context.Canceled", err)
			}
		})
		t.Run("while connecting", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if _, err := callers.Dial(ctx, "ws://"+fullListener(t)+"/", handler.Echo{}, engine.DialOptions{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Dial: %v; want context.DeadlineExceeded", err)
			}
		})
		t.Run("in the handshake", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { // ends when the server has the request
				<-reached
				cancel()
			}()
			if _, err := callers.Dial(ctx, "ws://"+silent+"/", handler.Echo{}, engine.DialOptions{}); !errors.Is(err, context.Canceled) {
				t.Errorf("Dial: %v; want context.Canceled", err)
			}
		})
		eventually(t, "all sockets are gone", func() bool { return callers.Counters().Sockets == 0 })
	})
}

// A connection that is given up while OnOpen runs is closed when that has accepted it.
func TestDialCancelledInOnOpen(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.Service} {
		t.Run(mode.String(), func(t *testing.T) {
			tr := newTrace(t, 1)
			server := startEngine(t, engine.Options{Mux: routes(tr)})
			callers := startCallers(t, engine.Options{Mode: mode})
			ctx, cancel := context.WithCancel(t.Context())
			returned, ended := make(chan struct{}), make(chan handler.CloseStatus, 1)
			_, err := callers.Dial(ctx, urlOf(server, "/"), handler.Funcs{
				Open: func(handler.Conn, *handler.Request) error {
					cancel()
					<-returned
					return nil
				},
				Close: func(_ handler.Conn, s handler.CloseStatus) { ended <- s },
			}, engine.DialOptions{})
			close(returned)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Dial: %v; want context.Canceled", err)
			}
			if s := receive(t, "OnClose", ended); s.Code != frame.CloseGoingAway || !s.Clean {
				t.Errorf("OnClose got %+v; want a clean 1001", s)
			}
			if end := receive(t, "the server's OnClose", tr.ends); end.status.Code != frame.CloseGoingAway {
				t.Errorf("the server's OnClose got %+v; want 1001", end.status)
			}
		})
	}
}

func TestDialLocalAddr(t *testing.T) {
	from := make(chan netip.AddrPort, 1)
	server := startEngine(t, engine.Options{Mux: routes(handler.Funcs{
		Open: func(c handler.Conn, _ *handler.Request) error {
			from <- c.RemoteAddr()
			return nil
		},
	})})
	callers := startCallers(t, engine.Options{})
	want := netip.MustParseAddr("127.0.0.77")
	dial(t, callers, urlOf(server, "/"), newCaller(), engine.DialOptions{LocalAddr: want})
	if got := receive(t, "OnOpen", from); got.Addr() != want {
		t.Errorf("the server sees %v; want %v", got, want)
	}
}

// Names are looked up once for all who ask at the same time, and addresses that refuse
// are passed over: a name may have one for each family, and this server listens on one.
func TestDialName(t *testing.T) {
	server := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	_, port, _ := net.SplitHostPort(server.Addr().String())
	callers := startCallers(t, engine.Options{})
	const n = 50
	outcomes := make(chan error, n)
	for range n {
		callers.DialAsync("ws://localhost:"+port+"/", newCaller(), engine.DialOptions{}, func(_ *engine.Conn, err error) { outcomes <- err })
	}
	for range n {
		if err := receive(t, "a connection", outcomes); err != nil {
			t.Error(err)
		}
	}
}

// resolveWith makes name servers be reached by dial for the time of a test.
func resolveWith(t *testing.T, dial func(ctx context.Context) error) {
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return nil, dial(ctx)
	}}
	t.Cleanup(func() { net.DefaultResolver = old })
}

func TestDialNameFails(t *testing.T) {
	resolveWith(t, func(context.Context) error { return syscall.ECONNREFUSED })
	callers := startCallers(t, engine.Options{})
	_, err := callers.Dial(t.Context(), "ws://server.weir.invalid/", newCaller(), engine.DialOptions{})
	if _, ok := errors.AsType[*net.DNSError](err); !ok {
		t.Errorf("Dial: %v; want a *net.DNSError", err)
	}
	eventually(t, "nothing is counted", func() bool { return callers.Counters().Sockets == 0 })
}

func TestDialNameHangs(t *testing.T) {
	asked := make(chan struct{}, 100)
	resolveWith(t, func(ctx context.Context) error {
		asked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	callers := startCallers(t, engine.Options{HeaderTimeout: time.Hour})
	const url = "ws://server.weir.invalid/"
	_, err := callers.Dial(t.Context(), url, newCaller(), engine.DialOptions{HandshakeTimeout: 10 * time.Millisecond})
	if !errors.Is(err, engine.ErrHandshakeTimeout) {
		t.Errorf("Dial: %v; want ErrHandshakeTimeout", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err = callers.Dial(ctx, url, newCaller(), engine.DialOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: %v; want context.DeadlineExceeded", err)
	}
	failed := make(chan error, 1)
	callers.DialAsync(url, newCaller(), engine.DialOptions{}, func(_ *engine.Conn, err error) { failed <- err })
	receive(t, "a look-up", asked)
	if err := callers.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := receive(t, "the outcome", failed); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("DialAsync, while the engine shuts down: %v; want ErrClosed", err)
	}
}

// startProxy is a proxy for one connection at a time that knows CONNECT and wants
// these credentials. Every target is the same server.
func startProxy(t *testing.T, credentials string, server net.Addr) (address string, targets <-chan string) {
	asked := make(chan string, 10)
	address = scripted(t, func(conn net.Conn, in *bufio.Reader, r *http.Request) {
		asked <- r.Method + " " + r.RequestURI + " " + r.Host
		if r.Header.Get("Proxy-Authorization") != credentials {
			_, _ = conn.Write([]byte("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\nwho???"))
			awaitEnd(in)
			return
		}
		to, err := net.Dial(server.Network(), server.String())
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 200 Connection established\r\nServer: proxy\r\n\r\n"))
		back := make(chan struct{})
		go func() { // ends with the server's side of the stream
			defer close(back)
			_, _ = io.Copy(plainWriter{conn}, to)
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(plainWriter{to}, in)
		_ = to.Close()
		<-back
	})
	return address, asked
}

func TestDialProxy(t *testing.T) {
	eachMode(t, func(t *testing.T, mode engine.Mode) {
		server := startEngine(t, engine.Options{Mode: mode, Mux: routes(handler.Echo{})})
		callers := startCallers(t, engine.Options{Mode: mode})
		proxy, targets := startProxy(t, "Basic bWU6c2VjcmV0", server.Addr())
		var asked *http.Request
		through := func(proxyURL string) engine.DialOptions {
			return engine.DialOptions{Proxy: func(r *http.Request) (*url.URL, error) {
				asked = r
				return url.Parse(proxyURL)
			}}
		}
		h := newCaller()
		c := dial(t, callers, "ws://server.weir.invalid/?x", h, through("http://me:secret@"+proxy))
		if got := receive(t, "the proxy's request", targets); got != "CONNECT server.weir.invalid:80 server.weir.invalid:80" {
			t.Errorf("the proxy got %q", got)
		}
		if r := receive(t, "OnOpen", h.opened); r.Host != "server.weir.invalid" || r.RemoteAddr.String() != proxy {
			t.Errorf("host %q, remote address %v", r.Host, r.RemoteAddr)
		}
		if got := asked.URL.String(); got != "http://server.weir.invalid/?x" {
			t.Errorf("Proxy was asked about %q", got)
		}
		_ = c.Send(frame.Text, []byte("hello"))
		if m := receive(t, "the echo", h.messages); m != "hello" {
			t.Errorf("echo %q", m)
		}
		_ = c.Close(frame.CloseNormal, "")
		if s := receive(t, "OnClose", h.ends); !s.Clean {
			t.Errorf("OnClose got %+v; want a clean close", s)
		}

		var refusal *engine.HandshakeError
		_, err := callers.Dial(t.Context(), "ws://[::1]:81/", h, through("http://"+proxy))
		if !errors.As(err, &refusal) || refusal.Status != 407 || string(refusal.Body) != "who???" {
			t.Errorf("Dial without credentials: %v; want status 407", err)
		}
		if got := receive(t, "the proxy's request", targets); got != "CONNECT [::1]:81 [::1]:81" {
			t.Errorf("the proxy got %q", got)
		}
		for _, bad := range []string{"https://" + proxy, "socks5://" + proxy, "http://:80"} {
			if _, err := callers.Dial(t.Context(), "ws://a.example/", h, through(bad)); !errors.Is(err, engine.ErrProxy) {
				t.Errorf("Dial by way of %s: %v; want ErrProxy", bad, err)
			}
		}
	})
}

// newDiallerRole is a process that dials: "dial URL" answers with the error, or "open".
func newDiallerRole() role {
	e, err := engine.New(engine.Options{NoListen: true})
	if err == nil {
		err = e.Start()
	}
	return func(command string) (string, error) {
		if err != nil {
			return "", err
		}
		var target string
		if _, err := fmt.Sscanf(command, "dial %s", &target); err != nil {
			return "", err
		}
		c, err := e.Dial(context.Background(), target, handler.Echo{}, engine.DialOptions{})
		if err != nil {
			return err.Error(), nil
		}
		_ = c.Close(frame.CloseNormal, "")
		<-c.Done()
		return "open", nil
	}
}

func TestDialProxyFromEnvironment(t *testing.T) {
	server := startEngine(t, engine.Options{Mux: routes(handler.Echo{})})
	proxy, targets := startProxy(t, "", server.Addr())
	t.Setenv("HTTP_PROXY", "http://"+proxy)
	t.Setenv("http_proxy", "")
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	dialler := startProcess(t, "dialler")
	if got := dialler.ask(t, "dial ws://server.weir.invalid/"); got != "open" {
		t.Errorf("by way of the proxy: %s", got)
	}
	if got := receive(t, "the proxy's request", targets); got != "CONNECT server.weir.invalid:80 server.weir.invalid:80" {
		t.Errorf("the proxy got %q", got)
	}
	if got := dialler.ask(t, "dial %s", urlOf(server, "/")); got != "open" || len(targets) > 0 {
		t.Errorf("to this machine: %s, %d connections to the proxy", got, len(targets))
	}
}

// A plainWriter hides that a connection can splice: the pipes that net keeps for that
// would count as leaked descriptors.
type plainWriter struct{ io.Writer }
