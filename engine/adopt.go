package engine

// Taking over from an engine that died: its E ends come out of its keeper's
// descriptor table (pidfd_getfd(2)), and its journal says what they are.
//
//   - Sockets that were not connected go on: P is the same open file as before,
//     with the filling, the buffers and the shutdowns that it had, so only the
//     stack's half is made anew, by the calls that the program once made. A
//     listening socket listens again, an attempt to connect starts anew, a
//     datagram socket keeps what waits in its pair.
//   - A connection is gone with the stack that held it. Its E is closed with a
//     byte unread, so the program reads what had arrived and then ECONNRESET
//     (reset.go); what it asks later is answered from a tombstone.
//   - Calls that were under way are executed again.
//
// Until the keeper is dead an E is open in two tables and closing it shows
// nobody anything. So the engine serves only after that.

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A legacy is what an engine that died has left.
type legacy struct {
	keeper  int // pidfd of its keeper
	journal int // descriptor of its journal
}

// agreed is what a program was allowed before: the checks for privilege were made
// then.
var agreed = sockopt.Privilege{NetAdmin: true, NetRaw: true, NetBindService: true, Agreed: true}

// adoption is the work of taking over.
type adoption struct {
	*engine
	calls     []call    // to be executed again
	listeners []*stream // bound, to listen again once every socket is bound
	attempts  []*stream // to connect again
	shown     []*dgram  // to be shown to plain programs again
	lost      int       // connections of programs
	kept      map[uint64][]keptKey
	ties      [tieTables][]tie
}

// adopt takes over what can be taken over. Nothing in a legacy is an error: what
// makes no sense is left to end with the keeper. The calls of the result are for
// reissue, when that has ended.
func (e *engine) adopt(l legacy) *adoption {
	a := &adoption{engine: e}
	r, ok := openJournal(l.journal)
	if !ok {
		e.log.Warn("no journal of the engine before: every connection and socket of the programs is lost")
		return a
	}
	a.retune(r.tuned())
	a.reassociate(r.associations())
	a.kept = r.keys()
	if e.journal != nil {
		e.journal.keys.heirs = true
		defer func() { e.journal.keys.heirs = false }()
	}
	a.note(r.calls())
	for table := range a.ties {
		a.ties[table] = r.ties(table)
	}
	for _, x := range r.relics() {
		fd, ok := x.claim(l.keeper)
		if ok && e.socks.find(x.cookie) == nil && !e.socks.full() {
			a.restore(&x, fd)
		} else if ok {
			hostlink.CloseFD(fd)
		}
	}
	for _, s := range a.listeners {
		s.restoreListener()
	}
	for _, s := range a.attempts {
		s.restoreAttempt()
	}
	e.log.Info("took over", "sockets", e.socks.live, "connections lost", a.lost, "calls", len(a.calls))
	return a
}

// claim takes the E that the relic speaks of out of the keeper's table.
func (x *relic) claim(keeper int) (int, bool) {
	fd, no := hostlink.GetFD(keeper, x.fd)
	if no != 0 {
		return -1, false
	}
	want := hostlink.PairStream
	if x.kind == slotDgram {
		want = hostlink.PairPacket
	}
	if cookie, ok := hostlink.SocketCookie(fd); !ok || cookie != x.end || hostlink.PairType(fd) != want {
		hostlink.CloseFD(fd)
		return -1, false
	}
	return fd, true
}

