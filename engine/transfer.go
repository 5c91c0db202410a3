package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
)

// copyBelow is the size in bytes under which what was read from E is copied into
// the send queue instead of giving the queue the chunk: a chunk with little in
// it wastes memory.
const copyBelow = 16 << 10

// transfer handles events of E on a connection.
func (s *stream) transfer(mask uint32) {
	if mask&hostlink.Out != 0 && s.outBlocked {
		s.unblock()
	}
	s.urgent = s.urgent || mask&hostlink.Pri != 0
	s.ended = s.ended || mask&(hostlink.RdHup|hostlink.Hup) != 0
	if mask&(hostlink.In|hostlink.RdHup|hostlink.Hup|hostlink.Err|hostlink.Pri) != 0 {
		s.readable = true
		s.pump()
	}
	if s.fd < 0 {
		return
	}
	// An error on E means that the program closed with bytes unread. What it
	// wrote before goes out first, as far as the window allows: the RST waits
	// until the stack has been flushed.
	// SO_LINGER with a time of 0 does not wait for a window to open.
	if mask&hostlink.Err != 0 || s.hup && !s.wrShut && s.tcp.Options().Linger == (sockopt.LingerSetting{On: true}) {
		s.abortDue = true
		s.mark()
		return
	}
	if s.hup && s.finQueued {
		s.endOfOutput()
	}
}

// pump moves bytes from E to the stack while the stack takes them.
func (s *stream) pump() {
	for s.phase == phaseConnected && s.readable && !s.finQueued {
		space := s.tcp.SendSpace()
		if space <= 0 {
			return // EventWritable will follow
		}
		if s.sealed && s.atSeal() {
			s.readable = false
			s.endOfOutput()
			return
		}
		if (s.urgent || s.unseen) && s.pumpUrgent() {
			continue
		}
		if s.busy >= busyEnough && s.passOn(space) {
			return
		}
		c := s.eng.chunk()
		room := cap(c.B)
		if space < copyBelow {
			room = space // Write takes no more
		}
		n, e := hostlink.Recv(s.fd, c.B[:room], 0)
		s.unseen = n == room
		switch {
		case e == abi.EAGAIN:
			s.readable = false
		case e == abi.ECONNRESET:
			s.readable = false
			s.abortDue = true
			s.mark()
		case e != 0 || n == 0:
			s.readable = false
			s.endOfOutput()
		case n < copyBelow:
			s.eng.theirTurn = false
			s.tcp.Write(c.B[:n])
			s.readable = s.mayHold(n, room)
		default:
			c.B = c.B[:n]
			s.eng.spare = nil
			s.tcp.WriteChunk(c)
			s.readable = s.mayHold(n, room)
			s.noteRead(n, room)
		}
	}
}

// mayHold tells whether a read of n bytes into room may have left something: a
// short read has emptied the queue, unless it stopped at an urgent byte or there
// is an end to be found.
func (s *stream) mayHold(n, room int) bool { return n == room || s.urgent || s.ended }

// endOfOutput handles the end of what the program sends: its shutdown or its
// close.
func (s *stream) endOfOutput() {
	switch {
	case s.eng.shard != nil:
		s.eng.shard.ask(s) // it is read there again
		return
	case s.hup && !s.wrShut, s.hup && !s.eofSent && !s.rdShut:
		s.programClosed()
		return
	case s.eofSent || s.rdShut:
		s.tcp.CloseWrite()
		s.retire()
		return
	}
	s.eng.socks.noteShut(s, true)
	s.finQueued = true
	s.tcp.CloseWrite()
}

// Deliver implements tcp.Owner: bytes go into the pair as they arrive.
func (s *stream) Deliver(p []byte) int {
	switch {
	case s.phase == phaseEnded:
		return len(p)
	case s.phase != phaseConnected || s.outBlocked:
		return 0 // open or the next room in E resumes
	}
	extra := 0
	if ahead, ok := s.tcp.UrgentOffset(); ok && ahead == 0 {
		extra = abi.MSG_OOB
		p = p[:1]
	}
	// Nobody has called a byte of a passage urgent: a mark there is one that stands
	// too early (maxUrgent of netstack/tcp, tcp_stdurg).
	if s.ways != nil && s.ways.in != nil && (extra == 0 || s.ways.in.ahead(s.tcp.ReadPlace()) <= 0) {
		return s.deliverMixed(p)
	}
	return s.give(p, extra)
}

// give sends p into E and returns how much of it is dealt with.
func (s *stream) give(p []byte, extra int) int {
	n, e := hostlink.Send(s.fd, p, extra)
	s.eng.theirTurn = true
	if e != 0 && e != abi.EAGAIN {
		return len(p) // nobody reads any more; the hang-up follows
	}
	if n < len(p) {
		s.block()
	}
	s.recall()
	return n
}

// block waits for room in E.
func (s *stream) block() {
	s.outBlocked = true
	s.watch(baseMask | hostlink.Out)
}

// unblock goes on delivering after E was full.
func (s *stream) unblock() {
	s.outBlocked = false
	if !s.sendBack() {
		return
	}
	s.tcp.Resume()
	if s.outBlocked || s.fd < 0 {
		return
	}
	s.watch(baseMask)
	s.passageFree()
	if s.resetDue {
		s.reset()
	}
}

// endOfInput shows the program the peer's FIN.
func (s *stream) endOfInput() {
	if s.phase != phaseConnected || s.eofSent {
		return
	}
	s.eofSent = true
	hostlink.ShutdownFD(s.fd, abi.SHUT_WR)
	if s.finQueued {
		s.retire()
	}
}
