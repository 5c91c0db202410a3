package sockopt

import "slices"

// What a change of a tunable means to the sockets and connections that exist.

// Reach says for whom a change of a tunable counts.
type Reach uint8

const (
	ReachAll       Reach = iota // everybody, at the next use
	ReachFollow                 // everybody who has not chosen a value of their own
	ReachSockets                // sockets that are made later
	ReachHandshake              // connections whose handshake begins later
	ReachNone                   // nobody while the sandbox runs
)

func (r Reach) String() string {
	return [...]string{"all", "all without a choice", "new sockets", "new connections", "the sandbox's start"}[r]
}

// handshakeTunables are the names of what a handshake settles.
var handshakeTunables = []string{
	"net.ipv4.tcp_window_scaling", "net.ipv4.tcp_timestamps", "net.ipv4.tcp_sack", "net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback", "net.tcpcni.ecn_maxretries",
	"net.ipv4.tcp_reflect_tos", "net.ipv4.tcp_app_win", "net.ipv4.tcp_no_metrics_save", "net.ipv4.tcp_no_ssthresh_metrics_save", "net.tcpcni.functions_default", "net.tcpcni.functions_inherit_listen_socket_stack", "net.tcpcni.isn_reseed_interval",
	"tcp_wscale_always", "tcp_tstamp_always", "tcp_tstamp_if_wscale", "tcp_sack_permitted", "tcp_ecn_permitted", "tcp_strong_iss", "tcp_mss_def_ipv4", "tcp_mss_def_ipv6",
	"tcp_slow_start_initial",
	"net.inet.tcp.rfc1323", "net.inet.tcp.sack.enable", "net.inet.tcp.ecn.enable", "net.inet.tcp.ecn.maxretries", "net.inet.tcp.mssdflt", "net.inet.tcp.v6mssdflt",
	"net.inet.tcp.initcwnd_segments", "net.inet.tcp.rfc3390", "net.inet.tcp.isn_reseed_interval", "net.inet.tcp.functions_default", "net.inet.tcp.functions_inherit_listen_socket_stack",
}

// followed are the options whose default a tunable is, by its name.
var followed = map[string]ID{
	"net.ipv4.tcp_keepalive_time": KeepIdle, "net.ipv4.tcp_keepalive_intvl": KeepIntvl, "net.ipv4.tcp_keepalive_probes": KeepCnt,
	"net.ipv4.tcp_syn_retries": SynCnt, "net.ipv4.tcp_fin_timeout": Linger2,
	"tcp_keepalive_interval": KeepIdle, "tcp_fin_wait_2_flush_interval": Linger2,
	"net.inet.tcp.keepidle": KeepIdle, "net.inet.tcp.keepintvl": KeepIntvl, "net.inet.tcp.keepcnt": KeepCnt,
	"net.inet.tcp.finwait2_timeout": Linger2, "net.inet.tcp.fast_finwait2_recycle": Linger2,
}

// socketTunables are the names of what a socket copies when it is made.
var socketTunables = []string{
	"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.core.rmem_default", "net.core.wmem_default", "net.ipv4.tcp_congestion_control", "net.ipv4.ip_no_pmtu_disc",
	"tcp_recv_hiwat", "tcp_xmit_hiwat", "congestion_control", "tcp_keepalive_abort_interval", "tcp_ip_abort_interval", "tcp_ip_abort_cinterval", "tcp_ip_notify_interval", "tcp_ip_notify_cinterval",
	"tcp_rexmit_interval_initial", "tcp_rexmit_interval_min", "tcp_rexmit_interval_max",
	"net.inet.tcp.recvspace", "net.inet.tcp.sendspace", "net.inet.tcp.cc.algorithm", "net.inet.tcp.path_mtu_discovery",
}

// patientTunables are those that a socket copies where the system measures its
// patience by time.
var patientTunables = []string{"net.ipv4.tcp_rto_max_ms", "net.inet.tcp.rexmit_initial"}

// reach is who a change of the row counts for in the profile.
func (r *tunableRow) reach(p *Profile) Reach {
	option, copied := followed[r.name]
	switch {
	case r.access != anyTime:
		return ReachNone
	case slices.Contains(handshakeTunables, r.name):
		return ReachHandshake
	case copied && slices.Contains(p.follows, option):
		return ReachFollow
	case copied || slices.Contains(socketTunables, r.name) || p.patience.Abort != 0 && slices.Contains(patientTunables, r.name):
		return ReachSockets
	}
	return ReachAll
}
