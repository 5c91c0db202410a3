package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// refusedRows are the options that Linux has and the stack does not offer: a
// program is told so, and takes the path that it has for older kernels. Each
// group says what is missing.
var refusedRows = slices.Concat(
	refused(SolSocket, AnySocket, errno.ENOPROTOOPT, "checksums are always made", names{11: "SO_NO_CHECK"}),
	refused(SolSocket, AnySocket, errno.EOPNOTSUPP, "credentials belong to local sockets", names{
		16: "SO_PASSCRED", 34: "SO_PASSSEC", 76: "SO_PASSPIDFD", 83: "SO_PASSRIGHTS"}),
	refused(SolSocket, AnySocket, errno.ENOPROTOOPT, "no security labels and no process on the other side", names{
		17: "SO_PEERCRED", 31: "SO_PEERSEC", 59: "SO_PEERGROUPS", 77: "SO_PEERPIDFD"}),
	refused(SolSocket, AnySocket, errno.ENOPROTOOPT, "getpeername(2) is the call for it", names{28: "SO_PEERNAME"}),
	refused(SolSocket, AnySocket, errno.ENOPROTOOPT, "no BPF programs in the engine", names{
		26: "SO_ATTACH_FILTER", 27: "SO_DETACH_FILTER", 44: "SO_LOCK_FILTER", 48: "SO_BPF_EXTENSIONS", 50: "SO_ATTACH_BPF",
		51: "SO_ATTACH_REUSEPORT_CBPF", 52: "SO_ATTACH_REUSEPORT_EBPF", 68: "SO_DETACH_REUSEPORT_BPF"}),
	refused(SolSocket, AnySocket, errno.ENOPROTOOPT, "nothing is sent at a chosen time", names{61: "SO_TXTIME"}),
	refused(SolSocket, AnySocket, errno.ENOPROTOOPT, "no such ancillary data", names{
		41: "SO_WIFI_STATUS", 75: "SO_RCVMARK", 82: "SO_RCVPRIORITY", 84: "SO_INQ"}),
	refused(SolSocket, AnySocket, errno.ENOPROTOOPT, "a matter of the kernel's drivers and queues", names{
		43: "SO_NOFCS", 45: "SO_SELECT_ERR_QUEUE", 53: "SO_CNX_ADVICE", 55: "SO_MEMINFO", 56: "SO_INCOMING_NAPI_ID",
		71: "SO_NETNS_COOKIE", 73: "SO_RESERVE_MEM", 74: "SO_TXREHASH",
		78: "SO_DEVMEM_LINEAR", 79: "SO_DEVMEM_DMABUF", 80: "SO_DEVMEM_DONTNEED"}),
	refused(SolSocket, AnySocket, errno.EOPNOTSUPP, "payload is copied once between program and engine", names{60: "SO_ZEROCOPY"}),

	refused(protoTCP, TCPOnly, errno.ENOPROTOOPT, "connections cannot be moved between processes", names{42: "TCP_AO_REPAIR"}),
	refused(protoTCP, TCPOnly, errno.ENOPROTOOPT, "connections cannot be moved between processes", names{
		19: "TCP_REPAIR", 20: "TCP_REPAIR_QUEUE", 21: "TCP_QUEUE_SEQ", 22: "TCP_REPAIR_OPTIONS", 24: "TCP_TIMESTAMP", 29: "TCP_REPAIR_WINDOW"}),
	refused(protoTCP, TCPOnly, errno.ENOPROTOOPT, "a matter of the kernel's memory and queues", names{35: "TCP_ZEROCOPY_RECEIVE"}),

	refused(protoUDP, UDPOnly, errno.ENOPROTOOPT, "one call is one datagram", names{1: "UDP_CORK"}),
	refused(protoUDP, UDPOnly, errno.ENOPROTOOPT, "no UDP-Lite (RFC 3828)", names{10: "UDPLITE_SEND_CSCOV", 11: "UDPLITE_RECV_CSCOV"}),
	refused(protoUDP, UDPOnly, errno.ENOPROTOOPT, "no encapsulation by the stack", names{100: "UDP_ENCAP", 101: "UDP_NO_CHECK6_TX", 102: "UDP_NO_CHECK6_RX"}),

	refused(protoIP, AnySocket, errno.ENOPROTOOPT, "raw sockets are refused", names{3: "IP_HDRINCL", 5: "IP_ROUTER_ALERT", 22: "IP_NODEFRAG", 23: "IP_CHECKSUM", 52: "IP_PROTOCOL"}),
	refused(protoIP, AnySocket, errno.ENOPROTOOPT, "a stream keeps no options of single packets", names{9: "IP_PKTOPTIONS"}),
	refused(protoIP, AnySocket, errno.ENOPROTOOPT, "no IPsec and no security labels", names{16: "IP_IPSEC_POLICY", 17: "IP_XFRM_POLICY", 18: "IP_PASSSEC"}),
	refused(protoIP, AnySocket, errno.ENOPROTOOPT, "no transparent proxying", names{19: "IP_TRANSPARENT", 80: "SO_ORIGINAL_DST"}),
	refused(protoIP, AnySocket, errno.ENOPROTOOPT, "no such ancillary data", names{25: "IP_RECVFRAGSIZE", 26: "IP_RECVERR_RFC4884"}),
	refused(protoIP, AnySocket, errno.ENOPROTOOPT, "no multicast groups", names{
		32: "IP_MULTICAST_IF", 35: "IP_ADD_MEMBERSHIP", 36: "IP_DROP_MEMBERSHIP", 37: "IP_UNBLOCK_SOURCE", 38: "IP_BLOCK_SOURCE", 39: "IP_ADD_SOURCE_MEMBERSHIP",
		40: "IP_DROP_SOURCE_MEMBERSHIP", 41: "IP_MSFILTER", 42: "MCAST_JOIN_GROUP", 43: "MCAST_BLOCK_SOURCE", 44: "MCAST_UNBLOCK_SOURCE", 45: "MCAST_LEAVE_GROUP",
		46: "MCAST_JOIN_SOURCE_GROUP", 47: "MCAST_LEAVE_SOURCE_GROUP", 48: "MCAST_MSFILTER"}),

	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "a socket keeps its domain", names{1: "IPV6_ADDRFORM"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "superseded by RFC 3542", names{
		2: "IPV6_2292PKTINFO", 3: "IPV6_2292HOPOPTS", 4: "IPV6_2292DSTOPTS", 5: "IPV6_2292RTHDR", 6: "IPV6_2292PKTOPTIONS"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "raw sockets are refused", names{7: "IPV6_CHECKSUM", 22: "IPV6_ROUTER_ALERT", 30: "IPV6_ROUTER_ALERT_ISOLATE", 36: "IPV6_HDRINCL"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "flow labels are chosen by the stack", names{11: "IPV6_FLOWINFO", 32: "IPV6_FLOWLABEL_MGR", 33: "IPV6_FLOWINFO_SEND", 70: "IPV6_AUTOFLOWLABEL"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "no multicast or anycast groups", names{
		17: "IPV6_MULTICAST_IF", 20: "IPV6_ADD_MEMBERSHIP", 21: "IPV6_DROP_MEMBERSHIP", 27: "IPV6_JOIN_ANYCAST", 28: "IPV6_LEAVE_ANYCAST",
		42: "MCAST_JOIN_GROUP", 43: "MCAST_BLOCK_SOURCE", 44: "MCAST_UNBLOCK_SOURCE", 45: "MCAST_LEAVE_GROUP", 46: "MCAST_JOIN_SOURCE_GROUP", 47: "MCAST_LEAVE_SOURCE_GROUP", 48: "MCAST_MSFILTER"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "no IPsec", names{34: "IPV6_IPSEC_POLICY", 35: "IPV6_XFRM_POLICY"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "no extension headers from or for programs", names{
		52: "IPV6_HOPLIMIT", 53: "IPV6_RECVHOPOPTS", 54: "IPV6_HOPOPTS", 55: "IPV6_RTHDRDSTOPTS", 56: "IPV6_RECVRTHDR", 57: "IPV6_RTHDR", 58: "IPV6_RECVDSTOPTS", 59: "IPV6_DSTOPTS"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "no such ancillary data", names{
		31: "IPV6_RECVERR_RFC4884", 60: "IPV6_RECVPATHMTU", 61: "IPV6_PATHMTU", 77: "IPV6_RECVFRAGSIZE"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "Linux has the number and not the option", names{63: "IPV6_USE_MIN_MTU"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "the stack chooses the source address by RFC 6724", names{72: "IPV6_ADDR_PREFERENCES"}),
	refused(protoIPv6, AnySocket, errno.ENOPROTOOPT, "no transparent proxying", names{75: "IPV6_TRANSPARENT"}),
)

type names map[int]string

// refused makes a row for each name, in the order of their numbers.
func refused(level int, on Sockets, e errno.Errno, why string, options names) []Row {
	var rows []Row
	for number, name := range options {
		rows = append(rows, Row{Name: name, Level: level, Number: number, On: on, Refuse: e, Note: why})
	}
	slices.SortFunc(rows, func(a, b Row) int { return a.Number - b.Number })
	return rows
}
