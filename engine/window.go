package engine

import (
	"slices"
	"time"
)

// A window is a loop's wait for more publications, see TopicOptions.Window. While it is
// open no cast is taken, so that their order is kept.
type window struct {
	clock        *clock // nil: no topic has a window
	open         bool
	due          time.Duration // the engine's age at which it closes
	publications int           // that wait
	bytes        int
}

// hasWindows reports whether publications to any topic wait for others.
func (o *Options) hasWindows() bool {
	return slices.ContainsFunc(o.Topics, func(t TopicOptions) bool { return t.Window > 0 })
}

// descriptor is what the poller is to watch, -1 if there is nothing.
func (w *window) descriptor() int {
	if w.clock == nil {
		return -1
	}
	return w.clock.descriptor()
}

// window is how long the publication may wait for others.
func (p *publication) window() time.Duration {
	if p.options == nil {
		return 0
	}
	return p.options.Window
}

// openWindow opens the window, or closes it, after the last n of the loop's casts have arrived.
func (l *loop) openWindow(n int) {
	w := &l.window
	if !w.open && n < len(l.casts)-l.cast {
		return // they leave with those that are about to
	}
	shortest := longestWindow + 1
	for _, c := range l.casts[len(l.casts)-n:] {
		if !c.isPublication() {
			continue
		}
		shortest = min(shortest, c.publication.window())
		w.publications++
		w.bytes += len(c.publication.message.Payload())
	}
	full := w.publications >= walkedTogether || w.bytes >= joinedBytes || len(l.casts)-l.cast >= queuedPerRing
	if shortest == 0 || full || l.engine.draining.Load() {
		l.closeWindow()
		return
	}
	if shortest > longestWindow {
		return // there are changes of subscriptions only
	}
	if due := l.engine.elapsed() + shortest; !w.open || due < w.due {
		w.open, w.due = true, due
		w.clock.start(shortest)
	}
}

// closeWindow lets what waits leave.
func (l *loop) closeWindow() {
	l.window.open, l.window.publications, l.window.bytes = false, 0, 0
}

// onWindow closes the window once its time is over. An expiry that was reported before the
// clock was started anew comes too early, and another one follows.
func (l *loop) onWindow() {
	w := &l.window
	w.clock.hush()
	if w.open && l.engine.elapsed() < w.due {
		return
	}
	w.clock.start(0)
	if w.open {
		l.closeWindow()
		l.mail.ring()
	}
}
