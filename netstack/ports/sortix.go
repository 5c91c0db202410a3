package ports

// Sortix is the rule of tcp(4) of Sortix: "No two sockets can bind to the same
// local address and port", and the any address shares a port with another
// address only if both sockets had SO_REUSEADDR "when the second socket was
// bound, and the current user is the same that bound the first socket or the
// current user has superuser privileges". The system's source does not look at
// the user; the page is followed.
//
// Sortix has IPv4 alone. The any addresses of the two families are one here.
var Sortix = Rule{
	Refuse:       func(q *Query) bool { return q.any(sortixClash) },
	RefuseListen: twoListeners,
}

func sortixClash(want, held *Claim) bool {
	switch {
	case want.families()&held.families() == 0:
		return false
	case want.wildcard() != held.wildcard():
		return !want.ReuseAddr || !held.ReuseAddr || want.UID != held.UID && !want.Super
	}
	return want.wildcard() || want.sameAddr(held)
}
