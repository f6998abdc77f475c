package engine

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/weirws/weir/handler"
)

// bundled is how many connections are looked at before the first of them is written to.
// What the kernel touches for a write drives the next connections out of the cache;
// looked at together they are fetched at the same time.
const bundled = 16

// A bundle is connections that get the same bytes, one write each.
type bundle struct {
	conns [bundled]*Conn
	n     int
	fds   [bundled]int32
	taken [bundled]taken
}

// taken is how many bytes a socket has taken, and why none if it has not.
type taken struct {
	bytes int
	errno unix.Errno
}

// handAll hands a group's publications to members, with one write each. What a socket
// does not take waits in the outbox.
func (l *loop) handAll(members []member, g *group) {
	var b bundle
	for some := range slices.Chunk(members, bundled) {
		for _, m := range some {
			c := m.conn
			if c == nil {
				continue
			}
			if !c.isDirect() || g.some && g.excepts(c) {
				if l.queue(c, g) {
					c.flush()
				}
				continue
			}
			if b.n > 0 && c.outbox.deflate != b.conns[0].outbox.deflate {
				l.writeBundle(&b, g)
			}
			b.conns[b.n] = c
			b.n++
		}
		l.writeBundle(&b, g)
	}
}

// isDirect reports whether nothing waits in the outbox and before it, so that the
// socket can be written to past them; not where it takes encrypted records, or masked
// frames, only.
func (c *Conn) isDirect() bool {
	return c.state == stateOpen && c.backlog == nil && c.tls == nil && !c.outbox.masks && c.outbox.isIdle()
}

// writeBundle writes a group's publications to the connections of a bundle, which is
// empty then. Nothing runs in between that could close one of their descriptors.
func (l *loop) writeBundle(b *bundle, g *group) {
	if b.n == 0 {
		return
	}
	conns, all := b.conns[:b.n], g.join(b.conns[0].outbox.deflate)
	for i, c := range conns {
		b.fds[i] = c.fd
	}
	writeSockets(b.fds[:b.n], all, b.taken[:b.n])
	b.n = 0
	sum := 0
	for i, c := range conns {
		t := b.taken[i]
		sum += t.bytes
		if t.bytes < len(all) {
			c.keepRest(g, t)
		}
	}
	l.count.messagesOut.Add(uint64(len(conns) * len(g.publications)))
	l.count.bytesOut.Add(uint64(sum))
}

// keepRest keeps what the socket has not taken of a group's publications.
func (c *Conn) keepRest(g *group, t taken) {
	if t.errno != 0 && t.errno != unix.EAGAIN {
		c.lost(t.errno)
		return
	}
	spared := c.slowPolicy(g.publications[0]) != handler.Disconnect // all are of one topic
	c.outbox.putRest(g.publications, t.bytes, spared)
	c.block()
}
