package netstack

// The neighbour cache, one for IPv4 and IPv6: RFC 4861 section 7.3 (states),
// RFC 1122 section 2.3.2 (ARP cache), RFC 6583 (a cache under attack).

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Constants of RFC 4861 section 10.
const (
	reachableTime   = 30 * time.Second
	delayFirstProbe = 5 * time.Second
	retransTimer    = time.Second
	maxSolicits     = 3 // by multicast or broadcast, then again by unicast
)

// Bounds (RFC 6583 section 6). Of the packets for an unresolved neighbour the
// oldest go first (RFC 4861 section 7.2.2).
const (
	maxNeighbours  = 512
	maxHeld        = 64      // packets per neighbour: the fragments of one datagram
	maxHeldBytes   = 1 << 20 // of chunks, per neighbour
	maxHeldTotal   = 4 << 20 // of chunks, all neighbours
	conflictPeriod = time.Second
)

type neighState uint8

const (
	neighNone       neighState = iota
	neighIncomplete            // asked, no answer yet
	neighReachable             // confirmed; until timer
	neighStale                 // known, not confirmed
	neighDelay                 // used while stale; timer starts the probing
	neighProbe                 // asked by unicast
	neighPermanent             // broadcast, multicast
)

// A neighbour is a next hop on a link.
type neighbour struct {
	link     *link // nil: the loopback
	addr     netip.Addr
	mac      wire.MAC
	state    neighState
	gone     bool // no longer in the table: paths must look it up again
	lent     bool // stacks that connections were lent to have copied mac
	solicits uint8
	timer    time.Duration // end of reachability, or the next step of the state
	used     time.Duration
	asked    time.Duration // last re-examination because of a conflicting claim
	queue    []held
	bytes    int // of the queue's chunks
}

type neighKey struct {
	link int
	addr netip.Addr
}

type neighTable struct {
	byKey    map[neighKey]*neighbour
	list     []*neighbour  // the same, in order of creation: loops must be deterministic
	next     time.Duration // earliest timer of an active state, 0 for none
	held     int           // bytes of all queues
	loopback neighbour
}

func (t *neighTable) init() {
	t.byKey = make(map[neighKey]*neighbour)
	t.loopback.state = neighPermanent
}

// renew replaces every record by a copy, so that paths ask for their route
// again.
func (t *neighTable) renew() {
	for i, n := range t.list {
		c := *n
		n.gone, n.queue = true, nil
		t.list[i] = &c
		t.byKey[neighKey{c.link.num, c.addr}] = &c
	}
}

// neighbourFor returns the record of w's next hop, new if need be.
func (s *Stack) neighbourFor(w *way) *neighbour {
	if w.kind == wayLocal {
		return &s.neigh.loopback
	}
	if w.link.peer != nil && w.kind == wayUnicast {
		return &w.link.peer.neigh
	}
	if n := s.neigh.byKey[neighKey{w.link.num, w.hop}]; n != nil {
		return n
	}
	n := s.newNeighbour(w.link, w.hop)
	switch w.kind {
	case wayBroadcast:
		n.state, n.mac = neighPermanent, wire.Broadcast
	case wayMulticast:
		n.state, n.mac = neighPermanent, wire.MulticastMAC(w.hop)
	}
	return n
}

func (s *Stack) newNeighbour(l *link, a netip.Addr) *neighbour {
	t := &s.neigh
	if len(t.list) >= maxNeighbours {
		s.evictNeighbour()
	}
	n := &neighbour{link: l, addr: a, used: s.now}
	t.list = append(t.list, n)
	t.byKey[neighKey{l.num, a}] = n
	return n
}

