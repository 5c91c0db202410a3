package engine

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// refusedSendFlags are those that udp(7) has and this does not: urgent data does
// not exist, and datagrams are not put together from several calls.
var refusedSendFlags = map[int]errno.Errno{
	abi.MSG_OOB:  errno.EOPNOTSUPP,
	abi.MSG_MORE: errno.EOPNOTSUPP,
}

func (c *call) sendtoDgram(d *dgram) {
	m := message{name: c.ptr(4), nameLen: c.arg(5)}
	c.oneVector(&m)
	n, err := c.send(d, &m, c.arg(3))
	c.sent(n, err)
}

// oneVector sets a message up for the buffer of sendto and recvfrom.
func (c *call) oneVector(m *message) {
	m.room = int(min(c.ptr(2), maxIO))
	m.iov = append(c.eng.vectors[:0], hostlink.RemoteVec{Addr: c.ptr(1), Len: uint64(m.room)})
}

func (c *call) sendmsgDgram(d *dgram) {
	m, err := c.readMessage(c.ptr(1))
	if err != nil {
		c.result(err)
		return
	}
	n, err := c.send(d, &m, c.arg(2))
	c.sent(n, err)
}

// sendmmsgDgram sends several messages; an error after the first one ends the
// call with the number sent, and the program meets the error in its next call.
func (c *call) sendmmsgDgram(d *dgram) {
	count := int(min(uint64(uint32(c.ptr(2))), hostlink.RemoteVectors))
	for i := range count {
		at := c.ptr(1) + uint64(i)*mmsghdrLen
		m, err := c.readMessage(at)
		n := 0
		if err == nil {
			n, err = c.send(d, &m, c.arg(3))
		}
		if err == nil {
			err = c.writeInt(at+offMmsgLen, n)
		}
		if err != nil {
			if i > 0 {
				c.reply(i)
			} else {
				c.result(err)
			}
			return
		}
	}
	c.reply(count)
}

func (c *call) sent(n int, err error) {
	if err != nil {
		c.result(err)
		return
	}
	c.reply(n)
}

// send sends one message.
func (c *call) send(d *dgram, m *message, flags int) (int, error) {
	for flag, e := range refusedSendFlags {
		if flags&flag != 0 {
			return 0, e
		}
	}
	if d.wrShut {
		return 0, errno.EPIPE
	}
	if e := d.failure; e != 0 {
		d.failure = 0
		return 0, e
	}
	to, err := c.destination(d, m)
	if err != nil {
		return 0, err
	}
	how, err := c.sendControl(m)
	if err != nil {
		return 0, err
	}
	d.pump() // what the program wrote before goes first
	limit := maxDatagram4
	if d.domain == sockopt.AFInet6 {
		limit = maxDatagram6
	}
	if m.room > limit {
		return 0, d.udp.TooLarge(to)
	}
	payload, err := c.gather(m, c.eng.datagram[:])
	if err != nil {
		return 0, err
	}
	err = how.send(d, payload, to)
	d.noteBound()
	return len(payload), err
}

// destination reads the address of a message; zero means the connected peer.
func (c *call) destination(d *dgram, m *message) (netip.AddrPort, error) {
	if m.name == 0 || m.nameLen == 0 {
		return netip.AddrPort{}, nil
	}
	sa, err := c.readSockaddr(m.name, m.nameLen)
	if err != nil {
		return netip.AddrPort{}, err
	}
	// udp(7) of Linux: AF_UNSPEC counts as AF_INET, or as no address on an
	// AF_INET6 socket.
	if family, ok := sockaddrFamily(sa); ok && family == afUnspec {
		if d.domain == sockopt.AFInet6 {
			return netip.AddrPort{}, nil
		}
		binary.NativeEndian.PutUint16(sa, sockopt.AFInet)
	}
	return parseSockaddr(sa, d.domain, true)
}

// sendHow is what ancillary data says about one datagram.
type sendHow struct {
	tos, ttl int // -1: as the socket has it
	src      netip.Addr
}

// sendControls are the pieces of ancillary data that a program may send along,
// by level and type (ip(7), ipv6(7), RFC 3542).
var sendControls = map[[2]int]func(*sendHow, []byte) error{
	{abi.IPPROTO_IP, abi.IP_TOS}:          func(h *sendHow, b []byte) error { return intControl(&h.tos, b, 0, 255) },
	{abi.IPPROTO_IP, abi.IP_TTL}:          func(h *sendHow, b []byte) error { return intControl(&h.ttl, b, 1, 255) },
	{abi.IPPROTO_IP, abi.IP_PKTINFO}:      pktInfo4,
	{abi.IPPROTO_IPV6, abi.IPV6_TCLASS}:   func(h *sendHow, b []byte) error { return intControl(&h.tos, b, -1, 255) },
	{abi.IPPROTO_IPV6, abi.IPV6_HOPLIMIT}: func(h *sendHow, b []byte) error { return intControl(&h.ttl, b, -1, 255) },
	{abi.IPPROTO_IPV6, abi.IPV6_PKTINFO}:  pktInfo6,
}

func intControl(to *int, b []byte, lo, hi int) error {
	v := 0
	switch len(b) {
	case 4:
		v = int(int32(binary.NativeEndian.Uint32(b)))
	case 1:
		v = int(b[0])
	default:
		return errno.EINVAL
	}
	if v < lo || v > hi {
		return errno.EINVAL
	}
	*to = v
	return nil
}

// pktInfo4 is struct in_pktinfo: interface, source address, a field for
// receiving.
func pktInfo4(h *sendHow, b []byte) error {
	if len(b) != 12 {
		return errno.EINVAL
	}
	if a := netip.AddrFrom4([4]byte(b[4:8])); !a.IsUnspecified() {
		h.src = a
	}
	return nil
}

// pktInfo6 is struct in6_pktinfo: source address, interface.
func pktInfo6(h *sendHow, b []byte) error {
	if len(b) < 20 {
		return errno.EINVAL
	}
	if a := netip.AddrFrom16([16]byte(b[:16])); !a.IsUnspecified() {
		h.src = a
	}
	return nil
}

// send transmits one datagram. What ancillary data says holds for this one only.
func (h *sendHow) send(d *dgram, p []byte, to netip.AddrPort) error {
	if h.src.IsValid() && !d.eng.stack.IsLocal(h.src.Unmap()) {
		return errno.EINVAL
	}
	if h.tos < 0 && h.ttl < 0 {
		return d.udp.SendTo(p, to)
	}
	o := d.udp.Options()
	saved := *o
	if h.tos >= 0 {
		o.TOS, o.TClass = uint8(h.tos), uint8(h.tos)
	}
	if h.ttl >= 0 {
		o.TTL, o.HopLimit = int16(h.ttl), int16(h.ttl)
	}
	err := d.udp.SendTo(p, to)
	*o = saved
	return err
}

func (c *call) sendControl(m *message) (sendHow, error) {
	how := sendHow{tos: -1, ttl: -1}
	raw, err := c.readControl(m)
	if err != nil || raw == nil {
		return how, err
	}
	return how, eachControl(raw, func(level, typ int, data []byte) error {
		f, ok := sendControls[[2]int{level, typ}]
		if !ok {
			return errno.EINVAL
		}
		return f(&how, data)
	})
}
