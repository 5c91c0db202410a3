package engine

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// refusedSendFlags are those that udp(7) has and this does not: urgent data does
// not exist, and datagrams are not put together from several calls.
const refusedSendFlags = abi.MSG_OOB | abi.MSG_MORE

func (c *call) sendtoDgram(d *dgram) {
	m := message{name: c.ptr(4), nameLen: c.arg(5)}
	c.oneVector(&m)
	c.sendOne(d, &m, c.arg(3))
}

// oneVector sets a message up for the buffer of sendto and recvfrom.
func (c *call) oneVector(m *message) {
	m.room = int(min(c.ptr(2), maxIO))
	m.iov = append(c.eng.vectors[:0], hostlink.RemoteVec{Addr: c.ptr(1), Len: uint64(m.room)})
}

func (c *call) sendmsgDgram(d *dgram) {
	c.group()
	m, err := c.readMessage(c.ptr(1))
	if err != nil {
		c.ungroup()
		c.result(err)
		return
	}
	c.sendOne(d, &m, c.arg(2))
}

// sendOne executes sendto and sendmsg.
func (c *call) sendOne(d *dgram, m *message, flags int) {
	x, err := c.prepare(d, m, flags)
	if err != nil {
		c.sendFailed(d, err)
		return
	}
	n, again := c.missed(func(int) (uint64, bool) { return x.sum(0), true })
	if !again {
		n = len(x.payload)
		if err := c.transmit(d, &x, 0, n); err != nil {
			c.result(err)
			return
		}
	}
	if !c.reply(n) {
		c.unhear(n, x.sum(0))
	}
}

// maxSendmmsg bounds what one call sends, in bytes of payload: everybody else waits
// meanwhile. A byte of ancillary data counts as many, since all of it is looked at
// piece by piece.
const (
	maxSendmmsg  = 4 << 20
	controlCosts = 16
)

// sendmmsgDgram sends several messages; an error after the first one ends the
// call with the number sent, and the program meets the error in its next call. A
// call of very much ends early as well.
func (c *call) sendmmsgDgram(d *dgram) {
	count := int(min(uint64(uint32(c.ptr(2))), hostlink.RemoteVectors))
	var sum uint64
	again := func(n int) (uint64, bool) {
		var ok bool
		sum, ok = c.sumOfMessages(d, n)
		return sum, ok
	}
	if n, ok := c.missed(again); ok {
		c.lastLength(n)
		c.answerOnce(n, sum)
		return
	}
	c.eng.stack.Gather()
	n, sum, err := c.sendEach(d, count)
	c.eng.stack.EmitGathered()
	if err != nil {
		c.sendFailed(d, err)
		return
	}
	if n >= 0 {
		c.answerOnce(n, sum)
	}
}

// sendEach sends the messages of sendmmsg and returns what the call answers, with the
// sum of what was sent. -1: the call is over already.
func (c *call) sendEach(d *dgram, count int) (answer int, sum uint64, err error) {
	spent := 0
	for i := range count {
		if spent >= maxSendmmsg {
			return i, sum, nil
		}
		at := c.message(i)
		c.group()
		m, err := c.readMessage(at)
		var x departing
		if err == nil {
			x, err = c.prepare(d, &m, c.arg(3))
		}
		c.ungroup()
		if err == nil {
			err = c.transmit(d, &x, i, i+1)
		}
		if err == nil {
			next := x.sum(sum)
			spent += len(x.payload) + x.how.control*controlCosts
			err = c.writeInt(at+offMmsgLen, len(x.payload))
			switch {
			case err == nil:
				sum = next
			case !c.on.Valid(c.req.ID):
				c.unhear(i+1, next) // a signal, and this one has gone
				return -1, 0, nil
			}
		}
		switch {
		case err == nil:
		case i > 0:
			return i, sum, nil
		default:
			return 0, 0, err
		}
	}
	return count, sum, nil
}

// lastLength writes the length of the last of n messages, which may be missing.
func (c *call) lastLength(n int) {
	if n > 0 {
		if m, err := c.readMessage(c.message(n - 1)); err == nil {
			_ = c.writeInt(c.message(n-1)+offMmsgLen, m.room)
		}
	}
}

// message is where message i of sendmmsg lies.
func (c *call) message(i int) uint64 { return c.ptr(1) + uint64(i)*mmsghdrLen }

// sumOfMessages is the sum of the first n messages of sendmmsg.
func (c *call) sumOfMessages(d *dgram, n int) (sum uint64, ok bool) {
	for i := range n {
		m, err := c.readMessage(c.message(i))
		if err != nil {
			return 0, false
		}
		x := departing{}
		if x.to, err = c.destination(d, &m); err == nil {
			x.payload, err = c.gather(&m, c.eng.datagram[:])
		}
		if err != nil {
			return 0, false
		}
		sum = x.sum(sum)
	}
	return sum, true
}

// A departing is a datagram on its way out. Its payload is valid until the next.
type departing struct {
	payload []byte
	to      netip.AddrPort
	how     sendHow
}

func (x *departing) sum(before uint64) uint64 { return sumOf(before, x.payload, x.to) }

// errPending says that the socket's failure is what the call fails with.
var errPending = errors.New("pending error")

// sendFailed ends a call that has sent nothing.
func (c *call) sendFailed(d *dgram, err error) {
	if err != errPending {
		c.result(err)
	} else if e := d.failure; c.fail(e) {
		d.failure = 0
	}
}

