// Package netstack is the TCP/IP of one host in user space: Ethernet links, ARP
// and neighbour discovery, IPv4, IPv6, ICMP, UDP and TCP.
//
// # Driving a stack
//
// A Stack is pure: it has no goroutine, no clock, no lock and does no I/O. Its
// driver hands in time, entropy and frames, and takes out frames, events and
// the next deadline:
//
//	s := netstack.New(netstack.Config{Seed: entropy})
//	eth0, err := s.AddLink(netstack.LinkConfig{Name: "eth0", …, Sink: tap})
//	for {
//		s.Advance(now())        // the clock, and timers that are due
//		for each frame that tap received {
//			s.Input(eth0, &frame)
//		}
//		for each thing that a program did {
//			socket.Write(…)
//		}
//		s.Flush()               // what all of that makes the stack send
//		sleep until s.Deadline() or something happens
//	}
//
// Instants are time since an arbitrary start. Equal seeds, configurations and
// inputs give equal outputs, to the bit: no behaviour depends on the order of a
// map, on an address in memory or on a real clock.
//
// Nothing is entered twice. A Sink must not call into the stack; an Owner may
// call methods of sockets, which send at once (UDP) or mark work for Flush
// (TCP). A packet to the stack itself waits in the loopback until Flush.
//
// # Paths of a packet
//
//	Input ── ethernet ─┬─ ARP ── neighbours
//	                   ├─ IPv4 ─ reassembly ─┐
//	                   └─ IPv6 ─ ext. headers┴─┬─ ICMP ── errors to sockets
//	Flush ── loopback ───────────────────────┘ ├─ UDP ─── udp.Owner
//	                                           └─ TCP ─── tcp.Owner
//
//	socket ── route ── builder ── neighbour ─┬─ (cut, checksum) ── Sink
//	                                         └─ loopback
//
// Packets of somebody else pass from one stack to another, through a Forwarder:
//
//	Input ── … ── no socket ── Forwarder.Packet ─ ─ ─ Forward ── outlet ── Sink
//	SYN ── no listener ── tcp.Pending ─ ─ ─ ConnectFrom ── socket
//
// A transparent link leads to one host for which the stack is everybody else.
// TCP to any address ends in its sockets, which answer from that address; the
// rest is offered. So an engine with one stack that faces a host and one that
// faces its network is a bump on the wire: connections end and begin anew, other
// packets stay as they are, TTL and identification included. A datagram that
// came in fragments is offered whole and leaves in fragments no larger than
// those; a checksum that the sender left to its network card stays unfinished
// until a link, or emit, finishes it. What does not fit is EMSGSIZE of Forward,
// and Reject tells the sender. UDP that the link merged into one frame (GSO) does
// not come here: hostlink does not ask for it and cuts what comes unasked.
//
// On the way out a frame is put together once, in memory that is used again for
// the next: headers in TxFrame.Buf, payload as the slices that the socket has.
// A path remembers its neighbour, so a segment needs no lookup; records that
// leave the tables are marked gone, and the path asks again. There is no
// allocation and no copy per packet, except where a packet has to wait.
//
// # Offload
//
// TCP hands down super-segments of up to 64 KiB. They travel whole through the
// loopback and to links with TSO, which cut them; for other links cutter.cut
// makes the same packets. Likewise transport checksums start as the sum of the
// pseudo header and are finished by a link with TxChecksum, or by emit. On the
// way in a link may vouch for a checksum (CsumValid), leave it unfinished
// because the packet never left the machine (NeedsCsum), and merge segments.
//
// # Policy
//
// The configuration is static. Router advertisements and redirects are ignored
// and never offered, the stack itself forwards nothing, source routes are
// dropped. Both families have a weak
// host model, except for link-local addresses. The stack does not probe for
// duplicates of its addresses, which somebody else assigned; it announces them
// when a link is added, reports its solicited-node groups (MLD), and defends
// the addresses. It joins no other groups; multicast can be sent. With a
// Forwarder it hears all groups on behalf of whoever stands behind that, and its
// own sockets get what they would get without.
//
// Whoever is on the link can lie. A neighbour is learned from an answer that was
// asked for, or from a question to this stack by somebody of the link's own
// prefix; a claim that contradicts what is known only makes the stack ask the
// known address (Stack.heard). ICMP errors count only when they quote a packet
// that a socket has under way, and a path MTU never falls below 552 (IPv6:
// 1280).
//
// The host behind a transparent link speaks for itself alone: frames from its
// MAC, packets from its addresses, ARP and neighbour discovery about them. It
// asks for anybody and is told the link's own MAC, except for its own addresses,
// so that duplicate address detection finds them free. It cannot advertise
// routes, redirect or query groups. Packets without a source, as for DHCP or
// MLD before an address is there, do not pass: its addresses were assigned.
// (What leases them is carried around the stacks, see package dhcp.) ICMP
// errors about TCP are never forwarded, as the connections that they are about
// end here.
//
// # Bounds
//
// What others can make the stack keep is bounded, and the bound is next to the
// thing: neighbours and packets that wait for them (neigh.go), fragments
// (reasm.go), path MTUs (pmtu.go), looped packets (loop.go), extension headers
// and options (wire), SYNs that wait for a verdict (tcp.MaxPending) and for the
// end of the handshake after it (tcp.MaxEmbryos; before that many, ports that are
// known to be open answer by SYN cookies). What they can make it send is
// bounded by rates (icmpout.go). A forwarded packet is not kept, unless its
// neighbour must be found first.
//
// # Names
//
// Links have numbers from 1 on; 0 stands for any link and LoopbackLink for the
// loopback. An IPv6 zone is a link's name or number in decimal; addresses that
// sockets show have the number.
package netstack