func (a *adoption) restore(x *relic, fd int) {
	base := sock{
		eng: a.engine, fd: fd, cookie: x.cookie, inode: x.inode, endCookie: x.end,
		domain: x.domain, uid: x.uid,
	}
	if len(x.settings) > 0 {
		base.agree().settings = x.settings
	}
	if x.kind == slotDgram {
		a.restoreDgram(x, base)
		return
	}
	s := &stream{sock: base}
	s.stream = s
	s.tcp = a.stack.NewTCP(s.domain, s)
	s.setUser()
	if x.phase == phaseConnected {
		a.lost++
		s.mourn()
		return
	}
	s.filled = min(x.filled, hostlink.QueuedIn(fd))
	if x.backlog != 0 || x.peer.IsValid() {
		s.agree().backlog, s.agree().peer = x.backlog, x.peer
	}
	s.replay(s.tcp)
	err := s.rekey(s.tcp, a.kept[x.end])
	if err == nil && x.at.IsValid() {
		if err = s.tcp.Bind(x.at, s.uid, agreed); err == nil {
			s.agree().at, s.bound = x.at, x.flags&flagBound != 0
		}
	}
	switch {
	case err != nil:
		s.giveUp(asErrno(err))
		return
	case s.sock.adopt() != nil:
		s.giveUp(errno.ENOBUFS)
		return
	case x.phase == phaseListening:
		a.listeners = append(a.listeners, s)
	case x.phase == phaseConnecting && x.peer.IsValid():
		a.attempts = append(a.attempts, s)
	}
	s.keepKeys(s.tcp) // first: a successor must not find the socket without them
	s.record()
}

// replay sets the options that the program once set.
func (s *sock) replay(t sockopt.Target) {
	for i := range s.dealt().settings {
		set := &s.dealt().settings[i]
		_, _ = s.eng.profile.Set(t, int(set.level), int(set.name), set.val[:set.len], agreed)
	}
}

// restoreListener makes the stack listen again. The tokens in P are those of
// connections that are gone.
func (s *stream) restoreListener() {
	if err := s.tcp.Listen(s.dealt().backlog); err != nil {
		s.giveUp(asErrno(err))
		return
	}
	s.phase = phaseListening
	if p, ok := s.grab(); ok {
		discardQueue(p, s.fd, s.eng.scratch[:])
		hostlink.CloseFD(p)
	} else if hostlink.QueuedOut(s.fd) != 0 {
		s.tokens = maxTokens // at most; the next accept counts
	}
	s.record()
}

// restoreAttempt begins to connect anew; the program has heard nothing yet. A
// call that connects with data waits again when it is executed again.
func (s *stream) restoreAttempt() {
	if err := s.tcp.Connect(s.dealt().peer); err != errno.EINPROGRESS {
		s.giveUp(asErrno(err))
		return
	}
	s.phase = phaseConnecting
	s.record()
}

// mourn shows the program that its connection is gone.
func (s *stream) mourn() {
	if hostlink.QueuedIn(s.fd) == 0 {
		s.plant()
	}
	s.giveUp(errno.ECONNRESET)
}

// giveUp closes E of a socket that cannot go on and keeps the error for the
// program's next call. E is not empty: it holds the filling, or what mourn has
// planted.
func (s *stream) giveUp(e errno.Errno) {
	s.planted = hostlink.QueuedIn(s.fd) != 0
	s.tcp.Close()
	s.closeE()
	s.phase, s.failure = phaseEnded, e
	s.eng.socks.recall(&s.sock)
}

func (a *adoption) restoreDgram(x *relic, base sock) {
	d := &dgram{sock: base}
	d.dgram = d
	d.udp = a.stack.NewUDP(d.domain, d)
	d.setUser()
	d.wrShut, d.rdShut = x.flags&flagWrShut != 0, x.flags&flagRdShut != 0
	d.replay(d.udp)
	err := error(nil)
	if x.at.IsValid() {
		if err = d.udp.Bind(x.at, d.uid, agreed); err == nil {
			d.agree().at = x.at
		}
	}
	if err == nil && x.peer.IsValid() {
		if err = d.udp.Connect(x.peer); err == nil {
			d.agree().peer = x.peer
		}
	}
	if err != nil {
		d.failure = asErrno(err)
	}
	if d.sock.adopt() != nil {
		d.udp.Close()
		d.closeE()
		return
	}
	if !d.udp.Connected() {
		d.dropUnattributed()
	}
	if err != nil {
		d.wake()
	}
	if x.flags&flagShown != 0 {
		d.shown = true // also for the next engine, if this one dies before
		a.shown = append(a.shown, d)
	}
	d.record()
}

