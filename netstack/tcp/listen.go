package tcp

// Passive open: RFC 9293 sections 3.10.2 and 3.10.7.2, listen(2), accept(2).

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A listener is a socket's listening side.
type listener struct {
	s       *Socket
	backlog int       // as listen(2) took it
	half    int       // half-open connections
	queue   []*Socket // established, waiting for Accept

	fast        fastQueue
	cookieUntil time.Duration // when the last one that was sent is too old at the latest
}

// Both queues are bounded by the backlog, and the half-open connections by the
// tunable tcp_max_syn_backlog besides; Linux lets them hold one more. What all
// listeners may hold together is in syncache.go.
func (lst *listener) acceptFull() bool { return len(lst.queue) > lst.backlog }

func (lst *listener) halfFull() bool {
	return lst.half > min(lst.backlog, int(lst.s.l.tun.MaxSynBacklog))
}

// Listen makes the socket accept connections, or changes the backlog of one
// that does. It binds a port when none is bound. Errors: EINVAL (connected),
// EADDRINUSE.
func (s *Socket) Listen(backlog int) error {
	// A negative one is as long as may be.
	backlog = int(min(uint(backlog), uint(s.l.tun.Somaxconn)))
	if s.lst != nil {
		s.lst.backlog = backlog
		return nil
	}
	if s.live() != nil {
		return errno.EINVAL
	}
	if s.claim == nil {
		addr := s.bound
		if !addr.IsValid() {
			addr = wildcard(int(s.domain))
		}
		if err := s.takePort(s.newClaim(addr, 0)); err != nil {
			return err
		}
		s.bound = addr
	}
	if err := s.l.ports.SetListening(s.claim); err != nil {
		return err
	}
	if s.conn != nil {
		s.conn.discardInput()
		s.conn = nil
	}
	s.events, s.err, s.lastErr = 0, 0, 0
	s.lst = &listener{s: s, backlog: backlog}
	p := s.claim.Port
	s.l.listeners[p] = append(s.l.listeners[p], s.lst)
	return nil
}

// Accept takes the oldest connection off the queue. It has no owner until
// SetOwner; what arrived meanwhile waits for Resume. Errors: EAGAIN, EINVAL.
func (s *Socket) Accept() (*Socket, error) {
	child, err := s.Waiting()
	if err != nil {
		return nil, err
	}
	s.lst.queue[0] = nil
	s.lst.queue = s.lst.queue[1:]
	if len(s.lst.queue) == 0 {
		s.lst.queue = nil
	}
	return child, nil
}

// Waiting returns the connection that Accept takes next, and leaves it in the queue.
// It stays the next one. It may be given an owner already. Errors: EAGAIN, EINVAL.
func (s *Socket) Waiting() (*Socket, error) {
	switch {
	case s.lst == nil:
		return nil, errno.EINVAL
	case len(s.lst.queue) == 0:
		return nil, errno.EAGAIN
	}
	return s.lst.queue[0], nil
}

// TakeBack undoes Accept for the connection that it has returned last and that nobody
// got. False: the socket does not listen any more.
func (s *Socket) TakeBack(child *Socket) bool {
	if s.lst == nil {
		return false
	}
	s.lst.queue = slices.Insert(s.lst.queue, 0, child)
	return true
}

// AcceptQueueLen is how many connections wait for Accept.
func (s *Socket) AcceptQueueLen() int {
	if s.lst == nil {
		return 0
	}
	return len(s.lst.queue)
}

// closeListener refuses everyone who waits: RFC 9293 section 3.10.4 leaves it
// open, Linux resets them.
func (s *Socket) closeListener() {
	lst, l := s.lst, s.l
	if lst == nil {
		return
	}
	s.lst = nil
	p := s.claim.Port
	l.listeners[p] = slices.DeleteFunc(l.listeners[p], func(o *listener) bool { return o == lst })
	if len(l.listeners[p]) == 0 {
		delete(l.listeners, p)
	}
	l.halfOf(lst, func(h *halfOpen) {
		if heir := l.heir(lst, &h.key, h.path.Src, int(h.path.Link)); heir != nil {
			lst.half--
			heir.half++
			h.lst = heir
			return
		}
		h.refuse()
		l.dropHalf(h)
	})
	for _, child := range lst.queue {
		if !l.inherits(lst, child) {
			child.Abort()
			child.owner = nil // see Owned
		}
	}
	lst.queue = nil
}

