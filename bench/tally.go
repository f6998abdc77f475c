package bench

import (
	"slices"
	"time"
)

// A Tally is what happened in one round, or in one worker's part of it.
type Tally struct {
	// Opened is how many connections were opened before the load began, Opening how long
	// that took from when all workers began, Handshakes how long each took, and Failures why others could not be.
	Opened     int            `json:"opened"`
	Opening    time.Duration  `json:"opening_ns"`
	Handshakes Histogram      `json:"handshakes"`
	Failures   map[string]int `json:"failures,omitempty"`
	// Drops are connections that ended before they were to, and why.
	Drops map[string]int `json:"drops,omitempty"`

	// Measured is the time that everything below is about.
	Measured time.Duration `json:"measured_ns"`
	// Sent is how many messages were due in that time and were sent. Unsent could not be,
	// because the connection had ended or takes no more.
	Sent   uint64 `json:"sent"`
	Unsent uint64 `json:"unsent"`
	// SentBytes is the size of those sent, only for replay. Playing is then the time from the
	// beginning until the last message was due, and Finishing how long after that the server had
	// taken everything, by connection.
	SentBytes uint64        `json:"sent_bytes,omitempty"`
	Playing   time.Duration `json:"playing_ns,omitempty"`
	Finishing Histogram     `json:"finishing"`
	// Refusals are posts that were not answered with 2xx or not made, and why; only for fanout.
	Refusals map[string]int `json:"refusals,omitempty"`
	// Expected is how often those were to arrive somewhere, and Received how many
	// messages came within the time, whenever they were due.
	Expected      uint64 `json:"expected"`
	Received      uint64 `json:"received"`
	ReceivedBytes uint64 `json:"received_bytes"`
	// Of those expected: Lost never came, Late came after they had been given up, and
	// Reordered came behind others that were sent later. In place of Wrong came
	// something else. Duplicate came once more, Foreign is what another connection of
	// echo had sent, and Unasked what was not expected at all.
	Lost      uint64 `json:"lost"`
	Late      uint64 `json:"late"`
	Reordered uint64 `json:"reordered"`
	Wrong     uint64 `json:"wrong"`
	Duplicate uint64 `json:"duplicate"`
	Foreign   uint64 `json:"foreign"`
	Unasked   uint64 `json:"unasked"`

	// Subscribers is how many connections a publication was to reach; only for fanout. First,
	// Median and Last are how long publications took to reach the first of them, half of
	// them, and the last; each counts those that reached so many.
	Subscribers int       `json:"subscribers,omitempty"`
	First       Histogram `json:"first"`
	Median      Histogram `json:"median"`
	Last        Histogram `json:"last"`

	// Cut is how many connections storm has cut, and Arrived how many of them have come
	// back in time; for churn Arrived is how many of those that were due in the measured
	// time were opened, and Departed how many closed with a close frame of both sides.
	// Closings is how long these took, from when they were due until the server had ended
	// the TCP connection.
	Cut      uint64    `json:"cut,omitempty"`
	Arrived  uint64    `json:"arrived,omitempty"`
	Departed uint64    `json:"departed,omitempty"`
	Closings Histogram `json:"closings"`

	// Latency is from when a message was due until it came, and SendLag until it was sent. Of
	// storm it is from the cut until a connection was back, and of churn from when one was
	// due until it was open.
	Latency Histogram `json:"latency"`
	SendLag Histogram `json:"send_lag"`

	// Stages are the times of the attacks, only for hostile.
	Stages []Stage `json:"stages,omitempty"`

	// Clients are the workers' costs.
	Clients []ClientCost `json:"clients"`
}

// A ClientCost is what one worker needs.
type ClientCost struct {
	// CPU is its CPU time over the measured time: 1 is a whole processor.
	CPU float64 `json:"cpu"`
	// HeapPerConnection is its heap in bytes, less what it had before there were
	// connections, for each of them.
	HeapPerConnection float64 `json:"heap_per_connection"`
}

// errors is how many things went wrong.
func (t *Tally) errors() uint64 {
	n := t.missing() + t.Lost + t.Late + t.Reordered + t.Wrong + t.Duplicate + t.Foreign + t.Unasked + t.Unsent
	for _, causes := range []map[string]int{t.Failures, t.Drops} {
		for _, count := range causes {
			n += uint64(count)
		}
	}
	return n
}

// missing is how many connections were cut and did not come back in time.
func (t *Tally) missing() uint64 { return t.Cut - min(t.Cut, t.Arrived) }

// add adds what another worker saw in the same round.
func (t *Tally) add(o *Tally) {
	t.Opened += o.Opened
	t.Opening = max(t.Opening, o.Opening)
	t.Handshakes.Merge(o.Handshakes)
	addCauses(&t.Failures, o.Failures)
	addCauses(&t.Drops, o.Drops)
	addCauses(&t.Refusals, o.Refusals)
	t.Measured = max(t.Measured, o.Measured)
	for _, pair := range [][2]*uint64{
		{&t.Sent, &o.Sent}, {&t.Unsent, &o.Unsent}, {&t.SentBytes, &o.SentBytes}, {&t.Expected, &o.Expected},
		{&t.Received, &o.Received}, {&t.ReceivedBytes, &o.ReceivedBytes},
		{&t.Lost, &o.Lost}, {&t.Late, &o.Late}, {&t.Reordered, &o.Reordered},
		{&t.Cut, &o.Cut}, {&t.Arrived, &o.Arrived}, {&t.Departed, &o.Departed},
		{&t.Wrong, &o.Wrong}, {&t.Duplicate, &o.Duplicate}, {&t.Foreign, &o.Foreign}, {&t.Unasked, &o.Unasked},
	} {
		*pair[0] += *pair[1]
	}
	t.Subscribers += o.Subscribers
	t.Closings.Merge(o.Closings)
	t.Latency.Merge(o.Latency)
	t.SendLag.Merge(o.SendLag)
	t.Playing = max(t.Playing, o.Playing)
	t.Finishing.Merge(o.Finishing)
	t.addStages(o.Stages)
	t.Clients = slices.Concat(t.Clients, o.Clients)
}

func addCauses(to *map[string]int, from map[string]int) {
	for cause, n := range from {
		if *to == nil {
			*to = make(map[string]int)
		}
		(*to)[cause] += n
	}
}
