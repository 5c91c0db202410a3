package netstack

import "reflect"

// Counters count what the stack has seen, by the names of the SNMP tables where
// they have one: RFC 4293 (IP, ICMP). TCP and UDP keep their own.
type Counters struct {
	Link  LinkCounters
	Loop  LoopCounters
	ARP   ARPCounters
	ND    NDCounters
	Neigh NeighCounters
	IPv4  IPCounters
	IPv6  IPCounters
	ICMP4 ICMPCounters
	ICMP6 ICMPCounters

	Transparent TransparentCounters
	Forward     ForwardCounters

	TCPInErrors   uint64 // segments with a malformed header or port 0
	TCPCsumErrors uint64
}

// LinkCounters count frames that go no further.
type LinkCounters struct {
	InErrors  uint64 // short, from a group address, or of an unknown offload type
	InOther   uint64 // to another station
	InUnknown uint64 // of an unknown EtherType
}

// LoopCounters count packets to the stack itself.
type LoopCounters struct{ Packets, Drops uint64 }

// ARPCounters count ARP packets.
type ARPCounters struct {
	InRequests, InReplies, OutRequests, OutReplies uint64
	InErrors                                       uint64
	Conflicts                                      uint64 // somebody else claimed an address of ours
}

// NDCounters count neighbour discovery messages.
type NDCounters struct {
	InSolicits, InAdverts, OutSolicits, OutAdverts uint64
	InErrors                                       uint64
	Ignored                                        uint64 // router messages and redirects
	Conflicts                                      uint64
}

// NeighCounters count events of the neighbour cache.
type NeighCounters struct {
	Failures   uint64 // neighbours that never answered
	Evicted    uint64 // neighbours that made room for others
	QueueDrops uint64 // packets that waited in vain for room
	Conflicts  uint64 // claims that contradict a known neighbour
}

// IPCounters count packets of one IP version (RFC 4293 ipSystemStatsTable).
type IPCounters struct {
	InReceives, InHdrErrors, InAddrErrors, InUnknownProtos, InDelivers uint64
	InCsumErrors                                                       uint64
	InMartians                                                         uint64 // from an address that nobody can have
	OutRequests, OutDiscards, OutNoRoutes                              uint64
	ReasmReqds, ReasmOKs, ReasmFails, ReasmTimeout                     uint64
	FragOKs, FragFails, FragCreates                                    uint64
}

// ICMPCounters count messages of one ICMP version.
type ICMPCounters struct {
	InMsgs, InErrors               uint64
	InEchos, InErrorMsgs, InOthers uint64
	OutMsgs, OutLimited            uint64 // OutLimited: suppressed by the rate limit
}

// TransparentCounters count what the peer of a transparent link may not send.
type TransparentCounters struct {
	SpoofedMACs    uint64 // frames from another MAC
	SpoofedSources uint64 // packets from another address
	FalseClaims    uint64 // ARP and neighbour discovery on behalf of others
	RouterMessages uint64 // router advertisements, redirects and queries
}

// ForwardCounters count packets that pass by the sockets.
type ForwardCounters struct {
	Offered, Taken uint64 // by Packet
	Unusable       uint64 // not offered: an unfinished checksum nobody can place, a header too long
	Sent           uint64 // by Forward
	TooBig         uint64 // EMSGSIZE
	Refused        uint64 // other errors of Forward
	Rejects        uint64 // ICMP errors by Reject
}

// Counters returns the stack's counters, which keep counting.
func (s *Stack) Counters() *Counters { return &s.counters }

// All calls yield with every counter, named like "IPv4.InReceives", until it
// returns false. TCP's and UDP's are included.
func (s *Stack) All(yield func(name string, value uint64) bool) {
	_ = eachCounter("", reflect.ValueOf(s.counters), yield) &&
		eachCounter("UDP.", reflect.ValueOf(*s.udp.Counters()), yield) &&
		eachCounter("TCP.", reflect.ValueOf(*s.tcp.Counters()), yield)
}

func eachCounter(prefix string, v reflect.Value, yield func(string, uint64) bool) bool {
	for i := range v.NumField() {
		name, f := prefix+v.Type().Field(i).Name, v.Field(i)
		switch f.Kind() {
		case reflect.Struct:
			if !eachCounter(name+".", f, yield) {
				return false
			}
		case reflect.Uint64:
			if !yield(name, f.Uint()) {
				return false
			}
		}
	}
	return true
}
