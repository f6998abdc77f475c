package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

// A Report is the outcome of a run.
type Report struct {
	Config      Config    `json:"config"`
	Started     time.Time `json:"started"`
	Machine     Machine   `json:"machine"`
	Interrupted bool      `json:"interrupted,omitempty"` // what was asked for was not finished
	Targets     []Target  `json:"targets"`
}

// A Machine is where the workers ran.
type Machine struct {
	System     string `json:"system"`
	Processors int    `json:"processors"`
	Go         string `json:"go"`
}

func thisMachine() Machine {
	return Machine{System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU(), Go: runtime.Version()}
}

// A Target is one server and its rounds.
type Target struct {
	URL    string  `json:"url"`
	Rounds []Round `json:"rounds"`
	// Found is the answer of find, and Rounds are then those with it; nil otherwise.
	Found *Found `json:"found,omitempty"`
}

// A Round is what happened, and what it cost.
type Round struct {
	Tally
	// Messaging is set if messages were to be sent, whether or not any could be: connections
	// were open, and there was no interrupt.
	Messaging    bool      `json:"messaging,omitempty"`
	Began        time.Time `json:"began"`
	MeasuredFrom time.Time `json:"measured_from"` // from where times of the timeline count
	Timeline     []Moment  `json:"timeline"`
	// MachineCPU is what everything on this machine used while measuring, in processors;
	// 0 where that is not to be had.
	MachineCPU float64     `json:"machine_cpu"`
	Server     *ServerCost `json:"server,omitempty"` // nil if its process is not known
	// FoundRate and FoundConnections are what this round was with, the answer of find.
	FoundRate        float64 `json:"found_rate,omitempty"`
	FoundConnections float64 `json:"found_connections,omitempty"`
}

// A ServerCost is what the server's process needed while measuring.
type ServerCost struct {
	CPU              float64       `json:"cpu"` // in processors
	CPUPerMessage    time.Duration `json:"cpu_per_message_ns"`
	CPUPerConnection time.Duration `json:"cpu_per_connection_ns"` // for opening it; only where that is measured
	Switches         uint64        `json:"context_switches"`      // of the threads that were there at the end
	RSS              int64         `json:"rss"`                   // in bytes
	RSSPerConnection float64       `json:"rss_per_connection"`    // what it grew by while connections were opened
}

// rate is how many messages came per second.
func (r *Round) rate() float64 {
	if r.Measured <= 0 {
		return 0
	}
	return float64(r.Received) / r.Measured.Seconds()
}

// A Metric is one figure of a target over its rounds.
type Metric struct {
	Name string `json:"name"`
	Unit Unit   `json:"unit"`
	// Value is the median over the rounds, for counts their sum. Least and Most are the
	// extremes of the rounds.
	Value float64 `json:"value"`
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
	// Lacking is how many rounds should have the figure and do not, such as a latency where
	// no message came back: Value, Least and Most know nothing of them.
	Lacking int `json:"lacking,omitempty"`
}

// A Unit says what a figure counts.
type Unit string

// The units of metrics.
const (
	Count     Unit = ""
	PerSecond Unit = "/s"
	Seconds   Unit = "s"
	Bytes     Unit = "B"
	Percent   Unit = "%"
	Connected Unit = "connections"
	CPUs      Unit = "CPUs"
	Ratio     Unit = "×"
	// MBPerSecond counts millions of bytes.
	MBPerSecond Unit = "MB/s"
)

