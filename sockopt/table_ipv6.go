package sockopt

// ipv6Rows are the options of level IPPROTO_IPV6 (ipv6(7), linux/in6.h) on
// sockets of domain AF_INET6.
var ipv6Rows = at(protoIPv6, AnySocket, []Row{})
