package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A sock is what streams and datagram sockets have in common: the pair, its
// identity, and where a program was last seen using it.
type sock struct {
	eng    *engine
	stream *stream // Valid iff the socket is TCP
	dgram  *dgram  // Valid iff the socket is UDP

	fd     int    // E; -1 once closed
	gen    uint32 // tells events of this E from those of a closed one with the same number
	mask   uint32 // registered with the poller
	cookie uint64 // SO_COOKIE of P
	inode  uint64 // of P, for listings and searches
	domain int
	uid    uint32
	home   place
	// failure is a pending error that the stack does not know (any more); it
	// goes to the next call that reports errors.
	failure errno.Errno
	wait    waiters
	unheard []unheard // usually none

	// For the journal.
	endCookie uint64 // SO_COOKIE of E, 0: not asked for yet
	deal      *deal  // nil: nothing was agreed
}

// A deal is what a program and the engine have agreed on, for the journal. Most
// sockets, accepted as they are, have none.
type deal struct {
	at       netip.AddrPort // what bind agreed to
	peer     netip.AddrPort // what connect was asked for
	settings []setting
	keyNotes []int32 // places of its keys
	unkept   bool    // there was no place for one

	// Of a listener.
	backlog int       // as listen was told
	shown   []*mirror // where the kernel listens for it as well
}

// noDeal is what there is to read of a socket without one.
var noDeal deal

// dealt is for reading.
func (s *sock) dealt() *deal {
	if s.deal == nil {
		return &noDeal
	}
	return s.deal
}

// agree is for writing.
func (s *sock) agree() *deal {
	if s.deal == nil {
		s.deal = new(deal)
	}
	return s.deal
}

// A place is where P was last seen: descriptor fd of thread tid.
type place struct {
	tid uint32
	fd  int
}

// baseMask is what E is always watched for. Edge-triggered: a socket that the
// stack cannot take data from stays silent. Room to write is asked for only
// while there is none, or every read of the program would wake the engine.
const baseMask = hostlink.In | hostlink.RdHup | hostlink.Pri | hostlink.Edge

// sndBuf is SO_SNDBUF of the two ends while connected, in bytes before the
// kernel doubles it; net.core.wmem_max bounds it.
const sndBuf = 1 << 20

// newPair makes the body of a socket. The caller gives p to the program and
// closes it, and calls discard when that fails.
func (e *engine) newPair(typ int, nonblock bool) (s *sock, p int, err abi.Errno) {
	if e.socks.full() {
		return nil, -1, abi.ENOBUFS
	}
	end, p, err := hostlink.NewPair(typ, nonblock)
	if err != 0 {
		return nil, -1, abi.ENOBUFS
	}
	s = &sock{eng: e, fd: end}
	s.cookie, _ = hostlink.SocketCookie(p)
	s.inode, _ = hostlink.SocketInode(p)
	return s, p, 0
}

// adopt makes the socket known and watches its E. It is called before the
// program can use P.
func (s *sock) adopt() error {
	s.eng.socks.add(s)
	s.mask = baseMask
	return s.eng.poll.Add(s.fd, s.mask, tag(kindSock, s.gen, s.fd))
}

// watch changes what E is watched for.
func (s *sock) watch(mask uint32) {
	if s.fd < 0 || s.mask == mask {
		return
	}
	s.mask = mask
	_ = s.eng.poll.Modify(s.fd, mask, tag(kindSock, s.gen, s.fd))
}

// limitUnread makes what waits in the pair for the program no more than the
// SO_RCVBUF that it has chosen.
func (s *sock) limitUnread(o *sockopt.Options) {
	if o.RcvBufLocked && s.fd >= 0 {
		hostlink.SetSendBuffer(s.fd, int(o.RcvBuf/2))
	}
}

// closeE closes the engine's end. The poller forgets it by itself, since no
// other descriptor refers to the file.
func (s *sock) closeE() {
	if s.fd >= 0 {
		s.eng.socks.unlink(s)
		s.eng.journal.clear(s.fd)
		s.dropKeys()
		hostlink.CloseFD(s.fd)
		s.fd = -1
	}
}

// discard undoes newPair and adopt for a socket that no program got.
func (s *sock) discard() {
	s.closeE()
	s.eng.socks.remove(s)
}

// seen notes where the program uses the socket.
func (s *sock) seen(c *call) {
	s.home = place{c.req.TID, c.arg(0)}
	if s.stream != nil && s.stream.raiseDue {
		s.stream.raise(c.p)
	}
}

// grab returns a reference to P outside of a call on it, or false: from where it
// was last seen, or else by a search through the descriptors of the threads that
// the engine knows. The caller closes it.
func (s *sock) grab() (int, bool) {
	if th := s.eng.threads.known(s.home.tid); th != nil {
		if p, e := hostlink.GetFD(th.PidFD, s.home.fd); e == 0 {
			if cookie, ok := hostlink.SocketCookie(p); ok && cookie == s.cookie {
				return p, true
			}
			hostlink.CloseFD(p)
		}
	}
	return s.eng.helper.find(s.inode)
}

// Cookie is what SO_COOKIE shows: that of P, which the next engine finds, too.
func (s *sock) Cookie() uint64 { return s.cookie }

// ready handles events of E.
func (s *sock) ready(mask uint32) {
	if s.stream != nil {
		s.stream.ready(mask)
	} else {
		s.dgram.ready(mask)
	}
}