// evictNeighbour makes room: the least recently used goes, of those that were
// only asked for when they are half of the table, else of the others. So a flood
// of packets from addresses that nobody has costs neither the neighbours that
// are there nor new ones, who answer long before 256 others were asked for
// (RFC 6583 section 7.1).
func (s *Stack) evictNeighbour() {
	var oldest [2]*neighbour // known, asked for
	asking := 0
	for _, n := range s.neigh.list {
		kind := 0
		if n.state == neighIncomplete {
			kind = 1
			asking++
		}
		if o := oldest[kind]; o == nil || n.used < o.used {
			oldest[kind] = n
		}
	}
	victim := oldest[0]
	if asking >= maxNeighbours/2 {
		victim = oldest[1]
	}
	s.counters.Neigh.Evicted++
	s.dropNeighbour(victim)
}

func (s *Stack) dropNeighbour(n *neighbour) {
	t := &s.neigh
	delete(t.byKey, neighKey{n.link.num, n.addr})
	for i := range t.list {
		if t.list[i] == n {
			t.list = append(t.list[:i], t.list[i+1:]...)
			break
		}
	}
	for len(n.queue) > 0 {
		s.neighUnqueue(n)
	}
	n.gone = true
	s.moved(n)
}

// neighOutput is output for a neighbour that is not known to be reachable.
func (s *Stack) neighOutput(n *neighbour, f *TxFrame) {
	n.used = s.now
	if s.guest {
		return // not lent with a connection: whoever asks for neighbours will fetch it
	}
	switch n.state {
	case neighReachable, neighStale:
		// RFC 4861 section 7.3.3: use it, and find out whether it still answers.
		s.setTimer(n, neighDelay, delayFirstProbe)
		s.emit(n.link, n.mac, f)
	case neighDelay, neighProbe:
		s.emit(n.link, n.mac, f)
	case neighIncomplete:
		s.neighQueue(n, f)
	case neighNone:
		s.neighQueue(n, f)
		n.solicits = 0
		n.state = neighIncomplete
		s.solicit(n)
	}
}

func (s *Stack) setTimer(n *neighbour, state neighState, d time.Duration) {
	n.state, n.timer = state, s.now+d
	if state != neighReachable && (s.neigh.next == 0 || n.timer < s.neigh.next) {
		s.neigh.next = n.timer
	}
}

// neighQueue keeps a copy of f until n is resolved.
func (s *Stack) neighQueue(n *neighbour, f *TxFrame) {
	h, ok := s.hold(f)
	if !ok {
		s.counters.Neigh.QueueDrops++
		return
	}
	size := cap(h.chunk.B)
	for len(n.queue) > 0 && (len(n.queue) >= maxHeld || n.bytes+size > maxHeldBytes || s.neigh.held+size > maxHeldTotal) {
		s.counters.Neigh.QueueDrops++
		s.neighUnqueue(n)
	}
	if s.neigh.held+size > maxHeldTotal {
		s.counters.Neigh.QueueDrops++
		s.pool.Put(h.chunk)
		return
	}
	n.queue = append(n.queue, h)
	n.bytes += size
	s.neigh.held += size
}

// neighUnqueue drops the oldest packet of n's queue.
func (s *Stack) neighUnqueue(n *neighbour) {
	h := n.queue[0]
	n.queue[0] = held{}
	n.queue = n.queue[1:]
	n.bytes -= cap(h.chunk.B)
	s.neigh.held -= cap(h.chunk.B)
	s.pool.Put(h.chunk)
}

// solicit asks for n's address once and sets the timer for the answer.
func (s *Stack) solicit(n *neighbour) {
	n.solicits++
	if n.addr.Is4() {
		s.sendARPRequest(n)
	} else {
		s.sendSolicitation(n)
	}
	s.setTimer(n, n.state, retransTimer)
}

// confirmed makes n reachable at mac and sends what waits for it.
func (s *Stack) confirmed(n *neighbour, mac wire.MAC) {
	if n.mac != mac {
		s.moved(n)
	}
	n.mac, n.solicits = mac, 0
	s.setTimer(n, neighReachable, reachableTime)
	s.neighFlush(n)
}

