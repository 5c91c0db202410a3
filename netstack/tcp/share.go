package tcp

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/ports"
)

// Accepted connections keep their listener's port taken after it has closed.
// Thousands of them do so alike and share one claim.

type sharedKey struct {
	addr                           netip.Addr
	port                           uint16
	uid                            uint32
	v6, reuse, reusePort, lb, excl bool
}

type sharedClaim struct {
	key     sharedKey
	claim   *ports.Claim
	users   int
	open    int // of users: connections that no end has closed
	waiting int // of users: in TIME-WAIT
}

// PortState implements ports.Holder: what the connection is that is least far.
func (sc *sharedClaim) PortState() ports.State {
	switch {
	case sc.open > 0:
		return ports.Active
	case sc.waiting == sc.users:
		return ports.TimeWait
	}
	return ports.Closing
}

// sharePort gives s, which was accepted on lst at addr, its part of the port.
func (l *Layer) sharePort(s *Socket, lst *Socket, addr netip.Addr) {
	if own := lst.claim; own != nil {
		s.share = l.join(s, s.shareKey(addr, own.Port, own.UID))
		s.share.open++
	}
}

func (s *Socket) shareKey(addr netip.Addr, port uint16, uid uint32) sharedKey {
	o := &s.opts
	return sharedKey{addr, port, uid, s.domain == afInet6, o.ReuseAddr, o.ReusePort, o.Rare().ReusePortLB, o.ExclBind}
}

// join finds or makes the claim that those like s share.
func (l *Layer) join(s *Socket, k sharedKey) *sharedClaim {
	sc := l.shared[k]
	if sc == nil {
		sc = &sharedClaim{key: k, claim: s.newClaim(k.addr, k.port)}
		sc.claim.UID = k.uid
		sc.claim.Of = sc
		l.ports.Share(sc.claim)
		l.shared[k] = sc
	}
	sc.users++
	return sc
}

// reshare follows a change of the options that a claim has.
func (s *Socket) reshare() {
	old := s.share
	k := s.shareKey(old.key.addr, old.key.port, old.key.uid)
	if k == old.key {
		return
	}
	s.share = s.l.join(s, k)
	if s.conn != nil && s.conn.state.rule().open {
		old.open--
		s.share.open++
	}
	s.l.unshare(old)
}

// leaveOpen comes before c leaves the states up to ESTABLISHED.
func (c *conn) leaveOpen() {
	if sc := c.s.share; sc != nil && c.state.rule().open {
		sc.open--
	}
}

func (l *Layer) unshare(sc *sharedClaim) {
	if sc.users--; sc.users == 0 {
		l.ports.Release(sc.claim)
		delete(l.shared, sc.key)
	}
}
