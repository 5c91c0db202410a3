package sockopt

// ipRows are the options of level IPPROTO_IP (ip(7), linux/in.h), which IPv6
// sockets have as well.
var ipRows = at(protoIP, AnySocket, []Row{})
