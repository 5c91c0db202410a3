package ports

// FreeBSD is the rule of FreeBSD (in_pcbbind_setup), which its tcp(4) has in one
// sentence: EADDRINUSE for "a port which has already been allocated".
//
// It looks for one socket on the port, the closest: one that is bound to the
// very address and has no peer before those that match by a wildcard or are
// connections. With SO_REUSEADDR, SO_REUSEPORT or SO_REUSEPORT_LB on the socket
// that asks only the first kind counts. The port is refused when one is found,
// unless both have SO_REUSEPORT, or both SO_REUSEPORT_LB; for a multicast address
// SO_REUSEADDR is as good as either, on both sockets. The wildcards of IPv4 and
// IPv6 do not meet. Whoever is not the superuser shares with sockets of his own only,
// or with connections.
//
// Differing from the sources, the wildcards of the two families do not meet
// whichever comes first, and one that is passed over for this does not hide
// another socket.
var FreeBSD = Rule{
	Refuse: func(q *Query) bool {
		w := q.Want
		wild := !w.ReuseAddr && !w.ReusePort && !w.ReusePortLB
		for _, family := range [...]uint8{family6, family4} {
			if w.families()&family == 0 {
				continue
			}
			if q.Choosing {
				if closest(q, family, wild, false) != nil {
					return true
				}
				continue
			}
			if t := closest(q, family, true, false); t != nil && freebsdForeign(q, t) {
				return true
			}
			if t := closest(q, family, wild, true); t != nil && !freebsdShares(w, t) {
				return true
			}
		}
		return false
	},
	RefuseListen: twoListeners,
}

// freebsdForeign reports whether t is of a user with whom the port is not shared.
func freebsdForeign(q *Query, t *Claim) bool {
	w := q.Want
	switch {
	case w.Super || w.UID == t.UID || w.plain().IsMulticast():
		return false
	case !q.Datagram && t.state() >= Active:
		return false
	}
	return !w.wildcard() || !t.wildcard() || t.ReusePort || !t.ReusePortLB
}

func freebsdShares(w, t *Claim) bool {
	group := w.plain().IsMulticast()
	both := func(mine, his bool) bool {
		return (mine || group && w.ReuseAddr) && (his || group && t.ReuseAddr)
	}
	return both(w.ReusePort, t.ReusePort) || both(w.ReusePortLB, t.ReusePortLB)
}

// closest is the claim of the address family that matches the wanted one best,
// the newest among equals. With wild, wildcards and connections match as well.
// With apart the wildcard of the other family does not match a wildcard.
func closest(q *Query, family uint8, wild, apart bool) *Claim {
	var best *Claim
	least := maxDistance + 1
	for held := range q.Held {
		if held.families()&family == 0 || apart && q.Want.wildcard() && held.wildcard() && !q.Want.sameAddr(held) {
			continue
		}
		if d := distance(q.Want, held, family); d < least && (wild || d%dualDistance == 0) {
			best, least = held, d
		}
	}
	return best
}

const (
	dualDistance = 3 // of an IPv6 wildcard that takes IPv4 as well
	maxDistance  = dualDistance + 2
)

// distance counts what keeps held from being exactly the socket looked for:
// a wildcard on one side, a peer. Addresses that differ do not match at all.
func distance(want, held *Claim, family uint8) int {
	d := 0
	switch w, h := want.wildcard(), held.wildcard(); {
	case w != h:
		d++
	case !w && !want.sameAddr(held):
		return maxDistance + 1
	}
	if held.state() >= Active {
		d++
	}
	if family == family4 && held.families() == family4|family6 {
		d += dualDistance
	}
	return d
}
