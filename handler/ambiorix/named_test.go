package ambiorix_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
	"github.com/weirws/weir/handler/ambiorix"
)

// withEcho adds the receiver that peers talk to when they have nothing to say.
func withEcho(app *ambiorix.App) *ambiorix.App {
	app.ReceiveFrom("echo", echo("echo"))
	return app
}

// echo returns a receiver that sends the message back under a name.
func echo(name string) func(json.RawMessage, ambiorix.Client) error {
	return func(m json.RawMessage, c ambiorix.Client) error { return c.Send(name, m) }
}

// greeter answers as the server in the documentation of the original does.
func greeter(t testing.TB) *ambiorix.App {
	app := withEcho(newApp(t, ambiorix.Options{}))
	app.ReceiveFrom("greeting", func(_ json.RawMessage, c ambiorix.Client) error {
		return c.Send("greeting", "Hello from the server!")
	})
	return app
}

const greeting = `{"name":"greeting","message":"Hello from the server!","isAmbiorix":true}`

func TestRow29NamedMessages(t *testing.T) {
	for _, path := range []string{"/", "/any/path?and=query"} {
		p := dial(t, start(t, greeter(t)), path)
		p.say(t, `{"name":"greeting","message":"hi","isAmbiorix":true}`)
		p.expect(t, greeting)
	}
}

func TestRow29NamedMessagesInEveryMode(t *testing.T) {
	for _, mode := range []engine.Mode{engine.Workers, engine.OnLoop} {
		t.Run(mode.String(), func(t *testing.T) {
			e := newEngine(t, greeter(t), engine.Options{Mode: mode})
			if err := e.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			p := dial(t, e.Addr().String(), "/")
			for range 100 {
				p.say(t, `{"name":"greeting","message":"hi","isAmbiorix":true}`)
			}
			for range 100 {
				p.expect(t, greeting)
			}
		})
	}
}

func TestRow30InputFieldOrderFree(t *testing.T) {
	p := dial(t, start(t, greeter(t)), "/")
	for _, text := range []string{
		`{"isAmbiorix":true,"name":"greeting","message":"hi"}`,
		`{"message":"hi","isAmbiorix":true,"name":"greeting"}`,
		" {\n\"isAmbiorix\" : true ,\t\"extra\":[{}], \"name\" : \"greeting\"\r} ",
		`{"isAmbiorix":true,"n\u0061me":"greet\u0069ng"}`,
	} {
		p.say(t, text)
		p.expect(t, greeting)
	}
}

func TestRow31FlagMissingOrNotTrue(t *testing.T) {
	p := dial(t, start(t, greeter(t)), "/")
	for _, text := range []string{
		`{"name":"greeting","message":"hi"}`,
		`{"name":"greeting","message":"hi","isAmbiorix":false}`,
		`{"name":"greeting","message":"hi","isAmbiorix":"no"}`,
		`{"name":"greeting","message":"hi","isAmbiorix":"true"}`,
		`{"name":"greeting","message":"hi","isAmbiorix":1}`,
		`{"name":"greeting","message":"hi","isAmbiorix":null}`,
		`{"name":"greeting","message":"hi","isAmbiorix":[true]}`,
		`{"name":"greeting","message":"hi","ISAMBIORIX":true}`,
		`{"name":"greeting","message":"hi","isAmbiorix":true,"isAmbiorix":false}`,
		`{"message":"hi","isAmbiorix":true}`,
		`{"name":null,"isAmbiorix":true}`,
		`{"name":7,"isAmbiorix":true}`,
		`{"name":["greeting"],"isAmbiorix":true}`,
		`{"NAME":"greeting","isAmbiorix":true}`,
		`{}`, `[]`, `[{"name":"greeting","isAmbiorix":true}]`, `null`, `true`, `7`, `"greeting"`,
	} {
		p.say(t, text)
		p.expectNothing(t)
	}
}

