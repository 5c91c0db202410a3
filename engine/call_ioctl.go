package engine

// Interface requests of netdevice(7) about IPv4 addresses, and tcp(7)'s about
// what is not acknowledged. Linux answers the former on AF_INET sockets only;
// the others are native.

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// ifaceAddrs take the asked address out of an interface's prefix.
var ifaceAddrs = map[int]func(netip.Prefix) netip.Addr{
	abi.SIOCGIFADDR:    netip.Prefix.Addr,
	abi.SIOCGIFDSTADDR: netip.Prefix.Addr,
	abi.SIOCGIFNETMASK: netmask,
	abi.SIOCGIFBRDADDR: broadcast,
}

func (c *call) ioctlStream(s *stream) {
	switch c.arg(1) {
	case abi.SIOCOUTQ:
		c.outQueue(s, func(unacked, unsent int) int { return unacked })
	case abi.SIOCOUTQNSD:
		c.outQueue(s, func(unacked, unsent int) int { return unsent })
	default:
		c.ifaceRequest()
	}
}

func (c *call) ioctlDgram(d *dgram) {
	switch c.arg(1) {
	case abi.SIOCOUTQ, abi.SIOCOUTQNSD:
		c.result(c.writeInt(c.ptr(2), 0)) // datagrams leave at once
	default:
		c.ifaceRequest()
	}
}

func (c *call) outQueue(s *stream, pick func(unacked, unsent int) int) {
	if s.tcp.State() == tcp.StateListen {
		c.fail(errno.EINVAL)
		return
	}
	unacked, unsent := s.queuedOut()
	c.result(c.writeInt(c.ptr(2), pick(unacked, unsent)))
}

func (c *call) ifaceRequest() {
	pick, ok := ifaceAddrs[c.arg(1)]
	if !ok {
		c.resume()
		return
	}
	var ifreq [abi.IFNAMSIZ + sockaddrInLen]byte
	if err := c.read(c.ptr(2), ifreq[:abi.IFNAMSIZ]); err != nil {
		c.result(err)
		return
	}
	name, _, _ := bytes.Cut(ifreq[:abi.IFNAMSIZ], []byte{0})
	prefix, err := c.eng.ifaceIPv4(string(name))
	if err != nil {
		c.result(err)
		return
	}
	sa := appendSockaddr(ifreq[:abi.IFNAMSIZ], sockopt.AFInet, netip.AddrPortFrom(pick(prefix), 0))
	c.result(c.write(c.ptr(2)+abi.IFNAMSIZ, sa[abi.IFNAMSIZ:]))
}

// ifaceIPv4 is the first IPv4 address of an interface of the sandbox, as its
// kernel knows it: a device without one is EADDRNOTAVAIL, none at all ENODEV.
func (e *engine) ifaceIPv4(name string) (netip.Prefix, error) {
	_, p, no := e.helper.iface(name)
	switch {
	case no != 0:
		return p, errno.ENODEV
	case !p.IsValid():
		return p, errno.EADDRNOTAVAIL
	}
	return p, nil
}

func netmask(p netip.Prefix) netip.Addr {
	return bits4(^uint32(0) << (32 - p.Bits()))
}

func broadcast(p netip.Prefix) netip.Addr {
	if p.Addr().IsLoopback() || p.Bits() >= 31 {
		return netip.IPv4Unspecified() // such links have none
	}
	a := p.Addr().As4()
	return bits4(binary.BigEndian.Uint32(a[:]) | 1<<(32-p.Bits()) - 1)
}

func bits4(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}
