// Package abi has the numbers of the Linux ABI that the engine deals in: which
// call a program made, with which flags, and what a system call of hostlink said.
// They are kept apart from the means to make system calls, which only hostlink
// has.
package abi

import "golang.org/x/sys/unix"

// Errno is an error of a system call; 0 is none.
type Errno = unix.Errno

// System calls that the filter notifies.
const (
	SYS_SOCKET      = unix.SYS_SOCKET
	SYS_BIND        = unix.SYS_BIND
	SYS_LISTEN      = unix.SYS_LISTEN
	SYS_ACCEPT      = unix.SYS_ACCEPT
	SYS_ACCEPT4     = unix.SYS_ACCEPT4
	SYS_CONNECT     = unix.SYS_CONNECT
	SYS_GETSOCKNAME = unix.SYS_GETSOCKNAME
	SYS_GETPEERNAME = unix.SYS_GETPEERNAME
	SYS_GETSOCKOPT  = unix.SYS_GETSOCKOPT
	SYS_SETSOCKOPT  = unix.SYS_SETSOCKOPT
	SYS_SHUTDOWN    = unix.SYS_SHUTDOWN
	SYS_SENDTO      = unix.SYS_SENDTO
	SYS_SENDMSG     = unix.SYS_SENDMSG
	SYS_SENDMMSG    = unix.SYS_SENDMMSG
	SYS_RECVFROM    = unix.SYS_RECVFROM
	SYS_RECVMSG     = unix.SYS_RECVMSG
	SYS_RECVMMSG    = unix.SYS_RECVMMSG
	SYS_IOCTL       = unix.SYS_IOCTL
	SYS_POLL        = unix.SYS_POLL
	SYS_PPOLL       = unix.SYS_PPOLL
)

// Arguments of socket(2) and accept4(2).
const (
	SOCK_NONBLOCK = unix.SOCK_NONBLOCK
	SOCK_CLOEXEC  = unix.SOCK_CLOEXEC
	SOCK_PACKET   = unix.SOCK_PACKET
)

// Arguments of shutdown(2).
const (
	SHUT_RD   = unix.SHUT_RD
	SHUT_WR   = unix.SHUT_WR
	SHUT_RDWR = unix.SHUT_RDWR
)

// Events of poll(2).
const (
	POLLOUT    = unix.POLLOUT
	POLLHUP    = unix.POLLHUP
	POLLNVAL   = unix.POLLNVAL
	POLLWRNORM = 0x100
	POLLWRBAND = 0x200
)

// Flags of send(2) and recv(2).
const (
	MSG_OOB      = unix.MSG_OOB
	MSG_PEEK     = unix.MSG_PEEK
	MSG_TRUNC    = unix.MSG_TRUNC
	MSG_WAITALL  = unix.MSG_WAITALL
	MSG_CTRUNC   = unix.MSG_CTRUNC
	MSG_DONTWAIT = unix.MSG_DONTWAIT
	MSG_ERRQUEUE = unix.MSG_ERRQUEUE
	MSG_MORE     = unix.MSG_MORE
	MSG_FASTOPEN = unix.MSG_FASTOPEN
)

// Options and ancillary data: socket(7), ip(7), ipv6(7).
const (
	SOL_SOCKET        = unix.SOL_SOCKET
	SO_ERROR          = unix.SO_ERROR
	SO_RXQ_OVFL       = unix.SO_RXQ_OVFL
	SO_PEEK_OFF       = unix.SO_PEEK_OFF
	IPPROTO_IP        = unix.IPPROTO_IP
	IP_TOS            = unix.IP_TOS
	IP_TTL            = unix.IP_TTL
	IP_RECVOPTS       = unix.IP_RECVOPTS
	IP_RETOPTS        = unix.IP_RETOPTS
	IP_PKTINFO        = unix.IP_PKTINFO
	IP_RECVERR        = unix.IP_RECVERR
	IP_ORIGDSTADDR    = unix.IP_ORIGDSTADDR
	IPPROTO_UDP       = unix.IPPROTO_UDP
	UDP_SEGMENT       = unix.UDP_SEGMENT
	UDP_GRO           = unix.UDP_GRO
	IPPROTO_TCP       = unix.IPPROTO_TCP
	TCP_CM_INQ        = 36 // linux/tcp.h
	IPPROTO_IPV6      = unix.IPPROTO_IPV6
	IPV6_DONTFRAG     = unix.IPV6_DONTFRAG
	IPV6_TCLASS       = unix.IPV6_TCLASS
	IPV6_HOPLIMIT     = unix.IPV6_HOPLIMIT
	IPV6_PKTINFO      = unix.IPV6_PKTINFO
	IPV6_2292HOPLIMIT = unix.IPV6_2292HOPLIMIT
	IPV6_RECVERR      = unix.IPV6_RECVERR
	IPV6_ORIGDSTADDR  = unix.IPV6_ORIGDSTADDR
)

// Requests of ioctl(2): netdevice(7), tcp(7).
const (
	IFNAMSIZ       = unix.IFNAMSIZ
	SIOCGIFADDR    = unix.SIOCGIFADDR
	SIOCGIFDSTADDR = unix.SIOCGIFDSTADDR
	SIOCGIFNETMASK = unix.SIOCGIFNETMASK
	SIOCGIFBRDADDR = unix.SIOCGIFBRDADDR
	SIOCOUTQ       = unix.SIOCOUTQ
	SIOCOUTQNSD    = 0x894B // linux/sockios.h: bytes not yet sent
)

// Capabilities: capabilities(7).
const (
	CAP_DAC_OVERRIDE     = unix.CAP_DAC_OVERRIDE
	CAP_NET_ADMIN        = unix.CAP_NET_ADMIN
	CAP_NET_RAW          = unix.CAP_NET_RAW
	CAP_NET_BIND_SERVICE = unix.CAP_NET_BIND_SERVICE
	CAP_SYS_PTRACE       = unix.CAP_SYS_PTRACE
)

// Errors of calls that hostlink makes.
const (
	EAGAIN     = unix.EAGAIN
	EBADF      = unix.EBADF
	EBADMSG    = unix.EBADMSG
	ECONNRESET = unix.ECONNRESET
	EFAULT     = unix.EFAULT
	EINVAL     = unix.EINVAL
	EIO        = unix.EIO
	EMFILE     = unix.EMFILE
	EMSGSIZE   = unix.EMSGSIZE
	ENFILE     = unix.ENFILE
	ENOBUFS    = unix.ENOBUFS
	ENODEV     = unix.ENODEV
	ENOENT     = unix.ENOENT
	EPERM      = unix.EPERM
	EPIPE      = unix.EPIPE
	ESRCH      = unix.ESRCH
)

// Signals that end the engine.
const (
	SIGINT  = unix.SIGINT
	SIGTERM = unix.SIGTERM
)
