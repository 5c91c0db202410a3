package ports

// Linux is the rule of Linux 6.x (inet_csk_get_port, inet_csk_bind_conflict)
// for TCP and UDP, see ip(7) and socket(7). Claims that overlap may share a port
// when both have SO_REUSEADDR and the held one does not listen, or when both
// have SO_REUSEPORT and belong to one user. A port chosen by the system is never
// shared by overlapping claims. Who listens is asked the same again.
var Linux = Rule{
	Refuse: func(q *Query) bool {
		if q.Choosing {
			return q.any((*Claim).Overlaps)
		}
		return q.any(linuxClash)
	},
	RefuseListen: linuxClash,
	PeersShare:   true,
}

// linuxClash: the owner of what is in TIME-WAIT does not matter for
// SO_REUSEPORT.
func linuxClash(want, held *Claim) bool {
	switch {
	case !want.Overlaps(held):
		return false
	case want.ReuseAddr && held.ReuseAddr && held.state() != Listen:
		return false
	case want.ReusePort && held.ReusePort && (want.UID == held.UID || held.state() == TimeWait):
		return false
	}
	return true
}
