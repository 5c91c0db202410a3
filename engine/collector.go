package engine

// How often the garbage collector works. A collection holds the loop up for as
// long as tens of connections take, and what lives, nearly all of it sockets, is
// small in most engines: a fixed percentage of that would be over after a few
// hundred connections. So there is a least amount of garbage, and a percentage on
// top, which counts where there are many sockets.

import "runtime/debug"

// In bytes: the least garbage that is collected, what an engine without sockets
// has, and what a socket takes; the percentage of all that, too.
const (
	leastGarbage = 8 << 20
	emptyEngine  = 4 << 20
	socketSize   = 2 << 10
	gcPercent    = 50
)

// collection is the percentage that was set last.
type collection int

// adjust is called when an engine has so many sockets.
func (c *collection) adjust(sockets int) {
	want := collection(gcPercent + leastGarbage*100/(emptyEngine+sockets*socketSize))
	if want == *c {
		return
	}
	*c = want
	debug.SetGCPercent(int(want))
}

// grown adjusts when the number of sockets has doubled, as that stops all threads
// for a moment.
func (c *collection) grown(sockets int) {
	if sockets >= 256 && sockets&(sockets-1) == 0 {
		c.adjust(sockets)
	}
}
