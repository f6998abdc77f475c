package main

import (
	"strings"
	"testing"
)

// TestBenchOfLife runs the scenarios about the lives of connections against this program.
func TestBenchOfLife(t *testing.T) {
	t.Setenv(asWeir, "1") // for the workers
	w := serveApart(t, "", "--address", "127.0.0.1:0")
	tests := []struct {
		args string
		want []string
	}{
		{"idle --rate 100 --threshold p99<1m --threshold lost<1", []string{"open loop, 100/s: latency counts from when a ping was due", "32 bytes", "p99.9"}},
		{"storm --threshold back.all<1m --threshold missing<1", []string{"all connections are cut at once", "back.all", "cut 40", "arrived 40"}},
		{"churn --threshold close.p99<1m", []string{"open loop, 100/s: latency counts from when a connection was due", "close.p50", "arrived 100", "departed 100"}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			scenario, flags, _ := strings.Cut(tt.args, " ")
			line := append([]string{"bench", scenario, "ws://" + w.address + "/echo"}, strings.Fields(flags)...)
			line = append(line, strings.Fields("--connections 20 --workers 2 --duration 500ms --warm-up 0 --rounds 2 --threshold errors<1")...)
			stdout, stderr := newTranscript(), newTranscript()
			if code := run(t.Context(), line, stdout, stderr); code != exitOK {
				t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
			}
			got := strings.Join(strings.Fields(stdout.String()), " ")
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in: %s", want, stdout)
				}
			}
		})
	}
}
