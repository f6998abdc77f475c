// Package bench loads WebSocket servers and tells how they did. It works against
// any server: all it needs is a URL, and of the server's process, if it is on this
// machine, the number.
//
// Run carries out a Config and returns a Report, which can write itself as text,
// JSON, CSV and a page with charts. A run is one or more rounds for each server, in turn. For
// a round, Run starts workers, which hold the connections: processes of their own
// that call Worker, or one goroutine if Config.WorkerCommand is empty. A worker is one
// event loop of the engine's client, so what it measures needs no synchronisation
// with other loops, and a connection costs it a few hundred bytes.
//
// # What is measured
//
// Every message carries a stamp: who sent it, its number, when it was due, and a
// check sum. So each reply and each delivery is verified byte by byte, and what is
// lost, doubled, out of order or wrong is counted as just that.
//
// In an open loop (Config.Rate) messages have due times that do not depend on how
// the server does, and latency counts from then: a server that stalls is charged for
// everything that was due meanwhile. In a closed loop each reply brings on the next
// message. That measures capacity; its latencies leave out what would have been sent
// during a stall (coordinated omission), and reports say so.
//
// Figures count messages that were due between the end of the warm-up and the end of the
// round, whenever they came back; rates count what came back in that time.
//
// Find repeats rounds of echo in search of what a server can do; hostile measures a control
// group while others attack; replay plays what Record has recorded.
//
// All workers have to be on one machine: they compare times, of its steady clock. To set the
// wall clock during a run changes nothing.
package bench
