package sockopt

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Target is a socket whose options are set and read.
type Target interface {
	// Options are the socket's settings, which Set changes in place.
	Options() *Options
	// Changed is called after the field of option id was given a new value.
	Changed(id ID)
	// Kind is the socket's domain, type and protocol by Linux numbers.
	Kind() (domain, typ, protocol int)
	// TakeError returns the pending error and clears it; 0 for none.
	TakeError() errno.Errno
	// LocalAddr is where the socket is bound; port 0 means not yet.
	LocalAddr() netip.AddrPort
	Listening() bool
	Connected() bool
	// MSS is the size of segments being sent, in bytes; 0 when the socket is
	// not connected or is not TCP.
	MSS() int
	// PathMTU is that of a connected socket's route, in bytes.
	PathMTU() int
	// Info fills in the state of a TCP socket.
	Info(*TCPInfo)
}

// Links knows the names of the sandbox's links, for SO_BINDTODEVICE. Numbers
// are positive.
type Links interface {
	LinkByName(name string) (link int, ok bool)
	LinkName(link int) (name string, ok bool)
}

// Indexes is implemented by a Links whose programs know the links by other
// numbers than the stack: the interface indexes of the kernel.
type Indexes interface {
	LinkByIndex(index int) (link int, ok bool)
	IndexOf(link int) int
}

// Privilege is what the caller of setsockopt may do, by its capabilities in the
// user namespace of the sandbox.
type Privilege struct {
	NetAdmin       bool // CAP_NET_ADMIN
	NetRaw         bool // CAP_NET_RAW
	NetBindService bool // CAP_NET_BIND_SERVICE: ports below ip_unprivileged_port_start

	// Agreed is for a socket that had its port before, under an engine that has
	// ended: who shares it was decided then, and by the order of that time.
	Agreed bool
}

// Linux numbers of domains, types and protocols.
const (
	AFInet     = 2
	AFInet6    = 10
	SockStream = 1
	SockDgram  = 2

	protoIP   = 0
	protoTCP  = 6
	protoUDP  = 17
	protoIPv6 = 41
)
