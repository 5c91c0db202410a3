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
// The configuration is static. Router advertisements and redirects are ignored,
// there is no forwarding, source routes are dropped. Both families have a weak
// host model, except for link-local addresses. The stack does not probe for
// duplicates of its addresses, which somebody else assigned; it announces them
// when a link is added, reports its solicited-node groups (MLD), and defends
// the addresses. It joins no other groups; multicast can be sent.
//
// Whoever is on the link can lie. A neighbour is learned from an answer that was
// asked for, or from a question to this stack by somebody of the link's own
// prefix; a claim that contradicts what is known only makes the stack ask the
// known address (Stack.heard). ICMP errors count only when they quote a packet
// that a socket has under way, and a path MTU never falls below 552 (IPv6:
// 1280).
//
// # Bounds
//
// What others can make the stack keep is bounded, and the bound is next to the
// thing: neighbours and packets that wait for them (neigh.go), fragments
// (reasm.go), path MTUs (pmtu.go), looped packets (loop.go), extension headers
// and options (wire). What they can make it send is bounded by rates
// (icmpout.go).
//
// # Names
//
// Links have numbers from 1 on; 0 stands for any link and LoopbackLink for the
// loopback. An IPv6 zone is a link's name or number in decimal; addresses that
// sockets show have the number.
package netstack