// learned makes n known at mac without proof that it hears the stack.
func (s *Stack) learned(n *neighbour, mac wire.MAC) {
	if n.mac != mac {
		s.moved(n)
	}
	n.mac, n.state, n.solicits = mac, neighStale, 0
	s.neighFlush(n)
}

func (s *Stack) neighFlush(n *neighbour) {
	for len(n.queue) > 0 {
		s.output(n, s.tx.frame(&n.queue[0]))
		s.neighUnqueue(n)
	}
	n.queue = nil
}

// A claim is what a packet from the link says about a neighbour.
type claim struct {
	addr     netip.Addr
	mac      wire.MAC
	reply    bool // it answers a question, and came to this stack alone
	toUs     bool // it asks for this stack, and so will want an answer
	override bool // it says that it replaces what is known (RFC 4861 section 7.2.5)
}

// heard applies a claim. Nobody can change an entry that works: a claim of
// another address only makes the stack ask the known one, whose answer settles
// it. So a forged packet can cost a question, not a connection.
func (s *Stack) heard(l *link, c *claim) {
	n := s.neigh.byKey[neighKey{l.num, c.addr}]
	if n == nil {
		// RFC 826 and RFC 4861 section 7.2.5: only who talks to us is entered.
		if c.toUs {
			s.learned(s.newNeighbour(l, c.addr), c.mac)
		}
		return
	}
	switch {
	case n.state == neighPermanent:
	case n.state == neighNone:
		if c.toUs {
			s.learned(n, c.mac)
		}
	case n.state == neighIncomplete && c.reply:
		s.confirmed(n, c.mac)
	case n.state == neighIncomplete:
		if c.toUs || c.override {
			s.learned(n, c.mac)
		}
	case c.mac == n.mac:
		if c.reply && n.state == neighProbe {
			s.confirmed(n, c.mac)
		}
	default:
		s.doubt(n)
	}
}

// doubt asks the neighbour, where it is known to be, whether it is still there,
// at most once in conflictPeriod. Silence for retransTimer, and the next packet
// asks everyone.
func (s *Stack) doubt(n *neighbour) {
	s.counters.Neigh.Conflicts++
	if n.asked != 0 && s.now-n.asked < conflictPeriod {
		return
	}
	n.asked = max(s.now, 1)
	n.state, n.solicits = neighProbe, maxSolicits-1
	s.solicit(n)
}

// neighTimers runs the neighbour timers that are due.
func (s *Stack) neighTimers() {
	t := &s.neigh
	if t.next == 0 || s.now < t.next {
		return
	}
	t.next = 0
	for i := 0; i < len(t.list); {
		n := t.list[i]
		if n.state == neighIncomplete || n.state == neighDelay || n.state == neighProbe {
			if s.now < n.timer {
				s.setTimer(n, n.state, n.timer-s.now)
			} else if s.neighTimeout(n); n.gone {
				i = 0 // the list moved up, and by more if an owner sent to somebody new
				continue
			}
		}
		i++
	}
}

func (s *Stack) neighTimeout(n *neighbour) {
	switch {
	case n.state == neighDelay:
		n.state, n.solicits = neighProbe, 0
		s.solicit(n)
	case n.solicits < maxSolicits:
		s.solicit(n)
	case n.state == neighProbe:
		// Silence: the next packet starts with a question to all.
		n.state, n.mac, n.solicits = neighNone, wire.MAC{}, 0
		s.moved(n)
	default:
		s.unresolved(n)
	}
}

// unresolved tells the senders of what waits for n that it is unreachable
// (RFC 4861 section 7.2.2, RFC 1122 section 2.4).
func (s *Stack) unresolved(n *neighbour) {
	s.counters.Neigh.Failures++
	queue := n.queue
	s.neigh.held -= n.bytes
	n.queue, n.bytes = nil, 0
	s.dropNeighbour(n) // first: an owner that hears of it may send again
	for i := range queue {
		s.localError(n.link, n.addr, queue[i].chunk.B)
		s.pool.Put(queue[i].chunk)
	}
}