// dropUnattributed discards what waits for the program. Where the datagrams came
// from died with the engine; a peer is known, anybody else is not, and a program
// must not answer to a wrong address.
func (d *dgram) dropUnattributed() {
	if hostlink.QueuedOut(d.fd) == 0 {
		return
	}
	if p, ok := d.grab(); ok {
		discardQueue(p, d.fd, d.eng.datagram[:])
		hostlink.CloseFD(p)
	}
}

// discardQueue empties the receive queue of p, whose other end is e: there what
// is not read yet shows, also when it is an empty datagram.
func discardQueue(p, e int, b []byte) {
	for i := 0; i < maxDiscarded && hostlink.QueuedOut(e) != 0; i++ {
		if _, no := hostlink.Recv(p, b, 0); no != 0 {
			return
		}
	}
}

// maxDiscarded is more than a pair can hold of anything.
const maxDiscarded = 1 << 16

// note writes down what calls of the engine before still wait for an answer, in
// case that this one dies before it has executed them.
func (a *adoption) note(list []hostlink.Notification) {
	for i := range list {
		for _, on := range a.ons {
			if on == nil || !on.Valid(list[i].ID) {
				continue
			}
			c := call{eng: a.engine, on: on.Notifier, p: -1, req: list[i]}
			place, note := a.place()
			*place, c.note = c.req, note
			a.calls = append(a.calls, c)
			break
		}
	}
}

// reissue does what has to wait until the keeper is dead: it opens the kernel's
// sockets on the ports of intercepted ones, executes the calls that were under
// way, and tells the peers of lost connections.
func (a *adoption) reissue() {
	for _, s := range a.listeners {
		if s.phase == phaseListening {
			s.mirror()
		}
	}
	for _, d := range a.shown {
		if d.fd >= 0 {
			d.shown = false
			d.show()
		}
	}
	for i := range a.calls {
		c := &a.current
		*c = a.calls[i]
		note := c.note
		switch {
		case !c.on.Valid(c.req.ID), c.settle():
		case !a.dare(note):
			a.log.Warn("a call that engines die of is not executed any more", "call", c.req.Nr)
			c.fail(errno.EIO)
		default:
			a.engine.calls++
			c.dispatch()
			c.release()
			a.survived(note)
		}
		c.forget()
	}
	a.calls = nil
	a.disown()
}

// maxReissues is how many engines in a row may die of executing a call again.
const maxReissues = 3

// dare counts an attempt at a call in the journal, where the next engine finds
// it, and reports whether it may be made. The kernel has no flags for a call.
func (e *engine) dare(note int) bool {
	if note == noNote {
		return true
	}
	n := e.journal.mem.Notification(noteAt(note))
	n.Flags = (n.Flags + 1) & noteDared
	return n.Flags <= maxReissues
}

// survived takes the count back: the call was executed, and waits perhaps.
func (e *engine) survived(note int) {
	if note != noNote {
		e.journal.mem.Notification(noteAt(note)).Flags = 0
	}
}

// recall keeps a socket without an E under its cookie.
func (r *registry) recall(s *sock) {
	if r.byCookie == nil {
		r.byCookie = make(map[uint64]*sock)
	}
	r.byCookie[s.cookie] = s
	r.bury(s)
}

// attribute names the sender of a datagram that was received before this engine
// started: only sockets with a peer keep such.
func (d *dgram) attribute(o origin) origin {
	if !o.from.IsValid() && d.udp.Connected() {
		o.from, o.to = d.udp.RemoteAddr(), d.udp.LocalAddr().Addr()
	}
	return o
}
