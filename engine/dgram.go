package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A dgram is a program's UDP socket. Its pair is SOCK_SEQPACKET, which keeps the
// boundaries of datagrams and has an end of file. The pair cannot carry source
// addresses; those wait in origins, beside the datagrams, for calls that ask. It
// implements udp.Owner.
type dgram struct {
	sock
	udp     *udp.Socket
	origins origins   // of the datagrams in P's receive queue
	stash   []stashed // first in line, oldest first
	peeked  bool      // the oldest datagram was looked at
	hup     bool      // E reported a hang-up
	wrShut  bool      // the program has shut down writing
	rdShut  bool      // the program has shut down reading
	dirty   bool      // stands in engine.dirtyDgrams
	recvDue bool      // calls that wait are to be tried
	shown   bool      // plain programs of the sandbox can reach it, see show
}

// stashed is a datagram that was taken for a call whose thread was interrupted
// before it heard.
type stashed struct {
	origin
	payload []byte
}

// dgramSndBuf makes the largest datagram that P accepts 65,528 bytes, a little
// more than UDP over IPv6 carries: the kernel doubles it and wants 32 bytes for
// itself (af_unix.c, unix_dgram_sendmsg).
const dgramSndBuf = 32780

// maxDatagram is the largest UDP payload, in bytes: over IPv4 and over IPv6.
const (
	maxDatagram4 = 65507
	maxDatagram6 = 65527
)

func (e *engine) newDgram(domain int, nonblock bool) (*dgram, int, abi.Errno) {
	s, p, err := e.newPair(hostlink.PairPacket, nonblock)
	if err != 0 {
		return nil, -1, err
	}
	d := &dgram{sock: *s}
	d.sock.dgram = d
	d.domain = domain
	d.udp = e.stack.NewUDP(domain, d)
	hostlink.SetSendBuffer(p, dgramSndBuf)
	if d.adopt() != nil {
		d.abandon()
		hostlink.CloseFD(p)
		return nil, -1, abi.ENOBUFS
	}
	return d, p, 0
}

// Deliver implements udp.Owner: to a call that waits for it, or else into P.
func (d *dgram) Deliver(from netip.AddrPort, to netip.Addr, m udp.Marks, p []byte) bool {
	if d.fd < 0 || d.rdShut {
		return false
	}
	o := origin{from: from, to: to, size: int32(len(p)), marked: true, marks: m, drops: d.udp.Drops()}
	if d.udp.Options().Rare().WantsStamps() {
		o.at = hostlink.WallClock()
	}
	if d.handOver(o, p) {
		return true
	}
	if !d.enqueue(o, p) {
		return false
	}
	if d.wait.first(receiveCalls...) != nil {
		d.recvDue = true
		d.mark()
	}
	return true
}

func (d *dgram) enqueue(o origin, p []byte) bool {
	if _, e := hostlink.Send(d.fd, p, 0); e != 0 {
		return false
	}
	d.eng.theirTurn = true
	d.origins.push(o)
	if d.origins.crowded() {
		d.recount()
	}
	return true
}

// recount drops origins of datagrams that the program has read natively.
func (d *dgram) recount() {
	if hostlink.QueuedOut(d.fd) == 0 {
		d.origins.clear()
	} else if p, ok := d.grab(); ok {
		d.origins.keepLast(hostlink.QueuedIn(p))
		hostlink.CloseFD(p)
	}
	d.origins.counted()
}

// handOver gives a datagram to a call that waits, if nothing is queued before
// it. One that only looks leaves it to the next.
func (d *dgram) handOver(o origin, p []byte) bool {
	w := d.wait.first(receiveCalls...)
	if w == nil || len(d.stash) > 0 {
		return false
	}
	if d.origins.len() > 0 {
		switch {
		case hostlink.QueuedOut(d.fd) == 0:
			d.origins.clear()
		case !d.origins.onlyWake(): // that came while the call waited, and is no datagram
			return false
		}
	}
	for ; w != nil && w.receiveFlags()&abi.MSG_PEEK == 0; w = d.wait.first(receiveCalls...) {
		w.end()
		if w.finishReceive(d, o, p) {
			d.wait.compact()
			return true
		}
	}
	d.wait.compact()
	return false
}

// Error implements udp.Owner: an ICMP error has come back. Whoever waits is told;
// otherwise an empty datagram wakes whoever polls, and the next notified call
// reports the error in its place. An error that is only queued wakes, too.
func (d *dgram) Error(e errno.Errno) {
	if d.fd < 0 {
		return
	}
	if w := d.wait.first(receiveCalls...); w != nil && e != 0 {
		w.end()
		heard := w.fail(e)
		d.wait.compact()
		if heard {
			d.udp.TakeError()
			d.showErrors()
			return
		}
	}
	d.wake()
	d.showErrors()
}

// showErrors keeps P readable while errors are queued: that poll shows POLLERR for
// them cannot be had from an AF_UNIX socket. A native read that takes the wake makes
// room in E, and ready gives P another.
func (d *dgram) showErrors() {
	if _, any := d.udp.FirstError(); !any || d.fd < 0 || d.rdShut {
		d.watch(baseMask)
		return
	}
	d.wake()
	d.watch(baseMask | hostlink.Out)
}

