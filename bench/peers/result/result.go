// Package result is what the load generator tells the ratio runner about one
// run, as JSON on its standard output.
package result

import "time"

// Result is one measuring window, warm-up and drain left out.
type Result struct {
	// Messages is how many came back whole and as sent: echoes, or deliveries
	// of a broadcast; or how many connections were opened.
	Messages uint64        `json:"messages"`
	Wall     time.Duration `json:"wall_ns"`
	// Server and Generator are the CPU time of the two processes, and Others
	// that of everything else on the machine: much of it spoils the figures.
	Server    time.Duration `json:"server_cpu_ns"`
	Generator time.Duration `json:"generator_cpu_ns"`
	Others    time.Duration `json:"others_cpu_ns"`
	// BytesPerConnection is the resident memory of the server, when that is measured.
	BytesPerConnection float64 `json:"bytes_per_connection,omitempty"`
	// Latency is measured at a fixed rate only.
	Latency *Latency `json:"latency,omitempty"`
}

// Latency is the time from the moment a message was due to be sent until its
// echo was read, so that a server that stalls is charged for every message
// that was due meanwhile.
type Latency struct {
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}
