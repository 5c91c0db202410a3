package sockopt

// udpRows are the options of level SOL_UDP (udp(7), linux/udp.h).
var udpRows = at(protoUDP, UDPOnly, []Row{
	{ID: UDPSegment, Name: "UDP_SEGMENT", Number: 103, Unit: "bytes", Default: "0", Max: 65535,
		set: rarely(func(r *Rare, v int) { r.UDPSegment = uint16(v) }), get: rareValue(func(r *Rare) int { return int(r.UDPSegment) }),
		Note: "what is sent leaves in datagrams of so many bytes, at most 128; also as ancillary data of a send; a part that does not fit the path is EMSGSIZE"},
	{ID: UDPGRO, Name: "UDP_GRO", Number: 104, Codec: Bool, Default: "0",
		set: rarely(func(r *Rare, v int) { r.UDPGRO = v != 0 }), get: rareValue(func(r *Rare) int { return truth(r.UDPGRO) }),
		Note: "recvmsg(2), recvmmsg(2) and recvfrom(2) with an address give queued datagrams of one size and sender together, with their size as UDP_GRO; read(2) and recv(2) give them one by one"},
})
