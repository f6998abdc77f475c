// Package engine serves and opens WebSocket connections on event loops.
//
// An Engine has Options, loops and a run queue. Each loop is one goroutine in a gnet
// poller, with a listening socket and connections of its own: it accepts, reads, parses,
// answers control frames and writes. A whole message goes to the connection's inbox, and
// the connection to the run queue, from which workers, callers of Service or, in mode
// OnLoop, the loop itself call its handler.Handler. What anybody sends goes to the
// connection's outbox, from which its loop writes all that waits in one write.
//
// Who may touch what: the fields of a Conn are grouped by owner. Only a connection's loop
// touches its socket; everyone else appends to the inbox or outbox, under the lock of
// that, and asks the loop through its mailbox, where a connection is at most once. No
// lock is held across a callback or a write to a socket, and nobody holds two, except
// that the tree of patterns changes under the lock of the shard that counts the pattern.
// Nothing on a loop may block.
//
// What will hurt: a handler that blocks in mode OnLoop stops every connection of its
// loop; a handler that waits for Done of its engine waits for itself; a payload is valid
// until OnMessage returns.
//
// # What our dependencies do
//
// Found by running gnet v2.10.0 and gobwas/ws v1.5.0, and worked around here:
//
//   - Poller.Polling polls once more without waiting before it blocks, and has no hook for
//     the end of a batch of events. The loops ring their own bell, an eventfd, for that.
//   - Tasks given to Poller.Trigger are drained to empty before I/O is polled again, so the
//     mailbox takes their place.
//   - On kqueue, Poller.Delete does nothing, so that a level-triggered descriptor cannot be
//     paused. All connections are watched edge-triggered: pausing is not reading, costs no
//     system call, and the kernel need not look at a ready descriptor a second time. Only
//     listeners are level-triggered.
//   - The build tag poll_opt changes the signature of Polling; see poll_opt.go.
//   - A timerfd that is watched edge-triggered and never read reports one expiry and no
//     more. An eventfd reports every write, read or not.
//   - ws.Upgrader reads a request line by line into a buffer of fixed size, refuses what
//     RFC 9110 allows, such as two Connection fields, and turns names to canonical case. It
//     gets to see only what it needs; handler.ParseRequest is what reads the request.
//   - unix.Accept4 allocates 160 bytes for each connection; the call in syscall_linux.go none.
package engine
