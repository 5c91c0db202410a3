package sockopt

import "github.com/tcpcni/tcpcni/sockopt/errno"

// A BindPolicy is what bind(2), listen(2) and connect(2) of one system decide
// by, beside the rule of who may share a port. Both go by Profile.BindRule.
type BindPolicy struct {
	// PortMin and PortMax are the ports that a socket is given when it asks for
	// none. Ports below Reserved take CAP_NET_BIND_SERVICE. Where the system has
	// a tunable for them these are its defaults; elsewhere they are fixed, as no
	// name leads to them.
	PortMin, PortMax uint16
	Reserved         uint16

	// AnonPrivMin and AnonPrivMax are the range of TCP_ANONPRIVBIND; 0 where the
	// system has no such option.
	AnonPrivMin, AnonPrivMax uint16

	// What is answered when no port is free: to bind(2) and listen(2), to
	// connect(2) of a TCP socket, to a datagram socket that sends or connects.
	BindExhausted, ConnectExhausted, DatagramExhausted errno.Errno

	// PairTaken is what connect(2) fails with when a socket that was bound would
	// be a second connection between the same two ends.
	PairTaken errno.Errno

	// What bind(2) of a TCP socket to such an address fails with; 0: it is
	// allowed. LinkBroadcast is the broadcast address of an interface.
	LimitedBroadcast, LinkBroadcast errno.Errno
	Multicast4, Multicast6          errno.Errno

	// MappedV6Only is what bind(2) to an IPv4-mapped address fails with when
	// IPV6_V6ONLY is set.
	MappedV6Only errno.Errno
}

// bindPolicies are the systems', by the name of their rule.
var bindPolicies = map[string]BindPolicy{
	// Linux 6.x: inet_csk_get_port, __inet_bind, __inet6_bind, inet_autobind,
	// __inet_hash_connect. Broadcast and IPv4 multicast addresses may be bound
	// and never receive anything.
	"linux": {
		PortMin: 32768, PortMax: 60999, Reserved: 1024,
		BindExhausted: errno.EADDRINUSE, ConnectExhausted: errno.EADDRNOTAVAIL, DatagramExhausted: errno.EAGAIN,
		PairTaken:    errno.EADDRNOTAVAIL,
		Multicast6:   errno.EINVAL,
		MappedV6Only: errno.EINVAL,
	},
	// illumos: the tunables tcp_smallest_anon_port, tcp_largest_anon_port,
	// tcp_smallest_nonpriv_port and tcp_min_anonpriv_port; TNOADDR for "out of
	// ports"; tcp(7P) has EADDRNOTAVAIL for what is not a unicast address of an
	// interface.
	"illumos": {
		PortMin: 32768, PortMax: 65535, Reserved: 1024,
		AnonPrivMin: 512, AnonPrivMax: 1023,
		BindExhausted: errno.EADDRNOTAVAIL, ConnectExhausted: errno.EADDRNOTAVAIL, DatagramExhausted: errno.EADDRNOTAVAIL,
		PairTaken:        errno.EADDRINUSE,
		LimitedBroadcast: errno.EADDRNOTAVAIL, LinkBroadcast: errno.EADDRNOTAVAIL,
		Multicast4: errno.EADDRNOTAVAIL, Multicast6: errno.EADDRNOTAVAIL,
		MappedV6Only: errno.EADDRNOTAVAIL,
	},
	// FreeBSD: net.inet.ip.portrange.first, last and reservedhigh; in_pcb_lport;
	// tcp(4): EAFNOSUPPORT for a multicast address. An interface answers to its
	// broadcast address (ifa_ifwithaddr).
	"freebsd": {
		PortMin: 10000, PortMax: 65535, Reserved: 1024,
		BindExhausted: errno.EADDRNOTAVAIL, ConnectExhausted: errno.EADDRNOTAVAIL, DatagramExhausted: errno.EADDRNOTAVAIL,
		PairTaken:        errno.EADDRINUSE,
		LimitedBroadcast: errno.EADDRNOTAVAIL,
		Multicast4:       errno.EAFNOSUPPORT, Multicast6: errno.EAFNOSUPPORT,
		MappedV6Only: errno.EADDRNOTAVAIL,
	},
	// Sortix, tcp(4): "the dynamic port range 32768 (inclusive) through 61000
	// (exclusive)", EAGAIN when each is taken, superuser privileges for ports 1
	// to 1023, "the any address, the broadcast address, the address of a network
	// interface, or the broadcast address of a network interface". Its BUGS say
	// that the privilege is not checked and that the random choice is uneven;
	// what the page wants is done here.
	"sortix": {
		PortMin: 32768, PortMax: 60999, Reserved: 1024,
		BindExhausted: errno.EAGAIN, ConnectExhausted: errno.EAGAIN, DatagramExhausted: errno.EAGAIN,
		PairTaken:  errno.EADDRINUSE,
		Multicast4: errno.EADDRNOTAVAIL, Multicast6: errno.EADDRNOTAVAIL,
		MappedV6Only: errno.EADDRNOTAVAIL,
	},
	// CX/UX, tcp(4P): EACCES for a reserved port without the privileged user,
	// EADDRNOTAVAIL when "no network interface exists" for the address. The range
	// is 4.3BSD's.
	"cxux": {
		PortMin: 1024, PortMax: 5000, Reserved: 1024,
		BindExhausted: errno.EADDRINUSE, ConnectExhausted: errno.EADDRNOTAVAIL, DatagramExhausted: errno.EADDRINUSE,
		PairTaken:        errno.EADDRINUSE,
		LimitedBroadcast: errno.EADDRNOTAVAIL,
		Multicast4:       errno.EADDRNOTAVAIL, Multicast6: errno.EADDRNOTAVAIL,
		MappedV6Only: errno.EADDRNOTAVAIL,
	},
}
