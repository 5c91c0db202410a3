package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// revive gives a socket whose pair was given up a new one. Linux lets a socket
// connect or listen again after a connect has failed; the pair was spent on
// showing the failure. The new P takes the place of the old one behind the
// descriptor that the call names. Duplicates of the descriptor, and an epoll set
// that watches it, keep the old one: a socket is rarely used again, and by the
// one who learnt of the failure.
func (c *call) revive(s *stream) (*stream, error) {
	if s.fd >= 0 {
		return s, nil
	}
	at := s.tcp.LocalAddr()
	fresh, p, e := c.eng.newStream(s.domain, hostlink.NonBlocking(c.p), nil)
	if e != 0 {
		return nil, errno.Errno(e)
	}
	*fresh.tcp.Options() = *s.tcp.Options()
	if s.bound {
		// The port was given up with the failure and may be taken by now. That the
		// program may have a reserved one was checked before.
		priv := sockopt.Privilege{NetBindService: c.eng.profile.Tunables.PortPrivileged(at.Port())}
		if err := fresh.tcp.Bind(at, s.uid, priv); err != nil {
			at = netip.AddrPort{}
		}
	}
	fresh.tcp.SetUser(s.uid)
	fresh.uid, fresh.home, fresh.bound = s.uid, s.home, at.IsValid() && s.bound
	if fresh.bound {
		fresh.agree().at = at
	}
	fresh.agree().settings = s.dealt().settings
	fresh.showInherited(p, fresh.tcp)
	fresh.tcp.SetCookie(s.tcp.Cookie()) // it is the same socket
	fresh.tcp.CopyKeys(s.tcp)
	fresh.endCookie, _ = hostlink.SocketCookie(fresh.fd)
	fresh.keepKeys(fresh.tcp) // first: a successor must not find the socket without them
	fresh.record()
	n := c.arg(0)
	if e := c.on.ReplaceFD(c.req.ID, n, p, c.eng.helper.closesOnExec(c.req.TID, n)); e != 0 {
		hostlink.CloseFD(p)
		fresh.abandon()
		return nil, errno.Errno(e)
	}
	hostlink.CloseFD(c.p)
	c.p = p
	c.eng.socks.remove(&s.sock)
	c.s = &fresh.sock
	return fresh, nil
}
