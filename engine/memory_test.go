package engine_test

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// BenchmarkIdleMemory prints what an idle connection costs, its handshake done. The
// server is a process of its own.
//
// rss-B/conn is the resident memory of the process as it stands right after the
// handshakes, settled-B/conn the same once garbage is collected and given back to the
// system, heap-B/conn the live heap in that. All are above what the process took
// before. kernel-B/conn is what the kernel has allocated for both ends of a connection.
func BenchmarkIdleMemory(b *testing.B) {
	const held, atOnce = 10_000, 1_000
	needDescriptors(b, held)
	for _, mode := range []engine.Mode{engine.Workers, engine.OnLoop} {
		b.Run(mode.String(), func(b *testing.B) {
			for b.Loop() {
				measureIdle(b, mode, held, atOnce)
			}
		})
	}
}

// measureIdle reports what n idle connections cost.
func measureIdle(b *testing.B, mode engine.Mode, n, atOnce int) {
	server := startProcess(b, "idle server")
	addr, err := netip.ParseAddrPort(server.ask(b, "start %d", mode))
	if err != nil {
		b.Fatal(err)
	}
	before, kernelBefore := askUsage(b, server, "settled"), kernelMemory(b)
	var clients swarm
	defer clients.close()
	for range n / atOnce {
		if err := clients.connect(atOnce, addr); err != nil {
			b.Fatal(err)
		}
	}
	after, kernel := askUsage(b, server, "usage"), kernelMemory(b)
	settled := askUsage(b, server, "settled")
	perConn := func(now, then int) float64 { return float64(now-then) / float64(n) }
	b.ReportMetric(perConn(after.resident, before.resident), "rss-B/conn")
	b.ReportMetric(perConn(settled.resident, before.resident), "settled-B/conn")
	b.ReportMetric(perConn(settled.heap, before.heap), "heap-B/conn")
	b.ReportMetric(perConn(settled.objects, before.objects), "objects/conn")
	b.ReportMetric(perConn(kernel, kernelBefore), "kernel-B/conn")
}

// A usage is the memory a process takes, in bytes, and its objects on the heap.
type usage struct{ resident, heap, objects int }

func askUsage(b *testing.B, server *process, command string) (u usage) {
	if _, err := fmt.Sscan(server.ask(b, "%s", command), &u.resident, &u.heap, &u.objects); err != nil {
		b.Fatal(err)
	}
	return u
}

// newIdleServerRole is a process with an engine. Its commands are "start MODE" and
// "start TLS CERTIFICATE KEY", which answer with the address, "usage", and "settled": the usage once garbage is gone.
func newIdleServerRole() role {
	return func(command string) (string, error) {
		switch command {
		case "settled":
			debug.FreeOSMemory()
			debug.FreeOSMemory() // pools keep what they hold for one collection
			return memoryUsage()
		case "usage":
			return memoryUsage()
		}
		o := engine.Options{Mux: routes(handler.Echo{}), Address: "127.0.0.1:0"}
		var files engine.TLSOptions
		if _, err := fmt.Sscanf(command, "start TLS %s %s", &files.CertFile, &files.KeyFile); err == nil {
			o.TLS = &files
		} else if _, err := fmt.Sscanf(command, "start %d", &o.Mode); err != nil {
			return "", err
		}
		e, err := engine.New(o)
		if err != nil {
			return "", err
		}
		if err := e.Start(); err != nil {
			return "", err
		}
		return e.Addr().String(), nil
	}
}

// memoryUsage is what this process takes: resident bytes, and bytes and objects on
// the heap.
func memoryUsage() (string, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	resident, err := procField("/proc/self/status", "VmRSS:")
	return fmt.Sprint(resident, m.HeapAlloc, m.HeapObjects), err
}

// kernelMemory is what the slabs of the kernel hold, in bytes: sockets among them.
// It is the whole machine's, so it is right on a quiet one only.
func kernelMemory(b *testing.B) int {
	n, err := procField("/proc/meminfo", "Slab:")
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// procField reads a size in kB and returns it in bytes.
func procField(file, name string) (int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(content), name)
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("%s in %s: %w", name, file, err)
	}
	return kilobytes << 10, nil
}
