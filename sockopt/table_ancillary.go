package sockopt

// An Ancillary is a set of what recvmsg(2) gives along with a datagram.
type Ancillary uint16

// The pieces, by the options that ask for them.
const (
	AncTTL          Ancillary = 1 << iota // IP_RECVTTL
	AncTOS                                // IP_RECVTOS
	AncOrigDst                            // IP_RECVORIGDSTADDR
	AncHopLimit                           // IPV6_RECVHOPLIMIT
	AncTClass                             // IPV6_RECVTCLASS
	AncOrigDst6                           // IPV6_RECVORIGDSTADDR
	AncOverflow                           // SO_RXQ_OVFL
	AncHopLimit2292                       // IPV6_2292HOPLIMIT
	AncOptions                            // IP_RECVOPTS
	AncEcho                               // IP_RETOPTS
)

// The options that ask for the time of datagrams, by number: as struct timeval
// or struct timespec.
const (
	StampMicro    = 29 // SO_TIMESTAMP
	StampNano     = 35 // SO_TIMESTAMPNS
	StampMicroNew = 63
	StampNanoNew  = 64
)

const onTCP = "; on TCP it is kept, as a stream has no such data"

// The options that ask for ancillary data (socket(7), ip(7), ipv6(7), RFC 3542).
var (
	ancillarySocketRows = at(SolSocket, AnySocket, []Row{
		stamp("SO_TIMESTAMP", StampMicro, "struct timeval, SO_TIMESTAMP; of the options that ask for a time the last one counts. On TCP the time of the last byte that the call returned"),
		stamp("SO_TIMESTAMPNS", StampNano, "struct timespec"),
		stamp("SO_TIMESTAMP_NEW", StampMicroNew, "the same on a 64-bit ABI; reads 1 with SO_TIMESTAMPNS_NEW, too"),
		stamp("SO_TIMESTAMPNS_NEW", StampNanoNew, "the same on a 64-bit ABI"),
	})
	overflowRows = at(SolSocket, AnySocket, []Row{
		ancillary(RxqOvfl, "SO_RXQ_OVFL", 40, Bool, AncOverflow, "how many datagrams were dropped for want of room, once there are any"+onTCP),
	})
	ancillaryIPRows = at(protoIP, AnySocket, []Row{
		ancillary(RecvTTL, "IP_RECVTTL", 12, BoolOrByte, AncTTL, "IP_TTL, an int"+onTCP),
		ancillary(RecvTOS, "IP_RECVTOS", 13, BoolOrByte, AncTOS, "IP_TOS, one byte with the ECN bits"+onTCP),
		ancillary(RecvOpts, "IP_RECVOPTS", 6, BoolOrByte, AncOptions, "IP_RECVOPTS, the options of the packet, with this host's address and time where they are asked for"+onTCP),
		ancillary(RetOpts, "IP_RETOPTS", 7, BoolOrByte, AncEcho, "IP_RETOPTS, the options for an answer; sent along with a datagram, they are its options in place of IP_OPTIONS"+onTCP),
		ancillary(OrigDstAddr, "IP_RECVORIGDSTADDR", 20, BoolOrByte, AncOrigDst, "IP_ORIGDSTADDR, where the datagram was sent to"+onTCP),
	})
	ancillaryIPv6Rows = at(protoIPv6, AnySocket, []Row{
		ancillary(RecvHopLimit2292, "IPV6_2292HOPLIMIT", 8, Bool, AncHopLimit2292, "IPV6_2292HOPLIMIT, an int, as RFC 2292 had it"+onTCP),
		ancillary(RecvHopLimit, "IPV6_RECVHOPLIMIT", 51, Bool, AncHopLimit, "IPV6_HOPLIMIT, an int"+onTCP),
		ancillary(RecvTClass, "IPV6_RECVTCLASS", 66, Bool, AncTClass, "IPV6_TCLASS, an int"+onTCP),
		ancillary(OrigDstAddr6, "IPV6_RECVORIGDSTADDR", 74, Bool, AncOrigDst6, "IPV6_ORIGDSTADDR, where the datagram was sent to"+onTCP),
	})
)

func ancillary(id ID, name string, number int, codec Codec, bit Ancillary, note string) Row {
	return Row{
		ID: id, Name: name, Number: number, Codec: codec, Default: "0", Note: note,
		get: rareValue(func(r *Rare) int { return truth(r.Receive&bit != 0) }),
		set: rarely(func(r *Rare, v int) {
			if r.Receive &^= bit; v != 0 {
				r.Receive |= bit
			}
		}),
	}
}

// stamp is a row of the options that ask for a time, which are four names of one
// setting (__sock_set_timestamps of Linux).
func stamp(name string, number int, note string) Row {
	return Row{
		ID: Timestamp, Name: name, Number: number, Codec: Bool, Default: "0", Note: note,
		get: rareValue(func(r *Rare) int {
			return truth(int(r.Stamp) == number || number == StampMicroNew && r.Stamp == StampNanoNew)
		}),
		set: rarely(func(r *Rare, v int) {
			if r.Stamp = 0; v != 0 {
				r.Stamp, r.StampNew = uint8(number), number >= StampMicroNew
			}
		}),
	}
}