// metrics are the figures of a round, in the order in which they are shown.
var metrics = append([]metric{
	{"found.rate", PerSecond, "rate that find has found", func(r *Round) (float64, bool) { return r.FoundRate, r.FoundRate > 0 }},
	{"found.connections", Connected, "number of connections that find has found", func(r *Round) (float64, bool) { return r.FoundConnections, r.FoundConnections > 0 }},
	{"rate", PerSecond, "messages received per second", func(r *Round) (float64, bool) { return r.rate(), r.Sent > 0 || r.Messaging }},
	{"mean", Seconds, "latency, mean", func(r *Round) (float64, bool) { return r.Latency.Mean().Seconds(), r.Latency.Count() > 0 }},
	{"p50", Seconds, "latency, median", latencyAt(50)},
	{"p90", Seconds, "latency, 90 % below", latencyAt(90)},
	{"p99", Seconds, "latency, 99 % below", latencyAt(99)},
	{"p99.9", Seconds, "latency, 99.9 % below", latencyAt(99.9)},
	{"max", Seconds, "latency, longest", latencyAt(100)},
	{"first.p50", Seconds, "publication at its first subscriber, median", spreadAt(50, func(r *Round) Histogram { return r.First })},
	{"median.p50", Seconds, "publication at half of its subscribers, median", spreadAt(50, func(r *Round) Histogram { return r.Median })},
	{"last.p50", Seconds, "publication at its last subscriber, median", spreadAt(50, func(r *Round) Histogram { return r.Last })},
	{"last.p99", Seconds, "publication at its last subscriber, 99 % below", spreadAt(99, func(r *Round) Histogram { return r.Last })},
	{"reach", Percent, "deliveries that came, of those expected", func(r *Round) (float64, bool) {
		return 100 * (1 - float64(r.Lost+r.Wrong)/float64(max(1, r.Expected))), r.Subscribers > 0 && r.Expected > 0
	}},
	{"back.all", Seconds, "from the cut until all connections were back", func(r *Round) (float64, bool) {
		return r.Latency.At(100).Seconds(), r.Cut > 0 && r.missing() == 0
	}},
	{"close.p50", Seconds, "close handshake, median", closingAt(50)},
	{"close.p99", Seconds, "close handshake, 99 % below", closingAt(99)},
	{"close.max", Seconds, "close handshake, longest", closingAt(100)},
	{"connect.rate", PerSecond, "connections opened per second", func(r *Round) (float64, bool) {
		return float64(r.Opened) / max(r.Opening.Seconds(), 1e-9), r.Opened > 0
	}},
	{"connect.p50", Seconds, "opening handshake, median", handshakeAt(50)},
	{"connect.p99", Seconds, "opening handshake, 99 % below", handshakeAt(99)},
	{"connect.max", Seconds, "opening handshake, longest", handshakeAt(100)},
	{"taken.rate", PerSecond, "messages that the server took per second, until it had all", func(r *Round) (float64, bool) { return r.taken(r.Sent) }},
	{"taken.bytes", MBPerSecond, "that in bytes", func(r *Round) (float64, bool) {
		v, ok := r.taken(r.SentBytes)
		return v / 1e6, ok
	}},
	{"finish.max", Seconds, "how long after the last message was due the server had taken all, longest", func(r *Round) (float64, bool) {
		return r.Finishing.At(100).Seconds(), r.finished()
	}},
	{"sendlag.p50", Seconds, "how late messages were sent, median", func(r *Round) (float64, bool) {
		return r.SendLag.At(50).Seconds(), r.SendLag.Count() > 0
	}},
	{"sendlag.p99", Seconds, "how late messages were sent, 99 % below", func(r *Round) (float64, bool) {
		return r.SendLag.At(99).Seconds(), r.SendLag.Count() > 0
	}},
	{"sendlag.max", Seconds, "how late messages were sent, latest", func(r *Round) (float64, bool) {
		return r.SendLag.At(100).Seconds(), r.SendLag.Count() > 0
	}},
	{"sent", Count, "messages sent", count(func(t *Tally) uint64 { return t.Sent })},
	{"received", Count, "messages received", count(func(t *Tally) uint64 { return t.Received })},
	{"errors", Count, "everything that went wrong", count((*Tally).errors)},
	{"lost", Count, "messages that never came", count(func(t *Tally) uint64 { return t.Lost })},
	{"late", Count, "messages that came after they were given up", count(func(t *Tally) uint64 { return t.Late })},
	{"reordered", Count, "messages that came behind later ones", count(func(t *Tally) uint64 { return t.Reordered })},
	{"wrong", Count, "messages with something else in their place", count(func(t *Tally) uint64 { return t.Wrong })},
	{"duplicate", Count, "messages that came again", count(func(t *Tally) uint64 { return t.Duplicate })},
	{"foreign", Count, "messages that other connections had sent", count(func(t *Tally) uint64 { return t.Foreign })},
	{"unasked", Count, "messages that nobody asked for", count(func(t *Tally) uint64 { return t.Unasked })},
	{"unsent", Count, "messages that could not be sent", count(func(t *Tally) uint64 { return t.Unsent })},
	{"cut", Count, "connections cut", count(func(t *Tally) uint64 { return t.Cut })},
	{"arrived", Count, "connections opened under load", count(func(t *Tally) uint64 { return t.Arrived })},
	{"departed", Count, "connections closed under load", count(func(t *Tally) uint64 { return t.Departed })},
	{"missing", Count, "connections that did not come back", count((*Tally).missing)},
	{"opened", Count, "connections opened", func(r *Round) (float64, bool) { return float64(r.Opened), true }},
	{"failed", Count, "connections that could not be opened", count(func(t *Tally) uint64 { return total(t.Failures) })},
	{"dropped", Count, "connections that ended early", count(func(t *Tally) uint64 { return total(t.Drops) })},
	{"client.cpu", CPUs, "processors that the workers used", func(r *Round) (float64, bool) { return r.clientCPU(), true }},
	{"client.heap", Bytes, "heap of the workers for each connection", func(r *Round) (float64, bool) { return r.clientHeap() }},
	{"server.cpu", CPUs, "processors that the server used", server(func(s *ServerCost) float64 { return s.CPU })},
	{"server.cpu.message", Seconds, "CPU time of the server for each message received", func(r *Round) (float64, bool) {
		return perItem(r, func(s *ServerCost) time.Duration { return s.CPUPerMessage })
	}},
	{"server.cpu.connection", Seconds, "CPU time of the server for each connection opened", func(r *Round) (float64, bool) {
		return perItem(r, func(s *ServerCost) time.Duration { return s.CPUPerConnection })
	}},
	{"server.rss.connection", Bytes, "memory that the server grew by for each connection", func(r *Round) (float64, bool) {
		if r.Server == nil { // one that has shrunk was giving back what it had before
			return 0, false
		}
		return r.Server.RSSPerConnection, r.Server.RSSPerConnection >= 0
	}},
	{"server.switches", Count, "context switches of the threads that the server has", server(func(s *ServerCost) float64 { return float64(s.Switches) })},
}, stageMetrics()...)

