package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// dial is a client in the terminal: it sends lines of the standard input and prints
// messages. A signal, or the end of ctx, closes the connection with 1001; a second signal
// ends the program at once.
func dial(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseDial(args, stdout)
	if err != nil {
		return err
	}
	e, err := engine.New(o.engine)
	if err != nil {
		return err
	}
	if err := e.Start(); err != nil {
		return err
	}
	defer e.Close()

	// A pipe that nobody reads any more is an output that cannot be written to: the signal
	// would end the program without a close frame.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	ctx, restore := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer restore()
	d := &dialogue{
		o: o, said: &teller{out: stdout, notes: stderr, json: o.json},
		heard: make(chan struct{}, 1), ended: make(chan handler.CloseStatus, 1),
	}
	if d.conn, err = e.Dial(ctx, o.url, d, o.dial); err != nil {
		restore()
		_ = e.Shutdown(context.Background()) // it may have opened all the same: then it is closing
		return openingError(err, o)
	}
	input := make(chan error, 1)
	lines := lineSender{conn: d.conn, pace: pace{engine: e}, binary: o.binary, once: o.once}
	go func(in io.Reader) { input <- lines.sendAll(in) }(os.Stdin) // ends with the input or the program: a read cannot be given up
	return d.run(ctx, restore, input)
}

// openingError says what kept the connection from opening.
func openingError(err error, o dialOptions) error {
	if refusal, ok := errors.AsType[*engine.HandshakeError](err); ok {
		var about []string
		if refusal.Status != 0 {
			about = append(about, strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", refusal.Status, http.StatusText(refusal.Status))))
		}
		if body := strings.TrimSpace(string(refusal.Body)); body != "" {
			about = append(about, fmt.Sprintf("%q", body))
		}
		return fmt.Errorf("cannot connect: %s", strings.Join(append([]string{refusal.Reason}, about...), ", "))
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	cause := cmp.Or(errors.Unwrap(err), err) // without the URL
	switch {
	case errors.Is(err, engine.ErrBadURL), errors.Is(err, engine.ErrBadDialOptions):
		return usagef("cannot connect: %v", cause)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case errors.Is(err, engine.ErrHandshakeTimeout):
		return fmt.Errorf("cannot connect: not done within %v, see --timeout", o.dial.HandshakeTimeout)
	case untrusted:
		return fmt.Errorf("cannot connect: %w; to trust it, say --ca or --insecure", cause)
	}
	return fmt.Errorf("cannot connect: %w", cause)
}

// A dialogue is one connection of dial, and its Handler. Its callbacks never overlap,
// so they print without a lock.
type dialogue struct {
	o    dialOptions
	conn *engine.Conn

	// Of callbacks, and of run once the connection has ended.
	said    *teller
	printed bool // a message

	heard chan struct{} // a message has been printed
	ended chan handler.CloseStatus
}

// OnOpen tells the connection.
func (d *dialogue) OnOpen(_ handler.Conn, r *handler.Request) error {
	d.said.opened(r)
	return nil
}

// OnMessage prints the message. It blocks as long as the output does: then the engine
// holds the server back.
func (d *dialogue) OnMessage(c handler.Conn, op frame.Opcode, payload []byte) {
	if d.o.once && d.printed {
		return
	}
	d.printed = true
	d.said.message(op, payload)
	d.checkOutput(c)
	select {
	case d.heard <- struct{}{}:
	default: // run is still to look
	}
}

// OnControl tells a ping or pong, which is no message.
func (d *dialogue) OnControl(c handler.Conn, op frame.Opcode, payload []byte) {
	d.said.control(op, payload)
	d.checkOutput(c)
}

// checkOutput ends the connection if nothing can be printed any more.
func (d *dialogue) checkOutput(c handler.Conn) {
	if d.said.err != nil {
		_ = c.Close(frame.CloseGoingAway, "") // nothing is to do if it is closing
	}
}

// OnClose tells the end.
func (d *dialogue) OnClose(_ handler.Conn, s handler.CloseStatus) {
	d.said.closed(s)
	d.ended <- s
}

// run waits for the end of the connection, and brings it about when it is time. input
// tells that there are no more lines; restore makes further signals end the program.
func (d *dialogue) run(ctx context.Context, restore func(), input <-chan error) error {
	heard := d.heard
	var silence <-chan time.Time // runs when there are no more lines
	var failure error
	finish := func(code frame.CloseCode, err error) {
		input, heard, silence = nil, nil, nil
		failure = err
		_ = d.conn.Close(code, "") // nothing is to do if it is closing
	}
	spoken, answered := false, false
	for {
		select {
		case err := <-input:
			input, spoken, silence = nil, true, d.silence()
			if err != nil || d.o.once && answered {
				finish(frame.CloseNormal, err)
			}
		case <-heard:
			answered = true
			if spoken && d.o.once {
				finish(frame.CloseNormal, nil)
			} else if spoken {
				silence = d.silence()
			}
		case <-silence:
			var err error
			if d.o.once {
				err = fmt.Errorf("no message came within %v, see --timeout", d.o.dial.HandshakeTimeout)
			}
			finish(frame.CloseNormal, err)
		case <-ctx.Done():
			restore()
			ctx = context.Background()
			finish(frame.CloseGoingAway, nil)
		case s := <-d.ended:
			return cmp.Or(failure, d.said.err, endError(s), d.missing())
		}
	}
}

// silence fires when a message has been waited for long enough.
func (d *dialogue) silence() <-chan time.Time {
	switch {
	case d.o.once:
		return time.After(d.o.dial.HandshakeTimeout)
	case d.o.wait < 0:
		return nil
	}
	return time.After(d.o.wait)
}

// endError is nil for an ordinary end.
func endError(s handler.CloseStatus) error {
	switch {
	case s.Err != nil && !errors.Is(s.Err, io.EOF):
		return fmt.Errorf("the connection failed: %w", s.Err)
	case !s.Clean:
		return errors.New("the server ended the connection without a close frame")
	case s.Code == frame.CloseNormal, s.Code == frame.CloseGoingAway, s.Code == frame.CloseNoStatus:
		return nil
	}
	return fmt.Errorf("the server closed the connection with %v", s.Code)
}

// missing is an error if a message was to come and has not.
func (d *dialogue) missing() error {
	if d.o.once && !d.printed {
		return errors.New("no message came")
	}
	return nil
}
