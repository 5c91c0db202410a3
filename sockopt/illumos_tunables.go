package sockopt

import (
	"math"
	"time"
)

// illumosTunables are the parameters of ndd(8) that illumos' tcp(4P) names and
// those that belong to them, with the names of ipadm(8) as the other ones. Times
// are in milliseconds. The defaults are those of illumos' tcp_tunables.c.
var illumosTunables = []tunableRow{
	alias("_wscale_always", toggle("tcp_wscale_always", "1", func(t *Tunables) *bool { return &t.WScaleAlways })),
	alias("_tstamp_always", toggle("tcp_tstamp_always", "0", func(t *Tunables) *bool { return &t.TstampAlways })),
	alias("_tstamp_if_wscale", toggle("tcp_tstamp_if_wscale", "1", func(t *Tunables) *bool { return &t.TstampIfWScale })),
	{
		name: "tcp_sack_permitted", alias: "sack", unit: "0 off, 1 agreed to, 2 asked for and agreed to", labels: neverPassiveActive,
		fields: 1, max: 2, def: "2",
		set: func(t *Tunables, v []int64) { t.SACK, t.SACKPassive = v[0] != 0, v[0] == 1 },
		get: func(t *Tunables) []int64 {
			if !t.SACK {
				return []int64{0}
			}
			return []int64{int64(2 - truth(t.SACKPassive))}
		},
	},
	{
		name: "tcp_ecn_permitted", alias: "ecn", unit: "0 off, 1 agreed to, 2 asked for and agreed to", labels: neverPassiveActive,
		fields: 1, max: 2, def: "1",
		set: func(t *Tunables, v []int64) { t.ECN = [...]int32{0, 2, 1}[v[0]] },
		get: func(t *Tunables) []int64 { return []int64{[...]int64{0, 2, 1, 2, 2, 1}[t.ECN]} },
	},
	{
		name: "tcp_strong_iss", alias: "_strong_iss", unit: "0 a counter, 1 with random steps, both can be guessed; 2 RFC 6528, which replaced RFC 1948", fields: 1, max: 2, def: "2",
		set: func(t *Tunables, v []int64) { t.StrongISS = int32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(t.StrongISS)} },
	},
	alias("_keepalive_interval", period("tcp_keepalive_interval", "milliseconds", time.Millisecond, 10_000, 864_000_000, "7200000", func(t *Tunables) *time.Duration { return &t.KeepaliveTime })),
	alias("_keepalive_abort_interval", patient(period("tcp_keepalive_abort_interval", "milliseconds, 0 never", time.Millisecond, 0, math.MaxUint32, "480000", func(t *Tunables) *time.Duration { return &t.Patience.KeepAbort }))),
	alias("_ip_abort_interval", patient(period("tcp_ip_abort_interval", "milliseconds, 0 never", time.Millisecond, 0, math.MaxUint32, "300000", func(t *Tunables) *time.Duration { return &t.Patience.Abort }))),
	alias("_ip_abort_cinterval", patient(period("tcp_ip_abort_cinterval", "milliseconds, 0 never", time.Millisecond, 0, math.MaxUint32, "180000", func(t *Tunables) *time.Duration { return &t.Patience.ConnAbort }))),
	alias("_ip_notify_interval", patient(period("tcp_ip_notify_interval", "milliseconds", time.Millisecond, 500, math.MaxUint32, "10000", func(t *Tunables) *time.Duration { return &t.Patience.Notify }))),
	alias("_ip_notify_cinterval", patient(period("tcp_ip_notify_cinterval", "milliseconds", time.Millisecond, 1000, math.MaxUint32, "10000", func(t *Tunables) *time.Duration { return &t.Patience.ConnNotify }))),

	alias("_time_wait_interval", period("tcp_time_wait_interval", "milliseconds", time.Millisecond, 1000, 600_000, "60000", func(t *Tunables) *time.Duration { return &t.TimeWait })),
	alias("_fin_wait_2_flush_interval", period("tcp_fin_wait_2_flush_interval", "milliseconds", time.Millisecond, 1000, 7_200_000, "60000", func(t *Tunables) *time.Duration { return &t.FinTimeout })),
	alias("_rexmit_interval_initial", period("tcp_rexmit_interval_initial", "milliseconds", time.Millisecond, 1, 20_000, "1000", func(t *Tunables) *time.Duration { return &t.RTOInitial })),
	alias("_rexmit_interval_min", patient(period("tcp_rexmit_interval_min", "milliseconds", time.Millisecond, 1, 7_200_000, "400", func(t *Tunables) *time.Duration { return &t.Patience.RTOMin }))),
	alias("_rexmit_interval_max", period("tcp_rexmit_interval_max", "milliseconds", time.Millisecond, 1, 7_200_000, "60000", func(t *Tunables) *time.Duration { return &t.RTOMax })),
	alias("_rexmit_interval_extra", period("tcp_rexmit_interval_extra", "milliseconds", time.Millisecond, 0, 7_200_000, "0", func(t *Tunables) *time.Duration { return &t.RTOSlop })),
	alias("_deferred_ack_interval", period("tcp_deferred_ack_interval", "milliseconds", time.Millisecond, 1, 60_000, "100", func(t *Tunables) *time.Duration { return &t.DelAckTime })),
	alias("_slow_start_initial", count("tcp_slow_start_initial", "segments; 0: as RFC 3390 has it", 0, 16, "0", func(t *Tunables) *int32 { return &t.InitCwnd })),
	alias("_mss_def_ipv4", count("tcp_mss_def_ipv4", "bytes", leastMSS, 65535, "536", func(t *Tunables) *int32 { return &t.MSS4 })),
	alias("_mss_def_ipv6", count("tcp_mss_def_ipv6", "bytes", leastMSS, 65535, "1220", func(t *Tunables) *int32 { return &t.MSS6 })),
	alias("_conn_req_max_q", count("tcp_conn_req_max_q", "connections", 1, 65535, "128", func(t *Tunables) *int32 { return &t.Somaxconn })),
	alias("_conn_req_max_q0", count("tcp_conn_req_max_q0", "connections", 0, math.MaxInt32, "1024", func(t *Tunables) *int32 { return &t.MaxSynBacklog })),
	alias("_ipv4_ttl", octet("tcp_ipv4_ttl", "hops", 1, "60", func(t *Tunables) *uint8 { return &t.DefaultTTL })),
	alias("_ipv6_hoplimit", octet("tcp_ipv6_hoplimit", "hops", 1, "60", func(t *Tunables) *uint8 { return &t.HopLimit })),

	{
		name: "tcp_max_buf", alias: "max_buf", unit: "bytes", fields: 1, min: 8192, max: 1 << 30, def: "1048576",
		bound: "not below tcp_recv_hiwat and tcp_xmit_hiwat", fits: func(t *Tunables) bool { return rmemFits(t) && wmemFits(t) },
		set: func(t *Tunables, v []int64) {
			n := int32(v[0])
			t.CoreRmemMax, t.CoreWmemMax, t.TCPRmem.Max, t.TCPWmem.Max = n, n, n, n
		},
		get: func(t *Tunables) []int64 { return []int64{int64(min(t.CoreRmemMax, t.CoreWmemMax))} },
	},
	alias("recv_buf", bounded(count("tcp_recv_hiwat", "bytes", leastBuf, 1<<30, "128000", func(t *Tunables) *int32 { return &t.TCPRmem.Default }), "not above tcp_max_buf", rmemFits)),
	alias("send_buf", bounded(count("tcp_xmit_hiwat", "bytes", leastBuf, 1<<30, "49152", func(t *Tunables) *int32 { return &t.TCPWmem.Default }), "not above tcp_max_buf", wmemFits)),
	alias("smallest_anon_port", bounded(port16("tcp_smallest_anon_port", "32768", func(t *Tunables) *uint16 { return &t.PortMin }), "not above tcp_largest_anon_port", portsFit)),
	alias("largest_anon_port", bounded(port16("tcp_largest_anon_port", "65535", func(t *Tunables) *uint16 { return &t.PortMax }), "not below tcp_smallest_anon_port", portsFit)),
	alias("_min_anonpriv_port", tunableRow{
		name: "tcp_min_anonpriv_port", unit: "least port that TCP_ANONPRIVBIND chooses", fields: 1, min: 1, max: 1023, def: "512",
		only: func(p *Profile) bool { return p.Bind.AnonPrivMax != 0 },
		set:  func(t *Tunables, v []int64) { t.AnonPrivMin = uint16(v[0]) },
		get:  func(t *Tunables) []int64 { return []int64{int64(t.AnonPrivMin)} },
	}),
	alias("smallest_nonpriv_port", port16("tcp_smallest_nonpriv_port", "1024", func(t *Tunables) *uint16 { return &t.UnprivilegedPortStart })),
	alias("extra_priv_ports", tunableRow{
		name: "tcp_extra_priv_ports", unit: "ports from tcp_smallest_nonpriv_port on that take the privilege, too", def: "2049,4045",
		only: func(p *Profile) bool { return p.Bind.AnonPrivMax != 0 },
		text: &extraPrivText,
	}),
	{
		name: "congestion_control", unit: "name",
		words: func(p *Profile) []string { return p.Congestion },
		word:  func(t *Tunables) *string { return &t.CongestionControl },
	},
}

// neverPassiveActive are ipadm(8)'s words for 0, 1 and 2.
var neverPassiveActive = []string{"never", "passive", "active"}