// findListener chooses who a SYN is for: an exact address before a wildcard, a
// socket of the packet's own family before a dual-stack one, a socket bound to
// the link before one that is not. Among equals that share the port by
// SO_REUSEPORT the connection's identity decides.
func (l *Layer) findListener(k *tuple, dst netip.Addr, link int) *listener {
	list := l.listeners[k.lport]
	best, equals := -1, 0
	for _, lst := range list {
		switch n := lst.score(dst, link); {
		case n > best:
			best, equals = n, 1
		case n == best:
			equals++
		}
	}
	if best < 0 {
		return nil
	}
	skip := 0
	if equals > 1 {
		skip = int(l.keyed(hashListener, k) % uint64(equals))
	}
	for _, lst := range list {
		if lst.score(dst, link) != best {
			continue
		}
		if skip == 0 {
			return lst
		}
		skip--
	}
	return nil
}

// score is how well the listener fits a packet, negative if it does not.
func (lst *listener) score(dst netip.Addr, link int) int {
	s := lst.s
	n := 0
	if b := int(s.opts.BindToIf); b != 0 {
		if b != link {
			return -1
		}
		n = 4
	}
	if (s.domain == afInet) == dst.Is4() {
		n++
	}
	switch {
	case s.bound == dst:
		return n + 2
	case !s.bound.IsUnspecified(), dst.Is6() && s.bound.Is4(), dst.Is4() && s.bound.Is6() && s.opts.V6Only:
		return -1
	}
	return n
}

// listenInput is a segment for which there is no connection: sections 3.10.7.1
// and 3.10.7.2. A SYN that takes over a connection in TIME-WAIT must get a
// sequence number above floor, unless that is 0.
func (l *Layer) listenInput(k tuple, rx *Rx, floor uint32) {
	h := &rx.Header
	lst := l.findListener(&k, rx.Dst, rx.Link)
	switch {
	case lst == nil && h.Raw != nil && !l.authentic(nil, rx):
		return
	case lst == nil:
		if rx.IPOptions != nil || !l.offered(k, rx, floor) && !l.offerCookie(k, rx) {
			if l.unwanted(netip.AddrPortFrom(rx.Dst, h.DstPort), netip.AddrPortFrom(rx.Src, h.SrcPort), h.Flags) {
				l.refuse(rx, nil)
			}
		}
		return
	case lst.s.tooFar(rx):
		return
	case signed(h) && !l.authentic(lst.auth(rx), rx), !signed(h) && lst.s.signs() && !lst.takesUnsigned(rx):
		return
	case h.Flags&wire.TCPRst != 0:
		return
	case h.Flags&wire.TCPAck != 0:
		if !l.cookieInput(lst, k, rx) {
			l.refuseStranger(lst, rx)
		}
		return
	case h.Flags&(wire.TCPSyn|wire.TCPFin) != wire.TCPSyn:
		return // no SYN, or one with a FIN, which nobody sends in earnest
	}
	if lst.acceptFull() {
		l.counters.ListenOverflows++
		l.counters.ListenDrops++
		return
	}
	// A SYN that takes over from TIME-WAIT needs a number of our own choosing, and
	// comes from somebody who is there: no cookie, and no bound by count, as on
	// Linux.
	full := floor == 0 && (lst.halfFull() || l.synsFull(rx.Src))
	cookie := floor == 0 && l.mayCookie(full)
	if full && !cookie && !l.recycles(lst, rx.Src) {
		l.counters.ListenDrops++
		return
	}
	path, err := l.wayBack(rx)
	if err != nil || path.Gateway && lst.s.opts.DontRoute {
		l.counters.ListenDrops++
		return
	}
	if cookie {
		l.sendCookie(lst, k, path, h)
		return
	}
	var take, give bool
	if floor == 0 {
		take, give = l.fastSYN(lst, &k, rx)
	}
	if take {
		l.openFast(lst, k, path, rx, give)
		return
	}
	l.openHalf(lst, k, path, rx, floor, give)
}

// promote turns a half-open connection into an established one in the accept
// queue.
func (l *Layer) promote(h *halfOpen) *conn {
	lst := h.lst
	s := &Socket{l: l, domain: lst.s.domain, bound: h.path.Src}
	l.profile.Inherit(&s.opts, &lst.s.opts)
	if l.tun.FunctionsInherit {
		s.block = lst.s.block
	}
	l.passive(&s.opts, int(s.domain), &h.path, &h.key)
	l.reflect(&s.opts, h.path.TOS)
	s.keys = lst.s.keys.only(h.path.Dst)
	if s.opts.Rare().MD5Sig && h.auth == nil {
		s.opts.SetRare(func(r *sockopt.Rare) { r.MD5Sig = false })
	}
	l.dropHalf(h)
	l.sharePort(s, lst.s, h.path.Src)
	c := l.newConn(s, h.path, h.key.lport, h.key.rport)
	h.fill(c)
	if h.syn != nil {
		c.cold().syn = h.syn
	}
	lst.queue = append(lst.queue, s)
	lst.s.raise(EventAcceptable)
	l.counters.PassiveOpens++
	return c
}

var _ sockopt.Target = (*Socket)(nil)