// wake makes P readable by an empty datagram that notified calls pass over.
func (d *dgram) wake() {
	if d.origins.lastIsWake() {
		if hostlink.QueuedOut(d.fd) != 0 {
			return
		}
		d.origins.clear() // it was read natively
	}
	if _, e := hostlink.Send(d.fd, nil, 0); e == 0 {
		d.origins.push(origin{wake: true})
	}
}

// ready handles events of E.
func (d *dgram) ready(mask uint32) {
	d.hup = d.hup || mask&hostlink.Hup != 0
	d.pump()
	if d.mask&hostlink.Out != 0 {
		d.showErrors()
	}
}

// pumpBatch bounds the datagrams that one socket sends in one turn of the loop.
const pumpBatch = 64

// pump sends what the program has written natively, one datagram a read. The first
// goes at once: mostly it is the only one, and somebody waits for it. Those behind it
// leave together, as far as they are alike.
func (d *dgram) pump() {
	stack := d.eng.stack
	gathers := d.udp.Options().Rare().UDPSegment != 0
	if gathers {
		stack.Gather()
	}
	for n := range pumpBatch {
		if n == 1 && !gathers {
			gathers = true
			stack.Gather()
		}
		if !d.pumpOne() {
			if gathers {
				stack.EmitGathered()
			}
			return
		}
	}
	stack.EmitGathered()
	d.mark()
}

// pumpOne sends one datagram. False: there is none.
func (d *dgram) pumpOne() bool {
	if d.fd < 0 {
		return false
	}
	b := d.eng.datagram[:]
	n, e := hostlink.Recv(d.fd, b, 0)
	switch {
	case e == abi.EAGAIN:
		return false
	case e != 0 || n == 0 && d.atEnd():
		d.programClosed()
		return false
	case n == 0 && d.wrShut:
		return false
	}
	d.eng.theirTurn = false
	if pending := d.udp.TakeError(); pending != 0 {
		d.failure = pending // of an earlier one: write has succeeded, so this one goes
	}
	if err := d.udp.SendTo(b[:n], netip.AddrPort{}); err != nil {
		d.failure = asErrno(err) // the next notified send reports it, or SO_ERROR
	}
	d.noteBound()
	return true
}

// atEnd tells the end of file from an empty datagram: both are a read of nothing.
// The program may have closed since the events were fetched. What is behind an empty
// datagram is still sent, unless it is empty as well.
func (d *dgram) atEnd() bool {
	if !d.hup {
		now, e := hostlink.PollNow(d.fd, 0)
		d.hup = e == 0 && now&abi.POLLHUP != 0
	}
	return d.hup && hostlink.QueuedIn(d.fd) == 0
}

// mark has settle called before the loop sleeps.
func (d *dgram) mark() {
	if !d.dirty {
		d.dirty = true
		d.eng.dirtyDgrams = append(d.eng.dirtyDgrams, d)
	}
}

func (d *dgram) settle() {
	d.dirty = false
	if d.recvDue {
		d.recvDue = false
		d.wait.retry(d.hasInput, receiveCalls...)
	}
	d.pump()
}

// hasInput reports whether a call that receives need not wait.
func (d *dgram) hasInput() bool {
	return d.fd < 0 || len(d.stash) > 0 || hostlink.QueuedOut(d.fd) > 0
}

// programClosed handles the program's last close, and the shutdown of both
// directions, which cannot be told from it.
func (d *dgram) programClosed() {
	port := d.udp.LocalAddr().Port()
	d.udp.Close()
	d.eng.portReleased(port)
	d.closeE()
	d.wait.answer(func(w *waiter) bool { return w.fail(errno.EBADF) })
	if d.rdShut && d.wrShut {
		d.eng.socks.bury(&d.sock)
		return
	}
	d.eng.socks.remove(&d.sock)
}

// shutdown ends one or both directions natively; calls that wait for a datagram
// see an end of file.
func (d *dgram) shutdown(p, how int) {
	if how != abi.SHUT_WR {
		d.rdShut = true
		d.wait.answer(func(w *waiter) bool { return w.reply(0) }, receiveCalls...)
	}
	if how != abi.SHUT_RD {
		d.wrShut = true
	}
	hostlink.ShutdownFD(p, how)
	d.record()
}

// noteBound notes the port that a send or connect has taken.
func (d *dgram) noteBound() {
	if d.dealt().at.Port() != 0 {
		return
	}
	if port := d.udp.LocalAddr().Port(); port != 0 {
		any := netip.IPv4Unspecified()
		if d.domain == sockopt.AFInet6 {
			any = netip.IPv6Unspecified()
		}
		if d.dealt().at.IsValid() {
			any = d.dealt().at.Addr() // bind was told to leave the port open
		}
		d.agree().at = netip.AddrPortFrom(any, port)
		d.record()
	}
}
