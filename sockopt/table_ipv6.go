package sockopt

import (
	"math"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// ipv6Rows are the options of level IPPROTO_IPV6 (ipv6(7), RFC 3493, RFC 3542,
// linux/in6.h) on sockets of domain AF_INET6.
var ipv6Rows = at(protoIPv6, AnySocket, []Row{
	{ID: HopLimit, Name: "IPV6_UNICAST_HOPS", Number: 16, Unit: "hops", Default: "net.ipv6.conf.default.hop_limit", Min: -1, Max: 255,
		set: func(c *call, v int) error { c.o.HopLimit = int16(v); return nil }, get: getHopLimit, Note: "-1 for the tunable"},
	{ID: MulticastHops, Name: "IPV6_MULTICAST_HOPS", Number: 18, Unit: "hops", Default: "1",
		setBytes: setMulticastHops, get: func(c *call) (int, error) { return int(c.o.MulticastHops), nil }, Note: "0..255, or -1 for 1; setting it on TCP is ENOPROTOOPT"},
	{ID: MulticastLoop6, Name: "IPV6_MULTICAST_LOOP", Number: 19, Codec: Bool, Default: "1", Max: 1,
		flag: func(o *Options) *bool { return &o.MulticastLoop6 }, Note: "0 or 1; kept, no group can be joined"},
	{ID: MTUDiscover6, Name: "IPV6_MTU_DISCOVER", Number: 23, Default: "1", Max: PMTUDiscOmit,
		set: func(c *call, v int) error { c.o.MTUDiscover6 = uint8(v); return nil }, get: func(c *call) (int, error) { return int(c.o.MTUDiscover6), nil }},
	{ID: MTU6, Name: "IPV6_MTU", Number: 24, Unit: "bytes", setBytes: setFragSize6, get: getPathMTU,
		Note: "set: the largest packet that UDP sends whole, 0 for the path's, at least 1280; read: the path's, ENOTCONN before connect"},
	{ID: DontFrag6, Name: "IPV6_DONTFRAG", Number: 62, Codec: Bool, Default: "0", setBytes: setDontFrag6, get: rareValue(func(r *Rare) int { return truth(r.DontFrag6) }),
		Note: "what does not fit the path is EMSGSIZE; also as ancillary data of a send; a value of less than four bytes is 0"},
	{ID: RecvErr6, Name: "IPV6_RECVERR", Number: 25, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.RecvErr6 }, Note: "as IP_RECVERR"},
	{ID: V6Only, Name: "IPV6_V6ONLY", Number: 26, Codec: Bool, Default: "0", set: setV6Only, get: getV6Only,
		Note: "EINVAL once the socket has a port; 1 after bind to an IPv6 address"},
	{ID: MulticastAll6, Name: "IPV6_MULTICAST_ALL", Number: 29, Codec: Bool, Default: "1",
		flag: func(o *Options) *bool { return &o.MulticastAll6 }, Note: "kept; no group can be joined"},
	{ID: PktInfo6, Name: "IPV6_RECVPKTINFO", Number: 49, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.PktInfo6 }},
	{ID: StickyPktInfo6, Name: "IPV6_PKTINFO", Number: 50, Codec: Struct, Access: WriteOnly, Lasting: pktInfo6Len, Default: "none", setBytes: setSticky6,
		Note: "struct in6_pktinfo; source address and interface of what UDP sends over IPv6, source address of a connect; zeros for none; bind and ancillary data of a send come first"},
	{ID: TClass, Name: "IPV6_TCLASS", Number: 67, Default: "0", Min: -1, Max: 255, set: setTClass, get: func(c *call) (int, error) { return int(c.o.TClass), nil },
		Note: "-1 for 0; on TCP the ECN bits stay clear"},
	{ID: MinHopCount, Name: "IPV6_MINHOPCOUNT", Number: 73, Unit: "hops", Default: "0", Max: 255,
		set: func(c *call, v int) error { c.o.MinHopCount = uint8(v); return nil }, get: func(c *call) (int, error) { return int(c.o.MinHopCount), nil },
		Note: "RFC 5082"},
	{ID: UnicastIf6, Name: "IPV6_UNICAST_IF", Number: 76, Default: "0", setBytes: setUnicastIf(func(r *Rare) *int32 { return &r.UnicastIf6 }), get: getUnicastIf(func(r *Rare) *int32 { return &r.UnicastIf6 }),
		Note: "as IP_UNICAST_IF, over IPv6"},
	{ID: FreeBind6, Name: "IPV6_FREEBIND", Number: 78, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.FreeBind }, Note: "the same as IP_FREEBIND"},
})

func setFragSize6(c *call, val []byte) error {
	v, err := decodeInt(Int, val)
	if err != nil || v != 0 && v < leastMTU6 {
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.FragSize6 = int32(v) })
	return nil
}

// leastMTU6 is what every link of IPv6 carries: RFC 8200 section 5.
const leastMTU6 = 1280

func setDontFrag6(c *call, val []byte) error {
	v, err := decodeInt(Int, val)
	c.o.SetRare(func(r *Rare) { r.DontFrag6 = err == nil && v != 0 })
	return nil
}

func getHopLimit(c *call) (int, error) {
	if c.o.HopLimit < 0 {
		return int(c.p.Tunables.HopLimit), nil
	}
	return int(c.o.HopLimit), nil
}

func setMulticastHops(c *call, val []byte) error {
	if _, typ, _ := c.t.Kind(); typ == SockStream {
		return errno.ENOPROTOOPT
	}
	v, err := decodeInt(Int, val)
	if err != nil || v < -1 || v > math.MaxUint8 {
		return errno.EINVAL
	}
	if v == -1 {
		v = 1
	}
	c.o.MulticastHops = uint8(v)
	return nil
}

func setV6Only(c *call, v int) error {
	if c.t.LocalAddr().Port() != 0 {
		return errno.EINVAL
	}
	c.o.V6Only = v != 0
	return nil
}

// getV6Only shows what Linux makes of a socket bound to one IPv6 address: it
// cannot take IPv4 any more.
func getV6Only(c *call) (int, error) {
	if a := c.t.LocalAddr().Addr(); !c.t.Connected() && a.Is6() && !a.Is4In6() && !a.IsUnspecified() {
		return 1, nil
	}
	return truth(c.o.V6Only), nil
}

func setTClass(c *call, v int) error {
	class := uint8(max(v, 0))
	if _, typ, _ := c.t.Kind(); typ == SockStream {
		class = class&^ecnMask | c.o.TClass&ecnMask
	}
	c.o.TClass = class
	return nil
}
