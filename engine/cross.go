package engine

// UDP between intercepted and plain programs of one sandbox: the loopback and the
// sandbox's own addresses, whose packets leave neither the kernel nor the stack.
// A crossing is a UDP socket of the kernel that has, in the sandbox's namespace,
// an address and port that an intercepted socket has in the stack. What plain
// programs send there comes to the intercepted socket; what intercepted sockets
// of that address and port send to where none of their kind is goes out by it.
//
// A socket that is bound so that others may know its port is shown: it has its
// crossings for as long as it is there (cross_show.go). All others get one with
// the first datagram that has no other way, a relay, which goes when it was idle.
// Crossings belong to no socket: they go with the last one of their port.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/udp"
)

// Bounds. maxShown and maxRelays are of kernel sockets; ports beyond are not
// shown, and of relays the one goes that was idle longest. crossBatch bounds the
// datagrams that are taken from one in a turn.
const (
	maxShown   = 1024
	maxRelays  = 256
	crossBatch = 64
)

// relayIdle is how long a relay waits for an answer. RFC 4787, REQ-5, recommends
// five minutes to those who keep a port for somebody else.
const relayIdle = 5 * time.Minute

// crossMask is edge-triggered, like mirrorMask.
const crossMask = hostlink.In | hostlink.Edge

// crossings are the kernel's sockets that stand for intercepted ones.
type crossings struct {
	byAddr map[netip.AddrPort]*crossing
	byPort map[uint16][]*crossing
	byFD   []*crossing // index: the descriptor's number
	gen    uint32
	relays int
	sweep  time.Duration // when to look for idle relays; valid iff there are any
	io     hostlink.Datagrams
	rx     udp.Rx // the datagram that is being delivered
}

// A crossing is one UDP socket of the kernel.
type crossing struct {
	at    netip.AddrPort // what it stands for; the kernel's socket may have another port
	fd    int
	gen   uint32
	relay bool
	used  time.Duration // when the last datagram passed; valid iff relay
}

// add makes descriptor fd, which it owns, the crossing of at.
func (e *engine) addCrossing(at netip.AddrPort, fd int, relay bool) *crossing {
	c := &e.cross
	c.gen = (c.gen + 1) & genMask
	x := &crossing{at: at, fd: fd, gen: c.gen, relay: relay, used: e.now}
	if e.poll.Add(fd, crossMask, tag(kindCross, x.gen, fd)) != nil {
		hostlink.CloseFD(fd)
		return nil
	}
	if c.byAddr == nil {
		c.byAddr = make(map[netip.AddrPort]*crossing)
		c.byPort = make(map[uint16][]*crossing)
	}
	c.byAddr[at] = x
	c.byPort[at.Port()] = append(c.byPort[at.Port()], x)
	for fd >= len(c.byFD) {
		c.byFD = append(c.byFD, nil)
	}
	c.byFD[fd] = x
	if relay {
		if c.relays++; c.relays == 1 {
			c.sweep = e.now + relayIdle
		}
	}
	return x
}

// shownCrossings is the number of crossings that are no relays.
func (c *crossings) shown() int { return len(c.byAddr) - c.relays }

func (e *engine) closeCrossing(x *crossing) {
	c := &e.cross
	delete(c.byAddr, x.at)
	c.byFD[x.fd] = nil
	if x.relay {
		c.relays--
	}
	list := c.byPort[x.at.Port()]
	for i := range list {
		if list[i] == x {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(c.byPort, x.at.Port())
	} else {
		c.byPort[x.at.Port()] = list
	}
	_ = e.poll.Remove(x.fd)
	hostlink.CloseFD(x.fd)
}

// portReleased closes the crossings of a port that a socket has left, as far as
// no other has it.
func (e *engine) portReleased(port uint16) {
	for _, x := range e.cross.byPort[port] {
		if !e.stack.UDP().Bound(x.at) {
			e.closeCrossing(x)
		}
	}
}

// sweepRelays closes relays that were idle for long.
func (e *engine) sweepRelays() {
	c := &e.cross
	if c.relays == 0 || e.now < c.sweep {
		return
	}
	c.sweep = e.now + relayIdle
	for _, x := range c.byAddr {
		switch end := x.used + relayIdle; {
		case !x.relay:
		case end <= e.now:
			e.closeCrossing(x)
		default:
			c.sweep = min(c.sweep, end)
		}
	}
}

// oldestRelay is the one that was idle longest.
func (c *crossings) oldestRelay() (oldest *crossing) {
	for _, x := range c.byAddr {
		if x.relay && (oldest == nil || x.used < oldest.used) {
			oldest = x
		}
	}
	return oldest
}

// deadline is when sweepRelays has to be called at the latest.
func (c *crossings) deadline() (time.Duration, bool) { return c.sweep, c.relays > 0 }
