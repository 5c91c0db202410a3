package tcp

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/ports"
)

// Accepted connections keep their listener's port taken after it has closed.
// Thousands of them do so alike and share one claim.

type sharedKey struct {
	addr                 netip.Addr
	port                 uint16
	uid                  uint32
	v6, reuse, reusePort bool
}

type sharedClaim struct {
	key   sharedKey
	claim *ports.Claim
	users int
}

// sharePort gives s, which was accepted on lst at addr, its part of the port.
func (l *Layer) sharePort(s *Socket, lst *Socket, addr netip.Addr) {
	own := lst.claim
	if own == nil {
		return
	}
	k := sharedKey{addr, own.Port, own.UID, own.V6, own.ReuseAddr, own.ReusePort}
	sc := l.shared[k]
	if sc == nil {
		sc = &sharedClaim{key: k, claim: s.newClaim(addr, own.Port, own.UID)}
		sc.claim.ReuseAddr, sc.claim.ReusePort = own.ReuseAddr, own.ReusePort
		l.ports.Share(sc.claim)
		l.shared[k] = sc
	}
	sc.users++
	s.share = sc
}

func (l *Layer) unshare(sc *sharedClaim) {
	if sc.users--; sc.users == 0 {
		l.ports.Release(sc.claim)
		delete(l.shared, sc.key)
	}
}
