package sockopt

// tcpRows are the options of level IPPROTO_TCP (tcp(7), linux/tcp.h).
var tcpRows = at(protoTCP, TCPOnly, []Row{
	{ID: NoDelay, Name: "TCP_NODELAY", Number: 1, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.NoDelay }},
})
