package engine

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A kernelEnd is an end that the sandbox's kernel speaks TCP for: a connection
// within its loopback, whose descriptor the engine has from its helper.
type kernelEnd struct {
	endState
	splice   *splice
	fd       int    // -1 once closed
	gen      uint32 // tells its events from those of an earlier one with the number
	seen     uint32 // reported and not yet acted upon
	readable bool   // there may be bytes
	urgent   bool   // there may be an urgent byte
	rdhup    bool   // the end of the stream, or an error, is to be read
	blocked  bool   // it took less than it was offered
}

// kernelMask is what a descriptor is watched for.
const kernelMask = hostlink.In | hostlink.Out | hostlink.RdHup | hostlink.Pri | hostlink.Edge

// event notes what the poller has seen.
func (x *kernelEnd) event(mask uint32) {
	x.seen |= mask
	x.splice.mark()
}

func (x *kernelEnd) act() {
	mask := x.seen
	x.seen = 0
	if x.fd < 0 || mask == 0 {
		return
	}
	if !x.up {
		x.connected(mask)
	}
	if mask&hostlink.Out != 0 && x.blocked {
		x.blocked = false
		if x.splice.joined {
			x.splice.other(x).resume()
		}
	}
	x.urgent = x.urgent || mask&hostlink.Pri != 0
	x.rdhup = x.rdhup || mask&(hostlink.RdHup|hostlink.Hup|hostlink.Err) != 0
	if mask&hostlink.Err != 0 {
		x.fail(x.pendingError())
	}
	if mask&^uint32(hostlink.Out) != 0 {
		x.readable = true
		x.resume()
	}
}

// connected takes the outcome of a connect that was under way.
func (x *kernelEnd) connected(mask uint32) {
	if mask&(hostlink.Out|hostlink.Err|hostlink.Hup) == 0 {
		return
	}
	if x.why = x.pendingError(); x.why != 0 {
		x.failed = true
		return
	}
	x.up = true
}

func (x *kernelEnd) pendingError() errno.Errno {
	var v [4]byte
	if n, e := hostlink.GetSockOpt(x.fd, abi.SOL_SOCKET, abi.SO_ERROR, v[:]); e != 0 || n != len(v) {
		return errno.ECONNABORTED
	}
	return errno.Errno(binary.NativeEndian.Uint32(v[:]))
}

// resume moves bytes to the other end while that takes them.
func (x *kernelEnd) resume() {
	s := x.splice
	buf := s.eng.datagram[:]
	for s.joined && !s.over && x.readable && !x.ended {
		room := min(s.other(x).room(), len(buf))
		if room <= 0 {
			return
		}
		if x.urgent && x.resumeUrgent() {
			continue
		}
		n, e := hostlink.Recv(x.fd, buf[:room], 0)
		switch {
		case e == abi.EAGAIN:
			x.readable = false
		case e != 0:
			x.readable = false
			x.fail(errno.Errno(e))
		case n == 0:
			x.readable, x.ended = false, !x.failed
			s.mark()
		default:
			s.other(x).write(buf[:n], false)
			x.readable = n == room || x.urgent || x.rdhup
		}
	}
}

// resumeUrgent passes the urgent byte on if it is next. A read stops in front of
// it, so it is met exactly.
func (x *kernelEnd) resumeUrgent() bool {
	if !hostlink.AtMark(x.fd) {
		return false
	}
	var b [1]byte
	n, e := hostlink.Recv(x.fd, b[:], abi.MSG_OOB)
	if e != 0 || n == 0 {
		x.urgent = false
		return false
	}
	x.splice.other(x).write(b[:], true)
	return true
}

// fail notes that the connection is gone. What the kernel has received before
// that can still be read.
func (x *kernelEnd) fail(e errno.Errno) {
	if !x.failed {
		x.failed, x.why = true, e
		x.splice.mark()
	}
}

func (x *kernelEnd) write(p []byte, urgent bool) int {
	if x.room() == 0 {
		return 0
	}
	extra := 0
	if urgent {
		extra = abi.MSG_OOB
	}
	n, e := hostlink.Send(x.fd, p, extra)
	switch {
	case e == abi.EAGAIN:
		x.blocked = true
	case e != 0:
		x.fail(errno.Errno(e))
	case n < len(p):
		x.blocked = true
	}
	return n
}

func (x *kernelEnd) room() int {
	if x.failed || x.blocked || x.shut {
		return 0
	}
	return len(x.splice.eng.datagram)
}

func (x *kernelEnd) closeWrite() { hostlink.ShutdownFD(x.fd, abi.SHUT_WR) }
func (x *kernelEnd) unsent() int { return hostlink.QueuedOut(x.fd) }

func (x *kernelEnd) state() *endState { return &x.endState }

// unread counts what is in the kernel's queue.
func (x *kernelEnd) unread() int {
	if !x.readable {
		return 0
	}
	return hostlink.QueuedIn(x.fd)
}

func (x *kernelEnd) abort() { x.close(hostlink.ResetKernel) }
func (x *kernelEnd) leave() { x.close(hostlink.CloseFD) }

func (x *kernelEnd) close(by func(fd int)) {
	if x.fd >= 0 {
		x.splice.eng.inline.kernel.unwatch(x)
		by(x.fd)
		x.fd = -1
	}
}
