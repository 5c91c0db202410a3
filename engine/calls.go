package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A handler executes a call on a socket of the sandbox, by the socket's kind.
type handler struct {
	stream func(*call, *stream)
	dgram  func(*call, *dgram)
}

// handlers are the calls whose first argument is a descriptor. A call on
// anything but a socket of ours goes on in the kernel.
var handlers = map[int32]handler{
	abi.SYS_BIND:        {(*call).bindStream, (*call).bindDgram},
	abi.SYS_LISTEN:      {(*call).listen, (*call).notSupported},
	abi.SYS_ACCEPT:      {(*call).accept, (*call).notSupported},
	abi.SYS_ACCEPT4:     {(*call).accept4, (*call).notSupported},
	abi.SYS_CONNECT:     {(*call).connectStream, (*call).connectDgram},
	abi.SYS_GETSOCKNAME: {(*call).nameStream, (*call).nameDgram},
	abi.SYS_GETPEERNAME: {(*call).peerStream, (*call).peerDgram},
	abi.SYS_GETSOCKOPT:  {(*call).getOptStream, (*call).getOptDgram},
	abi.SYS_SETSOCKOPT:  {(*call).setOptStream, (*call).setOptDgram},
	abi.SYS_SHUTDOWN:    {(*call).shutdownStream, (*call).shutdownDgram},
	abi.SYS_SENDTO:      {(*call).sendtoStream, (*call).sendtoDgram},
	abi.SYS_SENDMSG:     {(*call).sendmsgStream, (*call).sendmsgDgram},
	abi.SYS_SENDMMSG:    {(*call).sendmmsgStream, (*call).sendmmsgDgram},
	abi.SYS_RECVFROM:    {(*call).recvStream, (*call).recvfromDgram},
	abi.SYS_RECVMSG:     {(*call).recvStream, (*call).recvmsgDgram},
	abi.SYS_RECVMMSG:    {(*call).recvStream, (*call).recvmmsgDgram},
	abi.SYS_IOCTL:       {(*call).ioctlStream, (*call).ioctlDgram},
}

// intercept is one attached listener.
type intercept struct {
	*hostlink.Notifier
	gen   uint32
	taken bool // next was taken off the listener and is to be served
	next  call
}

// serve takes one call that waits at a listener. Only one: before the next,
// what the program has done to its descriptors since then must be seen, such as
// the close of a listening socket before a connect to its port.
func (e *engine) serve(on *intercept) {
	if !on.taken && !e.take(on) {
		return
	}
	on.taken = false
	c := &e.current
	*c = on.next
	c.dispatch()
	c.release()
	c.forget()
}

// take takes the next call off a listener, for serve.
func (e *engine) take(on *intercept) bool {
	c := &on.next
	*c = call{eng: e, on: on.Notifier, p: -1}
	var req *hostlink.Notification
	req, c.note = e.place()
	if on.Recv(req) != 0 {
		c.forget()
		return false
	}
	c.req, on.taken = *req, true
	e.calls++
	return true
}

func (c *call) dispatch() {
	if c.req.TID == 0 {
		// A caller that this process cannot see: it left the PID namespaces
		// below ours, and none of its arguments can be read.
		c.fail(errno.ENOSYS)
		return
	}
	if c.req.Nr == abi.SYS_SOCKET {
		c.socket()
		return
	}
	if c.req.Nr == abi.SYS_POLL || c.req.Nr == abi.SYS_PPOLL {
		c.poll()
		return
	}
	h, ok := handlers[c.req.Nr]
	if !ok {
		c.fail(errno.ENOSYS)
		return
	}
	switch e := c.grab(c.arg(0)); e {
	case 0:
	case abi.ESRCH:
		return // the caller is gone, and with it the call
	case abi.EMFILE, abi.ENFILE:
		c.fail(errno.ENOBUFS) // the engine's limit, not the caller's
		return
	default:
		c.fail(errno.Errno(e))
		return
	}
	cookie, ok := hostlink.SocketCookie(c.p)
	if !ok {
		c.resume() // no socket; the kernel knows the error
		return
	}
	s := c.eng.known(cookie)
	if s == nil {
		c.resume()
		return
	}
	c.s = s
	s.seen(c)
	if s.stream != nil {
		h.stream(c, s.stream)
	} else {
		h.dgram(c, s.dgram)
	}
}

// notSupported is what a datagram socket says to listen and accept.
func (c *call) notSupported(*dgram) { c.fail(errno.EOPNOTSUPP) }
