package sockopt

// plainSocketRows and plainTCPRows are what sockets have everywhere.
var (
	plainSocketRows = from(socketRows, "SO_DEBUG", "SO_REUSEADDR", "SO_TYPE", "SO_ERROR", "SO_DONTROUTE", "SO_BROADCAST", "SO_SNDBUF", "SO_RCVBUF",
		"SO_KEEPALIVE", "SO_OOBINLINE", "SO_LINGER", "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO", "SO_SNDTIMEO", "SO_ACCEPTCONN")
	plainTCPRows = from(tcpRows, "TCP_NODELAY")
)
