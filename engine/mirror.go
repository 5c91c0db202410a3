package engine

// Ports of intercepted programs as others in the sandbox's network namespace see
// them: `kubectl port-forward`, probes of an agent and plain sidecars dial the
// pod's loopback or the pod's own address with sockets of the kernel, which never
// leaves the kernel. So the engine has the kernel listen there as well, for as
// long as a program of the sandbox does. The other direction is offeredLoopback.

import (
	"errors"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// maxMirrors bounds the kernel's listeners; further ports are not shown.
// mirrorBatch bounds the connections that are taken from one in a turn.
const (
	maxMirrors  = 512
	mirrorBatch = 64
)

// mirrorMask is edge-triggered: a connection that cannot be taken (EMFILE) does
// not keep the loop busy, and is taken with the next.
const mirrorMask = hostlink.In | hostlink.Edge

// mirrors are the kernel's listeners that stand for intercepted ones.
type mirrors struct {
	byAddr map[netip.AddrPort]*mirror
	byFD   []*mirror // index: the descriptor's number
	gen    uint32
}

// A mirror is one listener of the kernel.
type mirror struct {
	at    netip.AddrPort
	fd    int
	gen   uint32
	users int // intercepted listeners that it stands for
}

// loopbacks are the addresses that the kernel and the engine both have for
// themselves.
var loopbacks = [...]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// mirror shows a socket that has begun to listen.
func (s *stream) mirror() {
	// One that is bound to an interface is not there on loopback.
	if s.eng.inline.stack == nil || s.dealt().shown != nil || s.tcp.Options().BindToIf != 0 {
		return
	}
	for _, a := range loopbacks {
		s.mirrorAt(a)
	}
	for _, p := range s.eng.cfg.Addrs {
		s.mirrorAt(p.Addr())
	}
}

// mirrorAt shows the socket at one address of the sandbox if it listens there. A
// port that a program has in the kernel is that program's.
func (s *stream) mirrorAt(a netip.Addr) {
	if !s.listensAt(a) {
		return
	}
	e := s.eng
	at := netip.AddrPortFrom(a, s.tcp.LocalAddr().Port())
	m := e.mirrors.byAddr[at]
	if m == nil {
		m = e.openMirror(at)
	}
	if m != nil {
		m.users++
		s.agree().shown = append(s.dealt().shown, m)
	}
}

// listensAt reports whether connections to address a reach the socket.
func (s *stream) listensAt(a netip.Addr) bool {
	own := s.tcp.LocalAddr().Addr()
	switch {
	case !own.IsUnspecified():
		return own.Unmap() == a
	case s.domain == sockopt.AFInet:
		return a.Is4()
	}
	return a.Is6() || !s.tcp.Options().V6Only
}

func (e *engine) openMirror(at netip.AddrPort) *mirror {
	ms := &e.mirrors
	if len(ms.byAddr) >= maxMirrors {
		return nil
	}
	fd, err := e.helper.listenKernel(at)
	if err != nil {
		return nil
	}
	ms.gen = (ms.gen + 1) & genMask
	m := &mirror{at: at, fd: fd, gen: ms.gen}
	if e.poll.Add(fd, mirrorMask, tag(kindMirror, m.gen, fd)) != nil {
		hostlink.CloseFD(fd)
		return nil
	}
	if ms.byAddr == nil {
		ms.byAddr = make(map[netip.AddrPort]*mirror)
	}
	ms.byAddr[at] = m
	for fd >= len(ms.byFD) {
		ms.byFD = append(ms.byFD, nil)
	}
	ms.byFD[fd] = m
	return m
}

// unmirror ends what mirror began: the socket listens no more.
func (s *stream) unmirror() {
	ms := &s.eng.mirrors
	for _, m := range s.dealt().shown {
		if m.users--; m.users == 0 {
			delete(ms.byAddr, m.at)
			ms.byFD[m.fd] = nil
			_ = s.eng.poll.Remove(m.fd)
			hostlink.CloseFD(m.fd)
		}
	}
	if s.deal != nil {
		s.deal.shown = nil
	}
}

// mirrorReady takes connections from the kernel and has them go on to the
// intercepted listener, from where they came from.
func (e *engine) mirrorReady(gen uint32, fd int, _ uint32) {
	ms := &e.mirrors
	if fd >= len(ms.byFD) || ms.byFD[fd] == nil || ms.byFD[fd].gen != gen {
		return
	}
	m := ms.byFD[fd]
	for range mirrorBatch {
		conn, from, err := hostlink.AcceptKernel(fd)
		if err != nil {
			if !errors.Is(err, hostlink.ErrAgain) {
				e.log.Warn("mirror", "at", m.at, "error", err)
			}
			return
		}
		e.mirrored(conn, from, m.at)
	}
	_ = e.poll.Modify(fd, mirrorMask, tag(kindMirror, gen, fd)) // there may be more
}

// mirrored joins a connection that the kernel has accepted.
func (e *engine) mirrored(conn int, from, to netip.AddrPort) {
	in := &e.inline
	if in.full() {
		in.stats.Dropped++
		hostlink.ResetKernel(conn)
		return
	}
	in.stats.Mirrored++
	s := &splice{eng: e, inward: true}
	k := &kernelEnd{splice: s, fd: conn}
	k.up = true
	s.asked = k
	in.add(s)
	x := s.dials(e.stack, domainOf(to.Addr()))
	x.started(e.connectFar(x, from, to))
	if e.watchKernel(k) != nil {
		x.started(errno.ENOBUFS)
	}
}

// offeredLoopback takes the SYN of an intercepted program to the sandbox itself:
// there may be a plain program that listens on the kernel's side.
func (e *engine) offeredLoopback(p *tcp.Pending) bool {
	if e.mirrors.byAddr[p.Local()] != nil {
		return false // it would come back: the listener does not want loopback
	}
	fd, err := e.helper.dialKernel(p.Local())
	if err != nil {
		return false
	}
	s := e.newSplice(p, true)
	if s == nil {
		hostlink.CloseFD(fd)
		return true
	}
	k := &kernelEnd{splice: s, fd: fd}
	s.dialled = k
	if e.watchKernel(k) != nil {
		k.fail(errno.ENOBUFS)
	}
	e.inline.stats.Mirrored++
	return true
}

func domainOf(a netip.Addr) int {
	if a.Is4() {
		return sockopt.AFInet
	}
	return sockopt.AFInet6
}
