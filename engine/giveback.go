package engine

// Bytes that were taken from P for a call whose thread was interrupted before it
// heard. The call comes again, or does not, and the bytes must be there for it and
// for native reads alike.

import (
	"slices"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// returned is what has come back.
type returned struct {
	stash []byte // nothing can be sent to P any more: only calls of the engine's find it
	back  []byte // on the way into P
	mark  int    // place of the urgent byte in back, negative: none
}

// kept is how many bytes only the engine has.
func (s *stream) kept() int {
	if s.returned == nil {
		return 0
	}
	return len(s.returned.stash)
}

// read takes up to room bytes of what the engine has, or looks at them.
func (r *returned) read(room int, peek bool) []byte {
	b := r.stash[:min(len(r.stash), room)]
	if !peek {
		r.stash = r.stash[len(b):]
	}
	return b
}

// giveBack puts b in front of what waits in P: all of that is taken out and sent
// anew behind b.
func (s *stream) giveBack(p int, b []byte) {
	b = slices.Clone(b)
	if s.returned == nil {
		s.returned = new(returned)
	}
	r := s.returned
	if s.fd < 0 || s.eofSent || len(r.stash) > 0 {
		r.stash = append(b, r.stash...)
		return
	}
	r.mark = -1
	room := s.eng.chunk().B
	room = room[:cap(room)]
	for range emptyReads {
		if hostlink.AtMark(p) {
			if n, e := hostlink.Recv(p, room[:1], abi.MSG_OOB); e == 0 && n == 1 {
				r.mark = len(b)
				b = append(b, room[0])
			}
		}
		n, e := hostlink.Recv(p, room, 0)
		if e != 0 || n == 0 {
			break
		}
		b = append(b, room[:n]...)
	}
	r.back = b
	s.sendBack()
}

// sendBack sends what goes back to P and reports whether all of it has gone.
func (s *stream) sendBack() bool {
	r := s.returned
	for r != nil && len(r.back) > 0 {
		part, extra := r.back, 0
		switch {
		case r.mark == 0:
			part, extra = part[:1], abi.MSG_OOB
		case r.mark > 0:
			part = part[:r.mark]
		}
		n, e := hostlink.Send(s.fd, part, extra)
		if e == abi.EAGAIN {
			s.outBlocked = true
			s.watch(baseMask | hostlink.Out)
			return false
		}
		if e != 0 {
			break // nobody reads any more
		}
		r.back = r.back[n:]
		r.mark -= n
	}
	if r != nil && len(r.stash) == 0 {
		s.returned = nil
	}
	return true
}