// A metric is how a figure of a round comes about.
type metric struct {
	name  string
	unit  Unit
	about string
	of    func(r *Round) (value float64, ok bool)
}

func latencyAt(percent float64) func(*Round) (float64, bool) {
	return func(r *Round) (float64, bool) { return r.Latency.At(percent).Seconds(), r.Latency.Count() > 0 }
}

func handshakeAt(percent float64) func(*Round) (float64, bool) {
	return func(r *Round) (float64, bool) { return r.Handshakes.At(percent).Seconds(), r.Handshakes.Count() > 0 }
}

func closingAt(percent float64) func(*Round) (float64, bool) {
	return func(r *Round) (float64, bool) { return r.Closings.At(percent).Seconds(), r.Closings.Count() > 0 }
}

func spreadAt(percent float64, of func(*Round) Histogram) func(*Round) (float64, bool) {
	return func(r *Round) (float64, bool) { return of(r).At(percent).Seconds(), of(r).Count() > 0 }
}

func count(of func(*Tally) uint64) func(*Round) (float64, bool) {
	return func(r *Round) (float64, bool) { return float64(of(&r.Tally)), true }
}

func server(of func(*ServerCost) float64) func(*Round) (float64, bool) {
	return func(r *Round) (float64, bool) {
		if r.Server == nil {
			return 0, false
		}
		return of(r.Server), true
	}
}

// perItem is a cost for each of something, unless there was none.
func perItem(r *Round, of func(*ServerCost) time.Duration) (float64, bool) {
	if r.Server == nil {
		return 0, false
	}
	cost := of(r.Server)
	return cost.Seconds(), cost > 0
}

func total(causes map[string]int) (n uint64) {
	for _, count := range causes {
		n += uint64(count)
	}
	return n
}

func (r *Round) clientCPU() (sum float64) {
	for _, c := range r.Clients {
		sum += c.CPU
	}
	return sum
}

// clientHeap is the mean over the workers.
func (r *Round) clientHeap() (mean float64, ok bool) {
	for _, c := range r.Clients {
		mean += c.HeapPerConnection / float64(len(r.Clients))
	}
	return mean, mean > 0
}

// excused reports whether a round may lack a figure without anything having failed: memory
// was given back meanwhile.
func (r *Round) excused(name string) bool {
	return name == "client.heap" || name == "server.rss.connection" && r.Server != nil
}

// Metrics are the figures of the target that there are in any of its rounds.
func (t *Target) Metrics() []Metric {
	var all []Metric
	for _, m := range metrics {
		var values []float64
		lacking := 0
		for i := range t.Rounds {
			if v, ok := m.of(&t.Rounds[i]); ok {
				values = append(values, v)
			} else if !t.Rounds[i].excused(m.name) {
				lacking++
			}
		}
		if len(values) == 0 {
			continue
		}
		value := median(values)
		if m.unit == Count {
			value = 0
			for _, v := range values {
				value += v
			}
		}
		all = append(all, Metric{m.name, m.unit, value, slices.Min(values), slices.Max(values), lacking})
	}
	return all
}

// metric returns one of Metrics.
func (t *Target) metric(name string) (Metric, bool) {
	for _, m := range t.Metrics() {
		if m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}

// metricUnit is the unit of a metric.
func metricUnit(name string) Unit {
	for _, m := range metrics {
		if m.name == name {
			return m.unit
		}
	}
	return Count
}

// median sorts values, of which there is at least one.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// WriteJSON writes the whole report, histograms included.
func (r *Report) WriteJSON(w io.Writer) error {
	type target struct {
		Target
		Metrics []Metric `json:"metrics"`
	}
	all := struct {
		*Report
		Config   Config   `json:"config"`
		Targets  []target `json:"targets"`
		Warnings []string `json:"warnings,omitempty"`
	}{Report: r, Config: r.Config, Warnings: r.Warnings()}
	all.Config.Publishing = all.Config.Publishing.withoutSecrets()
	for _, t := range r.Targets {
		all.Targets = append(all.Targets, target{t, t.Metrics()})
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return fmt.Errorf("bench: writing the report: %w", err)
	}
	return nil
}