func TestRow32UnknownName(t *testing.T) {
	p := dial(t, start(t, greeter(t)), "/")
	for _, name := range []string{"", "unknown", "Greeting", "greeting "} {
		p.say(t, `{"name":"`+name+`","message":"hi","isAmbiorix":true}`)
		p.expectNothing(t)
	}
}

func TestRow33OneAndTwoArgumentHandlers(t *testing.T) {
	app := withEcho(newApp(t, ambiorix.Options{}))
	logged := make(chan string, 1)
	app.Receive("log", func(m json.RawMessage) error {
		text, err := ambiorix.Decode[string](m)
		logged <- text
		return err
	})
	p := dial(t, start(t, app), "/")
	p.say(t, `{"name":"log","message":"héllo","isAmbiorix":true}`)
	if got := receive(t, "the log", logged); got != "héllo" {
		t.Errorf("logged %q; want héllo", got)
	}
	p.expectNothing(t)
}

func TestRow34ScalarsUnboxed(t *testing.T) {
	type point struct {
		X int     `json:"x"`
		Y float64 `json:"y,omitempty"`
	}
	for _, tt := range []struct {
		value any
		want  string
	}{
		{42, `42`}, {"x", `"x"`}, {true, `true`}, {nil, `null`}, {2.0, `2`}, {[]int{1, 2, 3}, `[1,2,3]`}, {[]int{}, `[]`},
		{uint64(math.MaxUint64), `18446744073709551615`}, {point{1, 2.5}, `{"x":1,"y":2.5}`}, {map[string]any{"b": 1, "a": nil}, `{"a":null,"b":1}`},
		{`<b> & "quoted" 𝄞`, `"<b> & \"quoted\" 𝄞"`}, {"cut \xff", `"cut \ufffd"`},
		{json.RawMessage("[ 1e20,\n\"<\" ]"), `[1e20,"<"]`}, {json.RawMessage(nil), `null`}, {json.RawMessage("\"\xff\""), "\"\uFFFD\""},
	} {
		t.Run(tt.want, func(t *testing.T) {
			app := newApp(t, ambiorix.Options{})
			app.ReceiveFrom("ask", func(_ json.RawMessage, c ambiorix.Client) error { return c.Send("count", tt.value) })
			p := dial(t, start(t, app), "/")
			p.say(t, `{"name":"ask","isAmbiorix":true}`)
			p.expect(t, `{"name":"count","message":`+tt.want+`,"isAmbiorix":true}`)
		})
	}
}

func TestRow35PayloadFidelity(t *testing.T) {
	p := dial(t, start(t, withEcho(newApp(t, ambiorix.Options{}))), "/")
	for _, value := range []string{
		`["a"]`, `3000000000`, `1e20`, `{"k":[1,{"z":null}]}`, `-0`, `1.0`, `2.50`, `123456789012345678901234567890`,
		`18446744073709551615`, `""`, `[]`, `{}`, `null`, `[[[]]]`, `"<>&\u2028\/\ud834\udd1e"`, `"𝄞 héllo"`, `{"b":1,"a":2,"b":3}`, `"\ud800"`,
		`"` + strings.Repeat("x", 500_000) + `"`, strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
	} {
		text := `{"name":"echo","message":` + value + `,"isAmbiorix":true}`
		p.say(t, text)
		p.expect(t, text)
	}
	p.say(t, `{"name":"echo","isAmbiorix":true}`)
	p.expect(t, `{"name":"echo","message":null,"isAmbiorix":true}`)
}

func TestRow36MalformedJSONAndBinary(t *testing.T) {
	address := start(t, withEcho(newApp(t, ambiorix.Options{})))
	other := join(t, address)
	for _, text := range []string{
		``, `hello`, `{`, ping + "}", `{'name':'echo'}`, `{"name":"echo","isAmbiorix":true,}`, `{"a":NaN}`, "{\"a\":\"\n\"}", "\uFEFF{}",
		strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
	} {
		p := dial(t, address, "/")
		p.say(t, text)
		p.expectClose(t, websocket.CloseInvalidFramePayloadData)
	}
	p := dial(t, address, "/")
	if err := p.WriteMessage(websocket.BinaryMessage, []byte(ping)); err != nil {
		t.Fatal(err)
	}
	p.expectClose(t, websocket.CloseUnsupportedData)
	other.expectNothing(t)
}

