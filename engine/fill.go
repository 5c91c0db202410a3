package engine

// How a socket that is not connected avoids looking writable.
//
// An AF_UNIX socket polls writable while what it has sent and the peer has not
// read takes no more than a quarter of its send buffer, and accepts bytes while
// it takes less than all of it (af_unix.c, unix_writable and sock_alloc_send_pskb).
// With the buffer at its minimum, a few bytes fill it. Once the connection
// stands, E swallows them and the buffer is raised: the program sees POLLOUT
// become true, and an edge-triggered epoll sees its edge.

import (
	"github.com/tcpcni/tcpcni/hostlink"
)

// filler is more than the smallest send buffer takes; how much that is depends
// on the kernel, so what was taken is counted.
var filler [16 << 10]byte

// fill makes P not writable.
func (s *stream) fill(p int) {
	hostlink.SetSendBuffer(p, 1)
	for {
		n, e := hostlink.Send(p, filler[:], 0)
		if e != 0 || n == 0 {
			return
		}
		s.filled += n
	}
}

// drain takes the filler out of E; program bytes behind it stay.
func (s *stream) drain() {
	buf := s.eng.chunk().B
	buf = buf[:cap(buf)]
	for s.filled > 0 {
		n, e := hostlink.Recv(s.fd, buf[:min(s.filled, len(buf))], 0)
		if e != 0 || n == 0 {
			break
		}
		s.filled -= n
	}
	s.filled = 0
}

// open makes P writable: the connection stands. p is P' or -1. Without the
// larger buffer the connection works, slowly; the next notified call has P' and
// makes up for it.
func (s *stream) open(p int) {
	if p >= 0 {
		s.raise(p)
	} else if got, ok := s.grab(); ok {
		s.raise(got)
		hostlink.CloseFD(got)
	} else {
		s.raiseDue = true
	}
	s.drain()
}

// raise gives both ends of the pair the buffers of a connection.
func (s *stream) raise(p int) {
	s.raiseDue = false
	hostlink.SetSendBuffer(p, s.pairBuffer())
	if o := s.tcp.Options(); o.RcvBufLocked {
		s.limitUnread(o)
	} else {
		hostlink.SetSendBuffer(s.fd, sndBuf)
	}
}

// pairBuffer is P's send buffer in bytes before the kernel doubles it. What a
// program limits itself to must not collect in the pair instead.
func (s *stream) pairBuffer() int {
	n, o := sndBuf, s.tcp.Options()
	if o.SndBufLocked {
		n = min(n, int(o.SndBuf/2))
	}
	if o.NotSentLowat != 0 {
		n = min(n, int(o.NotSentLowat/2))
	}
	return n
}
