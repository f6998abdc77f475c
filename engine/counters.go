package engine

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirws/weir/frame"
	"github.com/weirws/weir/handler"
)

// Counters is what an engine has done since it was made, and what it holds now. All
// are totals unless they say otherwise.
type Counters struct {
	Sockets     int64 // now, in any state; those that the HTTP server holds included
	Connections int64 // open now

	Opened            uint64 // connections, by a completed opening handshake
	HandedOff         uint64 // to the HTTP server
	MessagesIn        uint64
	MessagesOut       uint64                     // encoded for a connection and taken by its flush; pings and pongs included
	BytesIn           uint64                     // as read from sockets, with frame headers and handshakes
	BytesOut          uint64                     // as written to sockets
	Pauses            uint64                     // times that reading from a connection stopped because its handler or its peer was behind
	AcceptPauses      uint64                     // times that accepting stopped for want of descriptors
	LoopLag           time.Duration              // how late the tick of a loop was at most since the last snapshot
	QueueDepth        int64                      // connections in the run queue now
	QueuedBytes       int64                      // waiting for slow connections at the last ticks
	Closes            map[frame.CloseCode]uint64 // ended connections by the code their OnClose got
	Drops             map[string]uint64          // connections that the engine ended, by reason
	HandshakesRefused map[int]uint64             // by HTTP status
	Missed            map[Missed]uint64          // publications that slow connections did not get
}

// Missed is how and where publications were dropped for a connection, or replaced by
// newer ones.
type Missed struct {
	Policy handler.SlowPolicy // what dropped them
	Topic  string             // what they were published to: "" for broadcasts, OtherTopics beyond 256 topics
}

// OtherTopics is where Counters.Missed counts all topics beyond those that it counts one
// by one.
const OtherTopics = handler.OtherTopics

const missedTopics = 256 // counted one by one

// A missedCounter counts what connections missed of a topic, by policy.
type missedCounter [handler.Conflate + 1]atomic.Uint64

// loopCounters are one loop's part of the counters. Only the loop adds to them,
// except where noted, so the additions are not contended.
type loopCounters struct {
	bytesIn, bytesOut       atomic.Uint64
	messagesIn, messagesOut atomic.Uint64
	pauses                  atomic.Uint64
	lag                     atomic.Int64 // nanoseconds; a snapshot resets it
	queued                  weights
}

// late records how late a tick was.
func (c *loopCounters) late(by time.Duration) {
	if int64(by) > c.lag.Load() {
		c.lag.Store(int64(by))
	}
}

// engineCounters count what is rare enough for all loops to share.
type engineCounters struct {
	opened, handedOff, starved atomic.Uint64

	mu       sync.Mutex
	closes   map[frame.CloseCode]uint64
	drops    map[string]uint64
	statuses map[int]uint64
	missed   map[string]*missedCounter // by topic
}

func add[K comparable](mu *sync.Mutex, m *map[K]uint64, key K) {
	mu.Lock()
	defer mu.Unlock()
	if *m == nil {
		*m = make(map[K]uint64)
	}
	(*m)[key]++
}

func (c *engineCounters) closed(code frame.CloseCode) { add(&c.mu, &c.closes, code) }
func (c *engineCounters) dropped(reason string)       { add(&c.mu, &c.drops, reason) }
func (c *engineCounters) refused(status int)          { add(&c.mu, &c.statuses, status) }

// missedOf returns the counter of a topic.
func (c *engineCounters) missedOf(topic string) *missedCounter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.missed[topic] == nil && len(c.missed) >= missedTopics {
		topic = OtherTopics
	}
	counter := c.missed[topic]
	if counter == nil {
		if c.missed == nil {
			c.missed = make(map[string]*missedCounter)
		}
		counter = new(missedCounter)
		c.missed[topic] = counter
	}
	return counter
}

// missedTotals is what all counters of missed publications stand at. The lock is held.
func (c *engineCounters) missedTotals() map[Missed]uint64 {
	totals := make(map[Missed]uint64)
	for topic, counter := range c.missed {
		for policy := range counter {
			if n := counter[policy].Load(); n > 0 {
				totals[Missed{handler.SlowPolicy(policy), topic}] = n
			}
		}
	}
	return totals
}

// Counters takes a snapshot, from any goroutine. It costs a few dozen loads and no
// stop of anything.
func (e *Engine) Counters() Counters {
	c := Counters{
		Sockets:      e.sockets.Load(),
		Connections:  e.registry.count.Load(),
		Opened:       e.count.opened.Load(),
		HandedOff:    e.count.handedOff.Load(),
		AcceptPauses: e.count.starved.Load(),
		QueueDepth:   e.run.length.Load(),
	}
	e.starting.Lock()
	loops := e.loops
	e.starting.Unlock()
	for _, l := range loops {
		c.MessagesIn += l.count.messagesIn.Load()
		c.MessagesOut += l.count.messagesOut.Load()
		c.BytesIn += l.count.bytesIn.Load()
		c.BytesOut += l.count.bytesOut.Load()
		c.Pauses += l.count.pauses.Load()
		c.QueuedBytes += l.count.queued.total()
		c.LoopLag = max(c.LoopLag, time.Duration(l.count.lag.Swap(0)))
	}
	e.count.mu.Lock()
	defer e.count.mu.Unlock()
	c.Closes, c.Drops, c.HandshakesRefused = maps.Clone(e.count.closes), maps.Clone(e.count.drops), maps.Clone(e.count.statuses)
	c.Missed = e.count.missedTotals()
	return c
}
