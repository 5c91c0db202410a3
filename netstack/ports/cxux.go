package ports

// CXUX is the rule of CX/UX. Its tcp(4P) says that EADDRINUSE is for an
// "address/port pair that has already been bound to another socket", and that
// INADDR_ANY leaves the address open, which meets every address. How
// SO_REUSEADDR of the socket that asks changes this is 4.3BSD's: wildcards do
// not meet other addresses, and connections do not count.
//
// CX/UX has IPv4 alone. The any addresses of the two families are one here.
var CXUX = Rule{
	Refuse:       func(q *Query) bool { return q.any(cxuxClash) },
	RefuseListen: twoListeners,
}

func cxuxClash(want, held *Claim) bool {
	w, h := want.wildcard(), held.wildcard()
	same := w && h || want.sameAddr(held)
	switch {
	case want.families()&held.families() == 0:
		return false
	case want.ReuseAddr:
		return same && held.state() < Active
	}
	return same || w || h
}
