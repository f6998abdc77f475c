package bench

import (
	"fmt"
	"slices"
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
	for i, t := range r.Targets {
		if i < len(r.Config.PIDs) && slices.ContainsFunc(t.Rounds, func(r Round) bool { return r.Server == nil }) {
			warn("%s: process %d ended; what the server needed is not known for all rounds", t.URL, r.Config.PIDs[i])
		}
		for _, limit := range clientLimits(t.Rounds, r.Machine.Processors) {
			warn("%s: %s", t.URL, limit)
		}
		if lag, _ := t.metric("sendlag.p99"); len(r.Config.Publishing.URLs) > 0 && lag.Most > tardy.Seconds() {
			warn("%s: publishers wait for the answer to each post; with more publishers they would be less late", t.URL)
		}
		if foreign, _ := t.metric("foreign"); foreign.Value > 0 {
			warn("%s: connections got what others had sent: if this server hands messages to everyone, fanout is the scenario for it", t.URL)
		}
		if others := usedByOthers(t.Rounds); others > busyOthers {
			warn("%s: other programs on this machine used %.1f processors", t.URL, others)
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

// clientLimits say why the client may have been slower than the server in some of these
// rounds.
func clientLimits(rounds []Round, processors int) (all []string) {
	var worker, machine float64
	var lag time.Duration
	for i := range rounds {
		for _, c := range rounds[i].Clients {
			if rounds[i].Measured >= shortestUse {
				worker = max(worker, c.CPU)
			}
		}
		machine = max(machine, rounds[i].MachineCPU)
		lag = max(lag, rounds[i].SendLag.At(99))
	}
	if worker > busyWorker {
		all = append(all, fmt.Sprintf("a worker used %.0f %% of a processor: the client may be the bottleneck, not the server; try more workers, or another machine", worker*100))
	}
	if machine > busyMachine*float64(processors) {
		all = append(all, fmt.Sprintf("all %d processors of this machine were busy: client and server may hold each other up if both are here", processors))
	}
	if lag > tardy {
		all = append(all, fmt.Sprintf("one message in a hundred was sent %s late or more: the client does not keep up with the rate", Seconds.format(lag.Seconds())))
	}
	return all
}

// usedByOthers is how many processors neither the workers nor the server used.
func usedByOthers(rounds []Round) (most float64) {
	for i := range rounds {
		if r := &rounds[i]; r.Server != nil {
			most = max(most, r.MachineCPU-r.clientCPU()-r.Server.CPU)
		}
	}
	return most
}