func TestRow37HandlerFailureIsolated(t *testing.T) {
	app := withEcho(newApp(t, ambiorix.Options{}))
	app.Receive("panic", func(json.RawMessage) error { panic("as the test wants") })
	app.Receive("error", func(json.RawMessage) error { return errors.New("as the test wants") })
	app.Receive("number", func(m json.RawMessage) error {
		_, err := ambiorix.Decode[int](m)
		return err
	})
	address := start(t, app)
	other := join(t, address)
	for _, name := range []string{"panic", "error", "number"} {
		p := join(t, address)
		p.say(t, `{"name":"`+name+`","message":"x","isAmbiorix":true}`)
		p.say(t, ping) // is not answered any more
		p.expectClose(t, websocket.CloseInternalServerErr)
		other.expectNothing(t)
	}
}

func TestRow38DuplicateReceivers(t *testing.T) {
	app := newApp(t, ambiorix.Options{})
	app.ReceiveFrom("twice", echo("first"))
	app.ReceiveFrom("twice", echo("second"))
	p := dial(t, start(t, app), "/")
	for range 2 {
		p.say(t, `{"name":"twice","message":1,"isAmbiorix":true}`)
		p.expect(t, `{"name":"first","message":1,"isAmbiorix":true}`)
	}
}

func TestRow39RawOverride(t *testing.T) {
	raw := handler.Func(func(c handler.Conn, op frame.Opcode, payload []byte) {
		if err := c.Send(op, append([]byte("raw "), payload...)); err != nil {
			t.Errorf("Send: %v", err)
		}
	})
	app := withEcho(newApp(t, ambiorix.Options{Raw: raw}))
	p := dial(t, start(t, app), "/")
	for _, op := range []int{websocket.TextMessage, websocket.BinaryMessage} {
		if err := p.WriteMessage(op, []byte(ping)); err != nil {
			t.Fatal(err)
		}
		gotOp, got, err := p.ReadMessage()
		if gotOp != op || string(got) != "raw "+ping || err != nil {
			t.Errorf("got opcode %d, %q, error %v; want %d, raw %s", gotOp, got, err, op, ping)
		}
	}
	if n := app.Count(""); n != 0 {
		t.Errorf("Count = %d; the raw layer has no clients", n)
	}
}

func TestRow40RoutersContributeReceivers(t *testing.T) {
	app := withEcho(newApp(t, ambiorix.Options{}))
	var one, two ambiorix.Router
	one.ReceiveFrom("own", echo("one"))
	one.ReceiveFrom("shared", echo("one"))
	two.ReceiveFrom("shared", echo("two"))
	two.ReceiveFrom("two", echo("two"))
	app.Use(&one)
	app.Use(&two)
	app.ReceiveFrom("own", echo("app")) // after the routers, and yet before them
	p := dial(t, start(t, app), "/")
	one.ReceiveFrom("late", echo("one"))
	for name, by := range map[string]string{"own": "app", "shared": "one", "two": "two", "late": "one"} {
		p.say(t, `{"name":"`+name+`","message":1,"isAmbiorix":true}`)
		p.expect(t, `{"name":"`+by+`","message":1,"isAmbiorix":true}`)
	}
}

// TestRow46OtherLanguageClient sends what the R client in the documentation of the
// original sends, byte for byte.
func TestRow46OtherLanguageClient(t *testing.T) {
	p := dial(t, start(t, greeter(t)), "")
	p.say(t, `{"isAmbiorix":true,"name":"greeting","message":"Hello from the client!"}`)
	p.expect(t, greeting)
}

