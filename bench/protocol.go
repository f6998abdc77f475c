package bench

import "time"

// A worker reads commands and writes events, each a JSON document on a line. The order
// is: job, started, open, ready, span, sent, drain, result; stop may come at any time, and ticks and one
// failed as well. The end of its input ends a worker at once.

// A command is what a worker is told. One field is set.
type command struct {
	Job   *job   `json:"job,omitempty"`
	Open  int64  `json:"open,omitempty"` // open the connections from this time on
	Span  *span  `json:"span,omitempty"`
	Drain *drain `json:"drain,omitempty"`
	Stop  int64  `json:"stop,omitempty"` // end what is measured at this time, which is about to come
}

// A job is one worker's part of one round.
type job struct {
	Config Config `json:"config"`
	URL    string `json:"url"`
	Target int    `json:"target"` // number of the server
	Seed   uint64 `json:"seed"`   // the same for all workers of a round
	Worker int    `json:"worker"`
	First  int    `json:"first"` // number of its first connection
	Count  int    `json:"count"` // of connections
}

// A span has the times of a round, as now tells.
type span struct {
	Start int64 `json:"start"` // when the load begins
	Begin int64 `json:"begin"` // when measuring begins
	End   int64 `json:"end"`
}

// A drain asks for the result, once everything that was published has arrived or
// timed out.
type drain struct {
	Published []publications `json:"published,omitempty"`
	Stopped   bool           `json:"stopped,omitempty"` // the round has been: a later stop ends the drain
}

// publications are the numbers of the messages of one publisher that were due in the
// measured time: from First until before End.
type publications struct {
	Publisher uint32 `json:"publisher"`
	First     uint32 `json:"first"`
	End       uint32 `json:"end"`
}

// An event is what a worker tells. One field is set.
type event struct {
	Tick    *tick   `json:"tick,omitempty"`
	Started bool    `json:"started,omitempty"` // it could open connections now
	Ready   *ready  `json:"ready,omitempty"`
	Sent    *drain  `json:"sent,omitempty"`
	Result  *result `json:"result,omitempty"`
	Failed  *string `json:"failed,omitempty"`
}

// A tick tells what happened since the last one. Where opening is measured, what is
// received is connections, and latency is that of their handshakes.
type tick struct {
	Open     int       `json:"open"` // connections now
	Received uint64    `json:"received"`
	Errors   uint64    `json:"errors"`
	Latency  Histogram `json:"latency"`

	// Slot numbers the times of tickInterval from the beginning of what is measured, and
	// Took is how long the tick lasted; 0: it is not part of the timeline.
	Slot int64         `json:"slot"`
	Took time.Duration `json:"took_ns,omitempty"`
}

// A result is a worker's part of the outcome of a round.
type result struct {
	Tally   Tally    `json:"tally"`
	Spreads []spread `json:"spreads,omitempty"`
}

// ready tells that all connections have been opened or have failed to.
type ready struct {
	Opened int `json:"opened"`
}
