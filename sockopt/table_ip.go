package sockopt

import (
	"math"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const ecnMask = 3 // the bits of TOS and traffic class that RFC 3168 gives to ECN

// ipRows are the options of level IPPROTO_IP (ip(7), linux/in.h), which sockets
// of domain AF_INET6 have as well.
var ipRows = at(protoIP, AnySocket, []Row{
	{ID: TOS, Name: "IP_TOS", Number: 1, Codec: IntOrByte, Default: "0", set: setTOS, get: func(c *call) (int, error) { return int(c.o.TOS), nil },
		Note: "on TCP the ECN bits stay clear; sets SO_PRIORITY as well"},
	{ID: TTL, Name: "IP_TTL", Number: 2, Codec: IntOrByte, Unit: "hops", Default: "ip_default_ttl", setBytes: nonEmpty(setTTL), get: getTTL, Note: "1..255, or -1 for the tunable"},
	{ID: IPOptions, Name: "IP_OPTIONS", Number: 4, Codec: Struct, Default: "empty", NotInherited: true, Weighs: true, setBytes: setIPOptions, getBytes: getIPOptions,
		Note: "at most 40 bytes; record route, timestamp and router alert; source routes (else EPERM) and others (EINVAL) with CAP_NET_RAW; the time of a timestamp is not since midnight, and is marked so; a connection that came over a source route has the way back"},
	{ID: PktInfo4, Name: "IP_PKTINFO", Number: 8, Codec: BoolOrByte, Default: "0", flag: func(o *Options) *bool { return &o.PktInfo4 }},
	{ID: MTUDiscover, Name: "IP_MTU_DISCOVER", Number: 10, Codec: IntOrByte, Default: "1", Max: PMTUDiscOmit,
		set: func(c *call, v int) error { c.o.MTUDiscover = uint8(v); return nil }, get: func(c *call) (int, error) { return int(c.o.MTUDiscover), nil }},
	{ID: RecvErr, Name: "IP_RECVERR", Number: 11, Codec: BoolOrByte, Default: "0", flag: func(o *Options) *bool { return &o.RecvErr },
		Note: "ICMP errors are queued for MSG_ERRQUEUE, in at most SO_RCVBUF bytes; poll shows POLLIN for them, not POLLERR. On TCP the call that waits or the next one has them at once, and the connection goes on"},
	{ID: UnicastIf4, Name: "IP_UNICAST_IF", Number: 50, Codec: IntOrByte, Default: "0", setBytes: setUnicastIf(func(r *Rare) *int32 { return &r.UnicastIf4 }), get: getUnicastIf(func(r *Rare) *int32 { return &r.UnicastIf4 }),
		Note: "interface of what UDP sends over IPv4 to one host, in network byte order; 0 for none; one that is not there is EADDRNOTAVAIL, another than SO_BINDTODEVICE's EINVAL"},
	{ID: MTU, Name: "IP_MTU", Number: 14, Codec: IntOrByte, Access: ReadOnly, Unit: "bytes", get: getPathMTU, Note: "ENOTCONN before connect"},
	{ID: FreeBind, Name: "IP_FREEBIND", Number: 15, Codec: BoolOrByte, Default: "0", setBytes: nonEmpty(func(c *call, v int) error { c.o.FreeBind = v != 0; return nil }),
		get: func(c *call) (int, error) { return truth(c.o.FreeBind), nil }},
	{ID: MinTTL, Name: "IP_MINTTL", Number: 21, Codec: IntOrByte, Unit: "hops", Default: "0",
		setBytes: nonEmpty(octetOf(0, 255, func(o *Options) *uint8 { return &o.MinTTL })), get: func(c *call) (int, error) { return int(c.o.MinTTL), nil },
		Note: "0..255 (RFC 5082)"},
	{ID: BindNoPort, Name: "IP_BIND_ADDRESS_NO_PORT", Number: 24, Codec: BoolOrByte, Default: "0", flag: func(o *Options) *bool { return &o.BindNoPort }},
	{ID: MulticastTTL, Name: "IP_MULTICAST_TTL", Number: 33, Codec: IntOrByte, Unit: "hops", Default: "1", setBytes: nonEmpty(setMulticastTTL), get: func(c *call) (int, error) { return int(c.o.MulticastTTL), nil },
		Note: "0..255, or -1 for 1; EINVAL on TCP"},
	{ID: MulticastLoop, Name: "IP_MULTICAST_LOOP", Number: 34, Codec: BoolOrByte, Default: "1", setBytes: nonEmpty(func(c *call, v int) error { c.o.MulticastLoop4 = v != 0; return nil }),
		get: func(c *call) (int, error) { return truth(c.o.MulticastLoop4), nil }, Note: "kept; no group can be joined"},
	{ID: MulticastAll, Name: "IP_MULTICAST_ALL", Number: 49, Codec: BoolOrByte, Default: "1", setBytes: nonEmpty(setMulticastAll),
		get: func(c *call) (int, error) { return truth(c.o.MulticastAll4), nil }, Note: "0 or 1; kept, no group can be joined"},
	{ID: LocalPortRange, Name: "IP_LOCAL_PORT_RANGE", Number: 51, Codec: IntOrByte, Default: "0", setBytes: setPortRange, get: getPortRange,
		Note: "low port in the lower half, high port in the upper; 0 for the tunable's"},
})

// nonEmpty is for the options of IPPROTO_IP that want at least one byte.
func nonEmpty(set func(*call, int) error) func(*call, []byte) error {
	return func(c *call, val []byte) error {
		if len(val) == 0 {
			return errno.EINVAL
		}
		v, err := decodeInt(IntOrByte, val)
		if err != nil {
			return err
		}
		return set(c, v)
	}
}

// octetOf sets a field of one byte within limits.
func octetOf(lo, hi int, field func(*Options) *uint8) func(*call, int) error {
	return func(c *call, v int) error {
		if v < lo || v > hi {
			return errno.EINVAL
		}
		*field(c.o) = uint8(v)
		return nil
	}
}

// priorities are what SO_PRIORITY becomes by the two bits "low delay" and "high
// throughput" of TOS (ip_tos2prio): best effort, bulk, interactive, both.
var priorities = [4]int32{0, 2, 6, 4}

func setTOS(c *call, v int) error {
	tos := uint8(v)
	if _, typ, _ := c.t.Kind(); typ == SockStream {
		tos = tos&^ecnMask | c.o.TOS&ecnMask
	}
	if tos != c.o.TOS {
		c.o.TOS, c.o.Priority = tos, priorities[tos>>3&3]
	}
	return nil
}

func setTTL(c *call, v int) error {
	if v != -1 && (v < 1 || v > math.MaxUint8) {
		return errno.EINVAL
	}
	c.o.TTL = int16(v)
	return nil
}

func getTTL(c *call) (int, error) {
	if c.o.TTL < 0 {
		return int(c.p.Tunables.DefaultTTL), nil
	}
	return int(c.o.TTL), nil
}

func getPathMTU(c *call) (int, error) {
	if !c.t.Connected() {
		return 0, errno.ENOTCONN
	}
	return c.t.PathMTU(), nil
}

func setMulticastTTL(c *call, v int) error {
	if _, typ, _ := c.t.Kind(); typ == SockStream {
		return errno.EINVAL
	}
	if v == -1 {
		v = 1
	}
	return octetOf(0, 255, func(o *Options) *uint8 { return &o.MulticastTTL })(c, v)
}

func setMulticastAll(c *call, v int) error {
	if v != 0 && v != 1 {
		return errno.EINVAL
	}
	c.o.MulticastAll4 = v != 0
	return nil
}

func setPortRange(c *call, val []byte) error {
	if len(val) != sizeofInt {
		return errno.EINVAL
	}
	v := nativeInt(val)
	lo, hi := uint16(v), uint16(v>>16)
	if lo != 0 && hi != 0 && lo > hi {
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.PortMin, r.PortMax = lo, hi })
	return nil
}

func getPortRange(c *call) (int, error) {
	r := c.o.Rare()
	return int(r.PortMin) | int(r.PortMax)<<16, nil
}