// prepare reads one message, in the group of what was read of it already, and finds
// out whether it may go.
func (c *call) prepare(d *dgram, m *message, flags int) (x departing, err error) {
	c.group()
	defer c.ungroup()
	if flags&refusedSendFlags != 0 {
		return x, errno.EOPNOTSUPP
	}
	if d.wrShut {
		return x, errno.EPIPE
	}
	if d.failure != 0 {
		return x, errPending
	}
	if x.to, err = c.destination(d, m); err != nil {
		return x, err
	}
	if x.how, err = c.sendControl(m); err != nil {
		return x, err
	}
	d.pump() // what the program wrote before goes first
	limit := maxDatagram4
	if d.domain == sockopt.AFInet6 {
		limit = maxDatagram6
	}
	if m.room > limit {
		if err := c.look(); err != nil {
			return x, err
		}
		return x, d.udp.TooLarge(x.to)
	}
	if x.payload, err = c.gather(m, c.eng.datagram[:]); err != nil {
		return x, err
	}
	return x, c.look()
}

// transmit sends a datagram, after which the call's answer is certain. If it does not
// go, that is what it was before: 0 when nothing had gone.
func (c *call) transmit(d *dgram, x *departing, before, answer int) error {
	c.certain(answer)
	c.eng.theirTurn = false
	err := x.how.send(d, x.payload, x.to)
	d.noteBound()
	switch {
	case err == nil:
	case before > 0:
		c.certain(before)
	default:
		c.uncertain()
	}
	return err
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
	tos, ttl, segment int // -1: as the socket has it
	dontFrag          int // -1: as the socket has it
	src               netip.Addr
	control           int    // bytes of ancillary data
	given             bool   // options are valid
	options           string // of IPv4, see sockopt.CompileIPOptions
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
	{abi.IPPROTO_IPV6, abi.IPV6_DONTFRAG}: dontFragControl,
	{abi.IPPROTO_IP, abi.IP_RETOPTS}:      optionsControl,
	{abi.IPPROTO_UDP, abi.UDP_SEGMENT}:    segmentControl,
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

// segmentControl is the size of the datagrams that the message is cut into.
func segmentControl(h *sendHow, b []byte) error {
	if len(b) != 2 {
		return errno.EINVAL
	}
	h.segment = int(binary.NativeEndian.Uint16(b))
	return nil
}

func dontFragControl(h *sendHow, b []byte) error {
	if len(b) != 4 {
		return errno.EINVAL
	}
	return intControl(&h.dontFrag, b, 0, 1)
}

// optionsControl is what sendControl compiles when it knows who sends. More than a
// header holds is left out.
func optionsControl(h *sendHow, b []byte) error {
	h.given, h.options = true, string(b[:min(len(b), 40)])
	return nil
}

// pktInfo4 is struct in_pktinfo: interface, source address, a field for
// receiving.
func pktInfo4(h *sendHow, b []byte) error {
	if len(b) != 12 {
		return errno.EINVAL
	}
	h.src = netip.AddrFrom4([4]byte(b[4:8]))
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
	if src := h.src.Unmap(); src.IsValid() && !src.IsUnspecified() && !d.eng.stack.IsLocal(src) {
		if src.Is6() || src.IsMulticast() || src.As4()[0] == 0 || src.As4() == [4]byte{255, 255, 255, 255} {
			return errno.EINVAL
		}
		return errno.ENETUNREACH
	}
	o := d.udp.Options()
	size := h.segment
	if size < 0 {
		size = int(o.Rare().UDPSegment)
	}
	if size > 0 && len(p) > size {
		d.eng.stack.Gather()
		defer d.eng.stack.EmitGathered()
	}
	if h.tos < 0 && h.ttl < 0 && h.dontFrag < 0 && !h.given {
		return d.udp.SendFrom(h.src, p, to, size)
	}
	saved := *o
	if h.tos >= 0 {
		o.TOS, o.TClass = uint8(h.tos), uint8(h.tos)
	}
	if h.ttl >= 0 {
		o.TTL, o.HopLimit = int16(h.ttl), int16(h.ttl)
	}
	if h.dontFrag >= 0 {
		o.SetRare(func(r *sockopt.Rare) { r.DontFrag6 = h.dontFrag != 0 })
	}
	if h.given {
		o.SetRare(func(r *sockopt.Rare) { r.IPOptions = h.options })
		d.udp.Changed(sockopt.IPOptions)
		defer d.udp.Changed(sockopt.IPOptions)
	}
	err := d.udp.SendFrom(h.src, p, to, size)
	*o = saved
	return err
}

func (c *call) sendControl(m *message) (sendHow, error) {
	how := sendHow{tos: -1, ttl: -1, segment: -1, dontFrag: -1}
	raw, err := c.readControl(m)
	if err != nil || raw == nil {
		return how, err
	}
	how.control = len(raw)
	err = eachControl(raw, func(level, typ int, data []byte) error {
		f, ok := sendControls[[2]int{level, typ}]
		if !ok {
			return errno.EINVAL
		}
		return f(&how, data)
	})
	if err == nil && how.given {
		err = c.withPrivilege(func(p sockopt.Privilege) error {
			b, err := sockopt.CompileIPOptions([]byte(how.options), p.NetRaw)
			how.options = string(b)
			return err
		})
	}
	return how, err
}