func TestValueWithoutJSONForm(t *testing.T) {
	app := withEcho(newApp(t, ambiorix.Options{}))
	failed := make(chan error, 3)
	app.ReceiveFrom("ask", func(_ json.RawMessage, c ambiorix.Client) error {
		_, err := app.Broadcast("x", math.Inf(1), ambiorix.Audience{})
		failed <- err
		failed <- c.Send("x", make(chan int))
		failed <- c.Send("x", json.RawMessage(`{"cut":`))
		return nil
	})
	p := dial(t, start(t, app), "/")
	p.say(t, `{"name":"ask","isAmbiorix":true}`)
	for range 3 {
		if err := receive(t, "the error", failed); err == nil {
			t.Error("no error for a value without a JSON form")
		}
	}
	p.expectNothing(t)
}

func TestNilReceiverPanics(t *testing.T) {
	var r ambiorix.Router
	for name, register := range map[string]func(){
		"Receive":     func() { r.Receive("x", nil) },
		"ReceiveFrom": func() { r.ReceiveFrom("x", nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s takes a nil receiver", name)
				}
			}()
			register()
		}()
	}
}

// FuzzRelay: a message that is relayed has the same JSON value, and goes under the
// same name; anything else closes the connection or is ignored, as its form demands.
func FuzzRelay(f *testing.F) {
	for _, text := range []string{
		ping, greeting, `{"name":"echo","message":[1e20,{"k":null}],"isAmbiorix":true}`, `{"isAmbiorix":true}`, `[]`, `{`, `{"name":"\ud800","isAmbiorix":true}`,
	} {
		f.Add(text)
	}
	silent := ambiorix.Options{Logger: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?") // as the frame layer guarantees
		c := &recorder{}
		var in struct {
			Name    string
			Message json.RawMessage
		}
		app := ambiorix.New(silent)
		called := 0
		name := nameOf(text)
		app.ReceiveFrom(name, func(m json.RawMessage, c ambiorix.Client) error {
			called++
			return c.Send(name, m)
		})
		h := app.Handler()
		h.OnMessage(c, frame.Text, []byte(text))

		if wantClosed := !json.Valid([]byte(text)); (c.closed != 0) != wantClosed {
			t.Fatalf("%q: closed with %d", text, c.closed)
		}
		if called == 0 {
			return
		}
		if err := json.Unmarshal([]byte(c.sent[0]), &in); err != nil || in.Name != name {
			t.Fatalf("%q was relayed as %q: %v", text, c.sent[0], err)
		}
		want := fieldOf(text, "message")
		if got := string(in.Message); got != want {
			t.Fatalf("%q: message %s; want %s", text, got, want)
		}
		prefix := fmt.Sprintf(`{"name":%s,"message":`, unescaped(name))
		if !strings.HasPrefix(c.sent[0], prefix) || !strings.HasSuffix(c.sent[0], `,"isAmbiorix":true}`) {
			t.Fatalf("%q was relayed as %q", text, c.sent[0])
		}
	})
}

// fieldOf returns a field of a JSON object, compact; null if there is none.
func fieldOf(text, name string) string {
	var fields map[string]json.RawMessage
	var b bytes.Buffer
	if json.Unmarshal([]byte(text), &fields) != nil || fields[name] == nil || json.Compact(&b, fields[name]) != nil {
		return "null"
	}
	return b.String()
}

func nameOf(text string) string {
	var name string
	_ = json.Unmarshal([]byte(fieldOf(text, "name")), &name) // no string: ""
	return name
}

// unescaped is a JSON string without the escapes that are for HTML.
func unescaped(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(err.Error())
	}
	return strings.TrimSpace(b.String())
}

// A recorder is a connection without a network.
type recorder struct {
	handler.Conn
	sent   []string
	closed frame.CloseCode
}

func (r *recorder) ID() uint64 { return 1 }

func (r *recorder) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

func (r *recorder) Send(_ frame.Opcode, payload []byte) error {
	r.sent = append(r.sent, string(payload))
	return nil
}

func (r *recorder) Close(code frame.CloseCode, _ string) error {
	r.closed = code
	return nil
}
