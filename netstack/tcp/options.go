package tcp

// A socket as the option table sees it: sockopt.Target.

import (
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Options are the socket's settings.
func (s *Socket) Options() *sockopt.Options { return &s.opts }

// Kind is the socket's domain, type and protocol.
func (s *Socket) Kind() (domain, typ, protocol int) {
	return int(s.domain), sockopt.SockStream, protoTCP
}

const protoTCP = 6

// TakeError is SO_ERROR: the error that waits, or else the one that a connection
// has met on its way without ending (sk_err_soft of Linux).
func (s *Socket) TakeError() errno.Errno {
	e := s.TakePending()
	if c := s.live(); e == 0 && c != nil && c.rare != nil {
		e, c.rare.softErr = c.rare.softErr, 0
	}
	return e
}

// TakePending is the error that the next call which moves bytes fails with; it
// is told once.
func (s *Socket) TakePending() errno.Errno {
	e := s.err
	s.err = 0
	return e
}

// HasPending reports whether TakePending has an error to tell.
func (s *Socket) HasPending() bool { return s.err != 0 }

// Listening reports whether Listen succeeded.
func (s *Socket) Listening() bool { return s.lst != nil }

// Connected reports whether the socket has a synchronized connection.
func (s *Socket) Connected() bool {
	c := s.live()
	return c != nil && c.state.rule().synced
}

// MSS is the payload of a full segment in bytes, 0 without a connection.
func (s *Socket) MSS() int {
	if c := s.live(); c != nil {
		return int(c.mss)
	}
	return 0
}

// PathMTU is what the connection's path carries, in bytes.
func (s *Socket) PathMTU() int {
	if c := s.live(); c != nil {
		return c.path.MTU
	}
	return 0
}

// changes are what a live connection does when an option takes a new value;
// options that are only read when needed have none.
var changes = map[sockopt.ID]func(*conn){
	sockopt.KeepAlive: (*conn).armKeepAlive,
	sockopt.KeepIdle:  (*conn).armKeepAlive,

	sockopt.KeepAliveThreshold: (*conn).armKeepAlive,

	sockopt.InitCwnd: (*conn).startWindow,
	sockopt.RTOMin:   (*conn).boundRTO,
	sockopt.RTOMax:   (*conn).boundRTO,
	sockopt.KeepInit: (*conn).limitHandshake,
	sockopt.NoDelay: func(c *conn) {
		if c.s.opts.NoDelay {
			c.pushNow()
		}
	},
	sockopt.Cork: func(c *conn) {
		if !c.s.opts.Cork {
			c.pushNow()
		}
	},
	sockopt.QuickAck:    (*conn).quickAckChanged,
	sockopt.MaxSeg:      (*conn).setMSS,
	sockopt.UserTimeout: (*conn).utoChanged,
	sockopt.MD5Sig:      func(c *conn) { c.s.rekey() },
	sockopt.Congestion:  (*conn).switchCongestion,
	sockopt.TOS:         (*conn).remark,
	sockopt.TClass:      (*conn).remark,
	sockopt.TTL:         (*conn).remark,
	sockopt.HopLimit:    (*conn).remark,
	sockopt.MTUDiscover: (*conn).remark,
	sockopt.RcvBuf:      (*conn).offerWindow,
	sockopt.RcvBufForce: (*conn).offerWindow,
	sockopt.SndBuf:      (*conn).wakeWriter,
	sockopt.SndBufForce: (*conn).wakeWriter,

	sockopt.IPOptions: (*conn).newOptions,
	sockopt.TxDelay:   (*conn).delayChanged,

	sockopt.NoOpt: (*conn).noOptChanged,

	sockopt.MaxPacingRate: (*conn).rateChanged,
}

// Changed takes a new value into use.
func (s *Socket) Changed(id sockopt.ID) {
	if s.claim != nil {
		s.claim.Follow(&s.opts)
	}
	if s.share != nil {
		s.reshare()
	}
	if c := s.live(); c != nil {
		if f := changes[id]; f != nil {
			f(c)
		}
	}
}

// pushNow sends what Nagle's algorithm or cork held back. What is written later
// is not meant.
func (c *conn) pushNow() {
	if c.unsent() == 0 {
		return
	}
	c.flags |= flagForcePush
	c.l.markDirty(c)
}

// quickAckChanged sends what is owed when the mode is switched on; switching it
// off takes the exchange for an interactive one (tcp(7)).
func (c *conn) quickAckChanged() {
	if !c.s.opts.QuickAck {
		c.flags |= flagPingPong
		return
	}
	c.flags &^= flagPingPong
	c.pingPong = 0
	c.quickAck = quickAcks
	if c.unacked > 0 {
		c.ackNow()
	}
}

// noOptChanged is TCP_NOOPT on a connection. What the SYNs have agreed on stays,
// and blocks, which nobody has to send (RFC 2018 section 4), are left out. The
// timestamp goes on: a connection that has agreed on it must have it in every
// segment, and a peer drops those without (RFC 7323 section 3.2).
func (c *conn) noOptChanged() {
	c.flags &^= flagNoBlocks
	if c.s.opts.Rare().NoOpt {
		c.flags |= flagNoBlocks
	}
}

func (c *conn) remark() {
	c.path.TTL, c.path.TOS = pathMarks(&c.s.opts, &c.path)
	c.path.NoDF = c.path.NoDF || c.s.noDF(&c.path)
}

// pathMarks are the fields of the IP header that a socket's options choose.
func pathMarks(o *sockopt.Options, p *Path) (ttl, tos uint8) {
	hops := o.HopLimit
	tos = o.TClass
	if p.Dst.Is4() {
		hops, tos = o.TTL, o.TOS
	}
	tos &^= ecnMask
	return uint8(max(hops, 0)), tos
}

// noDF reports whether the program asked for packets that routers may fragment,
// which those of IPv6 never do.
func (s *Socket) noDF(p *Path) bool {
	if p.Dst.Is6() {
		return false
	}
	switch s.opts.MTUDiscover {
	case sockopt.PMTUDiscDont, sockopt.PMTUDiscInterface, sockopt.PMTUDiscOmit:
		return true
	}
	return false
}

// followsPathMTU reports whether the program has left the path's MTU to the
// network's messages (ip(7), IP_MTU_DISCOVER).
func (s *Socket) followsPathMTU() bool {
	mode := s.opts.MTUDiscover
	if s.conn.path.Dst.Is6() {
		mode = s.opts.MTUDiscover6
	}
	return mode != sockopt.PMTUDiscInterface && mode != sockopt.PMTUDiscOmit
}

// Info fills in struct tcp_info.
func (s *Socket) Info(i *sockopt.TCPInfo) {
	*i = sockopt.TCPInfo{State: uint8(s.State())}
	if s.lst != nil {
		// As Linux: the accept queue and its limit.
		i.Unacked, i.Sacked = uint32(len(s.lst.queue)), uint32(s.lst.backlog)
		return
	}
	if s.conn != nil {
		s.conn.info(i)
	}
}

func micros(d time.Duration) uint32 { return uint32(min(d/time.Microsecond, 1<<32-1)) }

func millis(d time.Duration) uint32 { return uint32(min(max(d, 0)/time.Millisecond, 1<<32-1)) }

func (c *conn) info(i *sockopt.TCPInfo) {
	mss, now := uint32(max(c.mss, 1)), c.now()
	segs := func(n uint32) uint32 { return (n + mss - 1) / mss }
	i.CAState = uint8(c.caState)
	if c.caState == caOpen && c.sackedBytes() > 0 {
		i.CAState = 1
	}
	i.Retransmits, i.Backoff = c.backoff, c.backoff
	for _, o := range [...]struct {
		flag connFlags
		bit  uint8
	}{{flagTS, sockopt.TCPInfoTimestamps}, {flagSACK, sockopt.TCPInfoSACK}, {flagWScale, sockopt.TCPInfoWScale}} {
		if c.flags&o.flag != 0 {
			i.Options |= o.bit
		}
	}
	if c.flags&flagFastOpen != 0 && c.rare.fast.taken {
		i.Options |= sockopt.TCPInfoSynData
	}
	c.infoECN(i)
	i.SndWScale, i.RcvWScale = c.sndScale, c.rcvScale
	i.RTO, i.ATO = micros(c.currentRTO()), micros(c.l.tun.DelAckTime)
	i.SndMSS, i.RcvMSS, i.AdvMSS = uint32(c.mss), uint32(c.rcvMSS), uint32(c.advMSS)
	i.Unacked = segs(c.sndNxt - c.sndUna)
	i.Sacked = segs(c.sackedBytes())
	if c.log != nil {
		i.Lost = segs(c.log.lost)
	}
	i.LastDataSent, i.LastAckRecv = millis(now-c.lastSend), millis(now-c.lastRecv)
	i.LastDataRecv = i.LastAckRecv
	i.PMTU = uint32(c.path.MTU)
	i.RTT, i.RTTVar = micros(c.srtt), micros(c.rttvar)
	i.SndCwnd, i.SndSsthresh = c.cwnd/mss, c.ssthresh/mss
	if c.ssthresh >= maxCwnd {
		i.SndSsthresh = 1<<31 - 1 // as Linux shows "none yet"
	}
	i.CwndBytes, i.SsthreshBytes = c.cwnd, c.ssthresh
	i.SndNxt, i.RcvNxt = c.sndNxt, c.rcvNxt
	i.Delivered = uint32((c.delivered + uint64(mss) - 1) / uint64(mss))
	if c.minRTT > 0 {
		i.MinRTT = max(micros(c.minRTT), 1)
	}
	// As Linux: what pacing would be also when nothing is paced.
	if i.PacingRate, i.MaxPacingRate = c.paceRate(), c.s.opts.MaxPacing(); i.PacingRate == 0 {
		i.PacingRate = c.windowRate()
	}
	i.Reordering = c.dupThresh()
	i.RcvSpace = uint32(c.rcvBuf)
	i.NotSentBytes = c.unsent()
	i.BytesAcked, i.BytesReceived = c.bytesAcked, c.bytesRcvd
	if c.flags&(flagActive|flagEstablished) == flagActive|flagEstablished {
		i.BytesAcked++ // as Linux: our SYN
	}
	i.SndWnd, i.RcvWnd = c.sndWnd, c.rcvAdv-c.rcvNxt
	if c.rare != nil {
		i.TotalRetrans, i.Probes = c.rare.retrans, c.rare.keepProbes
	}
	c.infoTally(i, now)
}
