package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A phase is how far a TCP socket has come, as its program sees it.
type phase uint8

const (
	phaseIdle       phase = iota // neither connected nor listening
	phaseConnecting              // connect was called, the outcome is open
	phaseFailed                  // a connect has failed that the program did not wait for; E is closed
	phaseConnected               // bytes flow
	phaseListening
	phaseEnded // E is closed; what the program may still ask is answered from tcp
)

// A stream is a program's TCP socket: it moves bytes between E and the stack's
// socket and shows the program, by means of the pair, what happens to the
// connection. It implements tcp.Owner.
type stream struct {
	sock
	tcp    *tcp.Socket
	phase  phase
	dirty  bool       // stands in engine.dirty
	events tcp.Events // reported by the stack, not yet acted upon

	// Not connected yet.
	bound    bool      // the program has called bind
	raiseDue bool      // P's send buffer is still the small one although connected
	told     bool      // a connect call has returned success
	early    bool      // the stack has taken bytes for the SYN: another cannot begin anew
	filled   int       // filler bytes in E's receive queue
	fast     *fastSend // the call that connects with data and waits; nil: none

	// Connected.
	readable   bool // E may hold bytes
	urgent     bool // E may hold an urgent byte
	unseen     bool // what the poller has seen in E may have been read: what is next may be urgent
	outBlocked bool // E took less than it was offered
	ended      bool // E reported that the program sends no more
	hup        bool // E reported a hang-up
	wrShut     bool // the program has shut down writing
	sealed     bool // the last byte in E is the seal, see reset.go
	rdShut     bool // the program has shut down reading
	finQueued  bool // the stack was told that the program sends no more
	eofSent    bool // the program was told that the peer sends no more
	planted    bool // E was closed with bytes unread: P has, or had, ECONNRESET
	resetDue   bool // the connection has failed, bytes before that are not delivered yet
	abortDue   bool // the program closed with bytes unread
	recvDue    bool // receiving calls that wait are to be tried

	busy     int8      // how much the program sends at a time, see passage.go
	ways     *ways     // nil: it stands at no passage
	returned *returned // bytes of calls that were interrupted; nil: none

	// Listening.
	tokens int  // bytes in P's receive queue
	ahead  bool // accept is called after poll: sockets are made before it comes
	nonBl  bool // the last accept asked for a non-blocking socket

	// Of a listener: the socket that accept returns next, if that was made; of that
	// socket: the same.
	unborn *unborn
}

// newStream makes the two halves of a TCP socket. conn is nil for socket(2) and
// the connection for accept(2).
func (e *engine) newStream(domain int, nonblock bool, conn *tcp.Socket) (st *stream, p int, err abi.Errno) {
	s, p, err := e.newPair(hostlink.PairStream, nonblock)
	if err != 0 {
		return nil, -1, err
	}
	st = &stream{sock: *s, tcp: conn}
	st.stream = st
	st.domain = domain
	if conn == nil {
		st.tcp = e.stack.NewTCP(domain, st)
		st.fill(p)
	} else {
		st.phase, st.told = phaseConnected, true
		st.raise(p)
	}
	if st.adopt() != nil {
		st.discard()
		hostlink.CloseFD(p)
		return nil, -1, abi.ENOBUFS
	}
	return st, p, 0
}

// Event implements tcp.Owner. What it means is worked out by settle, when the
// stack is at rest.
func (s *stream) Event(ev tcp.Events) {
	s.events |= ev
	s.mark()
}

// mark has settle called before the loop sleeps.
func (s *stream) mark() {
	if !s.dirty {
		s.dirty = true
		s.eng.dirty = append(s.eng.dirty, s)
	}
}

// reactions to events, in the order in which they are to be seen by the program.
var reactions = []struct {
	on tcp.Events
	do func(*stream)
}{
	{tcp.EventConnected, (*stream).connected},
	{tcp.EventAcceptable, (*stream).admit},
	{tcp.EventWritable, (*stream).pump},
	{tcp.EventEOF, (*stream).endOfInput},
	{tcp.EventError, (*stream).failed},
	// tcp.EventNotice: the calls that wait are tried after every event
}

// settle acts on what has happened since the last time.
func (s *stream) settle() {
	s.dirty = false
	ev := s.events
	s.events = 0
	for i := range reactions {
		if ev&reactions[i].on != 0 {
			reactions[i].do(s)
		}
	}
	if (s.recvDue || ev&^tcp.EventWritable != 0) && len(s.wait.list) > 0 {
		s.wakeReceivers()
	}
	if s.abortDue && s.fd >= 0 {
		if s.tcp.Abort(); s.robbed() {
			s.outBlocked, s.failure = false, errno.ECONNRESET
			s.reset()
			return
		}
		s.gone()
	}
}

// ready handles events of E.
func (s *stream) ready(mask uint32) {
	s.hup = s.hup || mask&hostlink.Hup != 0
	switch {
	case s.phase == phaseConnected:
		s.transfer(mask)
	case s.hup:
		s.programClosed()
	}
}

// failed handles the end of a connection by an error.
func (s *stream) failed() {
	switch s.phase {
	case phaseConnecting:
		s.connectFailed()
	case phaseConnected:
		s.reset()
	}
}

// programClosed handles the program's last close.
func (s *stream) programClosed() {
	if s.phase == phaseListening {
		s.eng.land(true)
	}
	s.tcp.Close()
	s.gone()
}

// gone forgets a socket that no program holds.
func (s *stream) gone() {
	s.unmirror()
	s.withdraw()
	s.leavePassages()
	s.phase = phaseEnded
	s.closeE()
	s.eng.socks.remove(&s.sock)
	// Threads that still wait on a descriptor which another has closed.
	s.wait.answer(func(w *waiter) bool { return w.fail(errno.EBADF) })
}

// retire closes E when both directions have ended and every byte has been
// passed on: a close can no longer be told from the shutdowns before it, so the
// connection is left to finish by itself and the program's questions are
// answered from memory.
func (s *stream) retire() {
	s.unseal()
	s.entomb()
	s.phase = phaseEnded
}

// entomb closes E and keeps the rest for later questions. The stack's socket is
// given up, or it would hold its port for as long as somebody may ask.
func (s *stream) entomb() {
	s.unmirror()
	linger := s.tcp.Options().Linger
	s.tcp.Options().Linger.On = false // the program has not closed yet
	s.tcp.Close()
	s.tcp.Options().Linger = linger
	s.leavePassages()
	s.closeE()
	s.eng.socks.bury(&s.sock)
}
