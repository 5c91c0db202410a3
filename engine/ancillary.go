package engine

// Ancillary data of received datagrams: socket(7), ip(7), ipv6(7), RFC 3542. The
// order is Linux's.

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// parcelOf is a datagram as a receiving call gives it.
func (c *call) parcelOf(o origin, payload []byte) *parcel {
	x := &c.eng.parcel
	*x = parcel{name: o.from, payload: payload}
	if d := c.s.dgram; o.to.IsValid() {
		x.control = runControl(d.stampControl(nil, &o), &o)
		at := netip.AddrPortFrom(o.to, d.udp.LocalAddr().Port())
		x.control = d.addressControl(x.control, d.udp.Options(), at, at.Addr(), o.marked, o.marks)
	}
	return x
}

// stampControl is what level SOL_SOCKET adds.
func (d *dgram) stampControl(b []byte, o *origin) []byte {
	r := d.udp.Options().Rare()
	if o.at != 0 {
		b = appendStamps(b, r, o.at)
	}
	if r.Receive&sockopt.AncOverflow != 0 && o.drops != 0 {
		b = appendControl(b, abi.SOL_SOCKET, abi.SO_RXQ_OVFL, binary.NativeEndian.AppendUint32(nil, o.drops))
	}
	return b
}

// appendStamps adds the time at which something came, in nanoseconds of the wall
// clock, in the forms that were asked for. Of the three times of SO_TIMESTAMPING
// the first is that of software.
func appendStamps(b []byte, r *sockopt.Rare, at int64) []byte {
	sec, part := uint64(at/int64(time.Second)), uint64(at%int64(time.Second))
	if n := r.StampingOption(); r.Stamp != 0 || n != 0 {
		v := binary.NativeEndian.AppendUint64(nil, sec)
		if r.Stamp != 0 {
			unit := uint64(1)
			if r.Stamp == sockopt.StampMicro || r.Stamp == sockopt.StampMicroNew {
				unit = uint64(time.Microsecond)
			}
			b = appendControl(b, abi.SOL_SOCKET, int(r.Stamp), binary.NativeEndian.AppendUint64(v, part/unit))
		}
		if n != 0 {
			v = append(binary.NativeEndian.AppendUint64(v, part), make([]byte, 32)...)
			b = appendControl(b, abi.SOL_SOCKET, n, v)
		}
	}
	return b
}

// addressControl is what the levels of IP add about a packet that was sent to at;
// spec is the source that an answer would have, by IP_PKTINFO.
// As on Linux a packet of IPv4 on an AF_INET6 socket has the data of level
// IPPROTO_IP, and IPV6_PKTINFO.
func (s *sock) addressControl(b []byte, o *sockopt.Options, at netip.AddrPort, spec netip.Addr, marked bool, m udp.Marks) []byte {
	asks := o.Rare().Receive
	if !marked {
		asks &^= sockopt.AncTTL | sockopt.AncTOS | sockopt.AncHopLimit | sockopt.AncTClass | sockopt.AncHopLimit2292
	}
	if asks == 0 && !o.PktInfo4 && !o.PktInfo6 {
		return b
	}
	to := at.Addr().Unmap()
	index := uint32(s.eng.ifindexOf(at.Addr()))
	if o.PktInfo6 && s.domain == sockopt.AFInet6 {
		a := at.Addr().As16()
		b = appendControl(b, abi.IPPROTO_IPV6, abi.IPV6_PKTINFO, binary.NativeEndian.AppendUint32(a[:], index))
	}
	if to.Is4() {
		if o.PktInfo4 {
			from, a := spec.Unmap().As4(), to.As4()
			info := binary.NativeEndian.AppendUint32(nil, index)
			b = appendControl(b, abi.IPPROTO_IP, abi.IP_PKTINFO, append(append(info, from[:]...), a[:]...))
		}
		if asks&sockopt.AncTTL != 0 {
			b = appendIntControl(b, abi.IPPROTO_IP, abi.IP_TTL, m.TTL)
		}
		if asks&sockopt.AncTOS != 0 {
			b = appendControl(b, abi.IPPROTO_IP, abi.IP_TOS, []byte{m.TOS})
		}
		b = optionControl(b, asks, m.Options)
		if asks&sockopt.AncOrigDst != 0 {
			sa := appendSockaddr(nil, sockopt.AFInet, netip.AddrPortFrom(to, at.Port()))
			b = appendControl(b, abi.IPPROTO_IP, abi.IP_ORIGDSTADDR, sa)
		}
		return b
	}
	if asks&sockopt.AncHopLimit != 0 {
		b = appendIntControl(b, abi.IPPROTO_IPV6, abi.IPV6_HOPLIMIT, m.TTL)
	}
	if asks&sockopt.AncTClass != 0 {
		b = appendIntControl(b, abi.IPPROTO_IPV6, abi.IPV6_TCLASS, m.TOS)
	}
	if asks&sockopt.AncHopLimit2292 != 0 {
		b = appendIntControl(b, abi.IPPROTO_IPV6, abi.IPV6_2292HOPLIMIT, m.TTL)
	}
	if asks&sockopt.AncOrigDst6 != 0 {
		b = appendControl(b, abi.IPPROTO_IPV6, abi.IPV6_ORIGDSTADDR, appendSockaddr(nil, sockopt.AFInet6, at))
	}
	return b
}

// optionControl is what IP_RECVOPTS and IP_RETOPTS ask for: the options of the
// packet, and those for an answer.
func optionControl(b []byte, asks sockopt.Ancillary, options string) []byte {
	if options == "" {
		return b
	}
	if asks&sockopt.AncOptions != 0 {
		b = appendControl(b, abi.IPPROTO_IP, abi.IP_RECVOPTS, []byte(options))
	}
	if asks&sockopt.AncEcho != 0 {
		if echo, err := sockopt.CompileIPOptions(wire.EchoOptions([]byte(options)), true); err == nil {
			b = appendControl(b, abi.IPPROTO_IP, abi.IP_RETOPTS, echo)
		}
	}
	return b
}

func appendIntControl(b []byte, level, typ int, v uint8) []byte {
	return appendControl(b, level, typ, binary.NativeEndian.AppendUint32(nil, uint32(v)))
}
