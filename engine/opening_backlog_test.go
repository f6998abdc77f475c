package engine_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// A slowOpener subscribes with a rate, so that what is published meanwhile waits, and then
// gives verdict when it may.
type slowOpener struct {
	*accountant
	opening chan handler.Conn
	release chan struct{}
	verdict error
}

func newSlowOpener(t *testing.T, verdict error) *slowOpener {
	return &slowOpener{accountant: newAccountant(t), opening: make(chan handler.Conn, 1), release: make(chan struct{}), verdict: verdict}
}

func (o *slowOpener) OnOpen(c handler.Conn, _ *handler.Request) error {
	if err := errors.Join(c.SetRate(handler.Rate{Messages: 1}), c.Subscribe("secret")); err != nil {
		o.t.Error(err)
	}
	o.opening <- c
	<-o.release
	return o.verdict
}

// publishSecrets publishes messages until some of them have been replaced by later ones.
func publishSecrets(t *testing.T, e *engine.Engine) {
	t.Helper()
	eventually(t, "the subscription", func() bool { return e.Hub().Subscriptions("secret") == 1 })
	for range 5 {
		if _, err := e.Hub().Publish("secret", frame.Text, []byte("confidential"), handler.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the publications", func() bool { return missedInAll(e) >= 3 })
}

// missedInAll is how many publications an engine has counted as missed.
func missedInAll(e *engine.Engine) (n int) {
	for _, missed := range e.Counters().Missed {
		n += int(missed)
	}
	return n
}

// What is published to a connection that OnOpen then refuses does not reach its peer.
func TestRefusedGetsNoPublications(t *testing.T) {
	o := newSlowOpener(t, handler.Refuse(http.StatusForbidden, "no"))
	e := startEngine(t, engine.Options{Mux: routes(o)})
	c := dialTCP(t, e)
	c.put(t, upgrade("/"))
	receive(t, "OnOpen", o.opening)
	publishSecrets(t, e)
	close(o.release)
	all, err := io.ReadAll(c.in)
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 403 ") || strings.Contains(string(all), "confidential") {
		t.Errorf("the client got %q, error %v", all, err)
	}
}

// The same for a client whose OnOpen refuses the server.
func TestDeclinedSendsNoPublications(t *testing.T) {
	got := make(chan string, 1)
	server := startEngine(t, engine.Options{Mux: routes(handler.Funcs{
		Message: func(_ handler.Conn, _ frame.Opcode, p []byte) { got <- string(p) },
		Close:   func(handler.Conn, handler.CloseStatus) { close(got) },
	})})
	client := startCallers(t, engine.Options{})
	o := newSlowOpener(t, errors.New("no"))
	dialled := make(chan error, 1)
	go func() {
		_, err := client.Dial(t.Context(), "ws://"+server.Addr().String()+"/", o, engine.DialOptions{})
		dialled <- err
	}()
	receive(t, "OnOpen", o.opening)
	publishSecrets(t, client)
	close(o.release)
	if err := receive(t, "Dial", dialled); !errors.Is(err, o.verdict) {
		t.Errorf("Dial: %v", err)
	}
	if p := receive(t, "the end", got); p != "" {
		t.Errorf("the server got %q", p)
	}
}

// A peer that goes away while OnOpen runs is told of in OnMissed, before OnClose.
func TestMissedWhileOpening(t *testing.T) {
	o := newSlowOpener(t, nil)
	e := startEngine(t, engine.Options{Mux: routes(o)})
	c := dialTCP(t, e)
	c.put(t, upgrade("/"))
	conn := receive(t, "OnOpen", o.opening)
	publishSecrets(t, e)
	c.kill(t)
	receive(t, "Done", conn.Done())
	close(o.release)
	receive(t, "OnClose", o.closed)
	if told, counted := o.totals()["secret"], missedInAll(e); told != counted {
		t.Errorf("told of %d missed messages, counted %d", told, counted)
	}
}
