package engine

// The error queue (IP_RECVERR, IPV6_RECVERR): recvmsg(2) and its like with
// MSG_ERRQUEUE, which never wait. That of TCP holds what ended an attempt to
// connect.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Values of ee_origin in struct sock_extended_err (linux/errqueue.h).
const (
	originLocal = 1
	originICMP  = 2
	originICMP6 = 3
)

// receiveError hands over the oldest error and takes it off the queue, if the
// caller heard.
func (c *call) receiveError(d *dgram) {
	d.pump() // what was written before may have failed
	e, ok := d.udp.FirstError()
	if !ok {
		c.fail(errno.EAGAIN)
		return
	}
	n, err := givers[c.req.Nr](c, d.errorParcel(d.udp.Options(), d.udp.LocalAddr().Port(), &e))
	switch {
	case err != nil:
		c.result(err)
		return
	case !c.reply(n):
		return
	}
	d.udp.DropError()
	if _, more := d.udp.FirstError(); !more && c.p >= 0 {
		d.origins.keepLast(hostlink.QueuedIn(c.p))
		_ = d.skipWakes(c.p) // it has done its work
	}
	d.showErrors()
}

// receiveRefusal is receiveError of TCP.
func (c *call) receiveRefusal(s *stream) {
	e := s.tcp.FirstError()
	if e == nil {
		c.fail(errno.EAGAIN)
		return
	}
	x := s.errorParcel(s.tcp.Options(), s.tcp.LocalAddr().Port(), &udp.QueuedError{
		Errno: e.Errno, ICMP: true, Type: e.Type, Code: e.Code, Info: e.Info, To: e.To, At: e.At, Offender: e.Offender,
		Marks: udp.Marks{TTL: e.TTL, TOS: e.TOS}, Text: e.Text,
	})
	n, err := givers[c.req.Nr](c, x)
	if err != nil {
		c.result(err)
	} else if c.reply(n) {
		s.tcp.DropError()
	}
}

// errorParcel is ip_recv_error and ipv6_recv_error of Linux: the name is where the
// datagram went, the payload what is known of it, and the ancillary data has the
// error and who sent it.
func (s *sock) errorParcel(o *sockopt.Options, port uint16, e *udp.QueuedError) *parcel {
	x := &parcel{name: e.To, payload: e.Text, flags: abi.MSG_ERRQUEUE}
	if s.domain == sockopt.AFInet6 {
		x.name = netip.AddrPortFrom(mapped(e.To.Addr()), e.To.Port())
	}
	if e.ICMP {
		at := e.At
		if s.domain == sockopt.AFInet6 {
			at = mapped(at)
		}
		x.control = s.addressControl(nil, o, netip.AddrPortFrom(at, port), netip.IPv4Unspecified(), true, e.Marks)
	}
	level, typ := abi.IPPROTO_IP, abi.IP_RECVERR
	if s.domain == sockopt.AFInet6 {
		level, typ = abi.IPPROTO_IPV6, abi.IPV6_RECVERR
	}
	x.control = appendControl(x.control, level, typ, s.extendedError(e))
	return x
}

// extendedError is struct sock_extended_err with the offender's address behind.
func (s *sock) extendedError(e *udp.QueuedError) []byte {
	from := byte(originLocal)
	switch {
	case e.ICMP && e.To.Addr().Is4():
		from = originICMP
	case e.ICMP:
		from = originICMP6
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(e.Errno))
	b = append(b, from, e.Type, e.Code, 0)
	b = binary.NativeEndian.AppendUint32(b, e.Info)
	b = binary.NativeEndian.AppendUint32(b, 0)
	size := sockaddrInLen
	if s.domain == sockopt.AFInet6 {
		size = sockaddrIn6Len
	}
	if !e.ICMP || !e.Offender.IsValid() {
		return append(b, make([]byte, size)...)
	}
	offender := e.Offender.WithZone("")
	if s.domain == sockopt.AFInet6 {
		offender = mapped(offender)
	}
	return appendSockaddr(b, s.domain, netip.AddrPortFrom(offender, 0))
}
