package engine

// How often the garbage collector works. A collection holds the loop up for as
// long as tens of connections take, and what lives is small in most engines: a
// fixed percentage of that would be over after a few hundred connections. So there
// is a least amount of garbage, and a percentage on top, which counts where there
// are many sockets or much payload.

import "runtime/debug"

// In bytes: the least garbage that is collected, what an engine without sockets
// has, and what a socket takes; the percentage of all that, too.
const (
	leastGarbage = 8 << 20
	emptyEngine  = 4 << 20
	socketSize   = 2 << 10
	gcPercent    = 50
)

// collection is what lived when the percentage was set last, in bytes.
type collection int

// percent is what to set when so much lives: leastGarbage of it and gcPercent.
func (c collection) percent() int { return gcPercent + leastGarbage*100/int(c) }

// outgrown notes what lives now and reports whether that differs so much that the
// percentage has to be set anew. Between, garbage is at most gcPercent of what lives
// and four times leastGarbage.
func (c *collection) outgrown(sockets, payload int) bool {
	live, was := collection(emptyEngine+sockets*socketSize+payload), *c
	if was/4 < live && live < 2*was {
		return false
	}
	*c = live
	return true
}

// adjustCollector is called in each turn. Setting the percentage waits for a
// collection under way, which the loop must not.
func (e *engine) adjustCollector() {
	if e.adjusting.Load() || !e.collection.outgrown(e.socks.live, e.stack.Pool().InUse()+e.shards.inUse()) {
		return
	}
	e.adjusting.Store(true)
	go func(percent int) {
		debug.SetGCPercent(percent)
		e.adjusting.Store(false)
	}(e.collection.percent())
}
