package netstack

// Listener reports for the solicited-node groups: RFC 3810 section 6, RFC 4861
// section 7.2.1. Without them a switch that snoops keeps neighbour solicitations
// away from this host as soon as there is a querier.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

const (
	// mldRobustness is how often a change is reported (RFC 3810 section 9.1).
	mldRobustness = 2
	// mldInterval is the longest wait between these (RFC 3810 section 9.11).
	mldInterval = time.Second
	// mldMaxDelay bounds what a query may ask for.
	mldMaxDelay = time.Minute
	// mldRecords is how many groups one report carries; it stays below the
	// smallest MTU.
	mldRecords = 60
)

// mldState is what a link owes its listeners' routers.
type mldState struct {
	changes  int           // reports of the change that are left to send
	changeAt time.Duration // when the next of them is due; valid iff changes > 0
	answerAt time.Duration // when a query is answered; 0: none is open
	v1       bool          // the open query is of MLDv1
}

// mldStart reports that l has begun to listen.
func (s *Stack) mldStart(l *link) {
	if len(l.groups) > 0 {
		l.mld.changes = mldRobustness
		s.mldChange(l)
		s.mldSchedule(l)
	}
}

// mldChange reports the change once, and sets the time of the next report.
func (s *Stack) mldChange(l *link) {
	l.mld.changes--
	l.mld.changeAt = max(s.now, 1) + time.Duration(s.rng.uint32())*mldInterval>>32
	s.mldReport(l, wire.MLDToExclude)
}

// inputMLDQuery notes by when a query is to be answered. Who is not on the link
// has no say (RFC 3810 section 6.2: such queries are silently discarded).
func (s *Stack) inputMLDQuery(h *wire.ICMP, body []byte) {
	in := &s.in
	var q wire.MLDQuery
	alert := len(in.header) >= wire.IPv6Len+len(wire.RouterAlert) && in.header[6] == wire.ProtoHopByHop && in.header[wire.IPv6Len+2] == wire.RouterAlert[2]
	if in.link == nil || in.ttl != 1 || !in.src.IsLinkLocalUnicast() || !alert || wire.ParseMLDQuery(h, body, &q) != nil {
		s.counters.ICMP6.InErrors++
		return
	}
	// Whatever the group, all are reported: they are few, and one answer less
	// than the sum of all questions.
	m := &in.link.mld
	// In steps of 2^-16, as a minute times 2^32 would overflow.
	delay := time.Duration(s.rng.uint32()>>16) * min(q.MaxDelay, mldMaxDelay) >> 16
	at := s.now + delay
	if m.answerAt == 0 || at < m.answerAt {
		m.answerAt = max(at, 1)
	}
	m.v1 = q.V1
	s.mldSchedule(in.link)
}

func (s *Stack) mldSchedule(l *link) {
	at := l.mld.answerAt
	if l.mld.changes > 0 && (at == 0 || l.mld.changeAt < at) {
		at = l.mld.changeAt
	}
	if at != 0 && (s.mldNext == 0 || at < s.mldNext) {
		s.mldNext = at
	}
}

// mldTimers sends the reports that are due.
func (s *Stack) mldTimers() {
	if s.mldNext == 0 || s.now < s.mldNext {
		return
	}
	s.mldNext = 0
	for _, l := range s.links {
		m := &l.mld
		if m.changes > 0 && s.now >= m.changeAt {
			s.mldChange(l)
		}
		if m.answerAt != 0 && s.now >= m.answerAt {
			m.answerAt = 0
			if m.v1 {
				s.mldReportV1(l)
			} else {
				s.mldReport(l, wire.MLDIsExclude)
			}
		}
		s.mldSchedule(l)
	}
}

// reported are the groups of l but all-nodes, which nobody reports (RFC 3810
// section 6).
func (l *link) reported() []netip.Addr { return l.groups[1:] }

func (s *Stack) mldReport(l *link, record uint8) {
	for groups := l.reported(); len(groups) > 0; {
		n := min(len(groups), mldRecords)
		s.sendMLD(l, wire.AllMLDv2Routers, wire.AppendMLDv2Report(nil, record, groups[:n]))
		groups = groups[n:]
	}
}

func (s *Stack) mldReportV1(l *link) {
	for _, g := range l.reported() {
		s.sendMLD(l, g, wire.AppendMLDv1Report(nil, g))
	}
}

// sendMLD sends a message, from the link-local address (RFC 3810 section 5.2.13).
func (s *Stack) sendMLD(l *link, dst netip.Addr, message []byte) {
	src := l.source(wire.AllNodes, wire.AllNodes)
	ck := wire.TransportChecksum(src, dst, wire.ProtoICMP6, message)
	message[2], message[3] = byte(ck>>8), byte(ck)
	spec := ipSpec{src: src, dst: dst, proto: wire.ProtoHopByHop, ttl: 1, length: len(wire.RouterAlert) + len(message)}
	f := s.ctl.begin(&spec)
	f.Buf = append(f.Buf, wire.RouterAlert[:]...)
	s.ctl.one[0] = message
	f.Payload = s.ctl.one[:]
	s.counters.IPv6.OutRequests++
	s.counters.ICMP6.OutMsgs++
	s.emit(l, wire.MulticastMAC(dst), f)
}
