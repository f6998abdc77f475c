package bench

import (
	"fmt"
	"time"
)

const (
	busyWorker  = 0.85 // of a processor: a worker's loop cannot use more than one
	busyMachine = 0.95 // of all processors
	busyOthers  = 0.25 // processors that neither the workers nor the server used
	// tardy is the lateness of sending that is worth a warning.
	tardy = time.Millisecond
)

// Warnings say what makes the figures mean less than they seem to.
func (r *Report) Warnings() []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, t := range r.Targets {
		var worker, machine, others float64
		var lag time.Duration
		for i := range t.Rounds {
			round := &t.Rounds[i]
			for _, c := range round.Clients {
				worker = max(worker, c.CPU)
			}
			machine = max(machine, round.MachineCPU)
			if round.Server != nil {
				others = max(others, round.MachineCPU-round.clientCPU()-round.Server.CPU)
			}
			lag = max(lag, round.SendLag.At(99))
		}
		if worker > busyWorker {
			warn("%s: a worker used %.0f %% of a processor: the client may be the bottleneck, not the server; try more workers, or another machine", t.URL, worker*100)
		}
		if n := r.Machine.Processors; machine > busyMachine*float64(n) {
			warn("%s: all %d processors of this machine were busy: client and server may hold each other up if both are here", t.URL, n)
		}
		if others > busyOthers {
			warn("%s: other programs on this machine used %.1f processors", t.URL, others)
		}
		if lag > tardy {
			warn("%s: one message in a hundred was sent %s late or more: the client does not keep up with the rate", t.URL, Seconds.format(lag.Seconds()))
		}
	}
	for _, t := range r.Targets {
		if opened, ok := t.metric("opened"); ok && opened.Least == 0 {
			warn("%s: there was a round without a single connection", t.URL)
		}
	}
	if r.Interrupted {
		warn("the run was interrupted")
	}
	return all
}
