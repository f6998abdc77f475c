package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// workers are the other ends of one round's workers.
type workers struct {
	inputs  []io.WriteCloser
	outputs []io.Closer
	encoded []*json.Encoder
	events  chan workerEvent
	ended   chan struct{}
	reading sync.WaitGroup
	waits   []func()
}

// A workerEvent is an event, or an error if there will be none any more.
type workerEvent struct {
	event
	worker int
	err    error
}

// startWorkers starts the workers of a round.
func startWorkers(c Config) (*workers, error) {
	w := &workers{events: make(chan workerEvent), ended: make(chan struct{})}
	for i := range c.Workers {
		start := w.spawn
		if len(c.WorkerCommand) == 0 {
			start = w.inProcess
		}
		if err := start(c.WorkerCommand, i); err != nil {
			w.end()
			return nil, fmt.Errorf("bench: starting a worker: %w", err)
		}
	}
	return w, nil
}

// spawn starts a worker as a process.
func (w *workers) spawn(command []string, i int) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr // what a crash leaves
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.attach(i, in, out)
	w.waits = append(w.waits, func() { _ = cmd.Wait() }) // what it had to say it has said
	return nil
}

// inProcess starts a worker as a goroutine, which ends with its input.
func (w *workers) inProcess(_ []string, i int) error {
	commandsOut, commandsIn := io.Pipe()
	eventsOut, eventsIn := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Worker(commandsOut, eventsIn) // which it has told
		_ = eventsIn.Close()
		_ = commandsOut.Close()
	}()
	w.attach(i, commandsIn, eventsOut)
	w.waits = append(w.waits, func() { <-done })
	return nil
}

// attach reads the events of worker i, up to its result.
func (w *workers) attach(i int, in io.WriteCloser, out io.ReadCloser) {
	w.inputs = append(w.inputs, in)
	w.outputs = append(w.outputs, out)
	w.encoded = append(w.encoded, json.NewEncoder(in))
	w.reading.Go(func() { // ends with the result, or the worker's output
		for decoder := json.NewDecoder(out); ; {
			e := workerEvent{worker: i}
			if err := decoder.Decode(&e.event); err != nil {
				e.err = fmt.Errorf("ended too early: %w", err)
			}
			select {
			case w.events <- e:
			case <-w.ended:
			}
			if e.err != nil || e.Result != nil {
				return // a worker that has reported may end before others
			}
		}
	})
}

// tell sends a command to a worker. One that has ended does not read it, which its
// events tell.
func (w *workers) tell(i int, c command) { _ = w.encoded[i].Encode(c) }

func (w *workers) tellAll(c command) {
	for i := range w.encoded {
		w.tell(i, c)
	}
}

// end ends all workers and waits for them. What they say after their result, of which the
// newline may be left, nobody reads: a write of theirs fails, and does not wait.
func (w *workers) end() {
	close(w.ended)
	for _, in := range w.inputs {
		_ = in.Close()
	}
	w.reading.Wait()
	for _, out := range w.outputs {
		_ = out.Close()
	}
	for _, wait := range w.waits {
		wait()
	}
}
