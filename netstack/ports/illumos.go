package ports

// Illumos is the rule of illumos and OmniOS, tcp(7P) "Address formats", for TCP
// and UDP.
//
// "No two TCP sockets can be bound to the same port unless the bound IP
// addresses are different", and both wildcards "compare as equal to any IPv4 or
// IPv6 address". With SO_REUSEADDR "on a socket doing a bind" they do not: only
// the option of the socket that asks counts, and only equal addresses clash,
// with one that is bound or listens. SO_EXCLBIND of either: "no other socket can
// be bound to the same port".
//
// The page is followed where the system's sources are milder. There a port that
// a program asks for is looked up for IPv4 and IPv6 apart, and SO_EXCLBIND lets
// different addresses be. What the page leaves open is the sources': SO_EXCLBIND
// counts until the connection on the port is closed by an end, and SO_REUSEADDR
// lets a datagram socket share any port that nobody has for himself.
var Illumos = Rule{
	Refuse: func(q *Query) bool {
		for held := range q.Held {
			if illumosClash(q, held) {
				return true
			}
		}
		return false
	},
	RefuseListen: twoListeners,
	PeersShare:   true,
}

func illumosClash(q *Query, held *Claim) bool {
	want, state := q.Want, held.state()
	switch {
	case (want.ExclBind || held.ExclBind) && state <= Active:
		return true
	case want.ReuseAddr && q.Datagram && !q.Choosing:
		return false
	case want.ReuseAddr:
		return want.sameAddr(held) && state <= Listen
	}
	return want.wildcard() || held.wildcard() || want.sameAddr(held)
}
