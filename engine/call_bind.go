package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A binder is the part of a stack's socket that bind(2) uses.
type binder interface {
	Bind(a netip.AddrPort, uid uint32, priv sockopt.Privilege) error
	LocalAddr() netip.AddrPort
}

// setUser tells the stack's socket whose it is.
func (s *sock) setUser() {
	if s.stream != nil {
		s.stream.tcp.SetUser(s.uid)
	} else {
		s.dgram.udp.SetUser(s.uid)
	}
}

func (c *call) bindStream(s *stream) {
	if s.phase == phaseEnded {
		c.fail(errno.EINVAL)
		return
	}
	c.bind(s.tcp)
}

func (c *call) bindDgram(d *dgram) { c.bind(d.udp) }

// bind executes bind(2).
func (c *call) bind(b binder) {
	sa, err := c.readSockaddr(c.ptr(1), c.arg(2))
	if err != nil {
		c.result(err)
		return
	}
	at, err := bindAddr(sa, c.s.domain)
	if err != nil {
		c.result(err)
		return
	}
	if _, ok := c.missed(func(int) (uint64, bool) { return sumOf(0, nil, at), true }); ok {
		c.answerOnce(0, sumOf(0, nil, at))
		return
	}
	// The owner matters to SO_REUSEPORT and may have changed since socket(2).
	priv, uid := c.eng.privilegeOf(c.req.TID)
	if !c.on.Valid(c.req.ID) {
		return
	}
	c.s.uid = uid
	if err = b.Bind(at, uid, priv); err == nil {
		c.s.agree().at = b.LocalAddr()
		if c.s.stream != nil {
			c.s.stream.bound = true
		}
		c.s.record()
		if c.s.dgram != nil {
			c.s.dgram.boundTo(at)
		}
		c.certain(0)
		c.answerOnce(0, sumOf(0, nil, at))
		return
	}
	c.result(err)
}

// bindAddr reads the address of a bind call. Linux takes AF_UNSPEC for the
// wildcard of AF_INET, for programs older than the family's check.
func bindAddr(sa []byte, domain int) (netip.AddrPort, error) {
	family, ok := sockaddrFamily(sa)
	if ok && family == afUnspec && domain == sockopt.AFInet && len(sa) >= sockaddrInLen {
		fixed := [sockaddrInLen]byte(sa)
		fixed[0] = sockopt.AFInet
		at, err := parseSockaddr(fixed[:], domain, false)
		if err == nil && !at.Addr().IsUnspecified() {
			err = errno.EAFNOSUPPORT
		}
		return at, err
	}
	return parseSockaddr(sa, domain, false)
}
