package bench

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// TestWorkersEndWhereverReadingDoes has a result of every length: where the buffer of its reader
// was full with the last brace, the newline was never read, and its writer waited for ever.
func TestWorkersEndWhereverReadingDoes(t *testing.T) {
	for length := range 1500 {
		w := &workers{events: make(chan workerEvent), ended: make(chan struct{})}
		commands, in := io.Pipe()
		out, events := io.Pipe()
		done := make(chan struct{})
		go func() { // is awaited by end
			defer close(done)
			cause := strings.Repeat("x", length)
			_ = json.NewEncoder(events).Encode(event{Result: &result{Tally: Tally{Failures: map[string]int{cause: 1}}}})
			_ = commands.Close()
		}()
		w.attach(0, in, out)
		w.waits = append(w.waits, func() { <-done })
		if e := <-w.events; e.err != nil || len(e.Result.Tally.Failures) != 1 {
			t.Fatalf("a cause of %d bytes: %+v", length, e)
		}
		w.end()
	}
}
