package sockopt

import (
	"math"
	"slices"
	"strings"
	"time"
)

// linuxTunables are named and bounded as Documentation/networking/ip-sysctl.rst
// of Linux has them; the defaults are those of a machine with plenty of memory.
var linuxTunables = slices.Concat(linuxMain, linuxFine)

var linuxMain = []tunableRow{
	triple("net.ipv4.tcp_rmem", "4096 131072 6291456", func(t *Tunables) *Triple { return &t.TCPRmem }),
	triple("net.ipv4.tcp_wmem", "4096 16384 4194304", func(t *Tunables) *Triple { return &t.TCPWmem }),
	count("net.core.rmem_default", "bytes", minRcvBuf, math.MaxInt32, "212992", func(t *Tunables) *int32 { return &t.CoreRmemDefault }),
	count("net.core.wmem_default", "bytes", minSndBuf, math.MaxInt32, "212992", func(t *Tunables) *int32 { return &t.CoreWmemDefault }),
	count("net.core.rmem_max", "bytes", minRcvBuf, math.MaxInt32, "4194304", func(t *Tunables) *int32 { return &t.CoreRmemMax }),
	count("net.core.wmem_max", "bytes", minSndBuf, math.MaxInt32, "4194304", func(t *Tunables) *int32 { return &t.CoreWmemMax }),
	count("net.core.somaxconn", "connections", 0, 65535, "4096", func(t *Tunables) *int32 { return &t.Somaxconn }),

	count("net.ipv4.tcp_syn_retries", "retransmissions", 1, 127, "6", func(t *Tunables) *int32 { return &t.SynRetries }),
	count("net.ipv4.tcp_synack_retries", "retransmissions", 0, 255, "5", func(t *Tunables) *int32 { return &t.SynAckRetries }),
	count("net.ipv4.tcp_retries1", "retransmissions", 0, 255, "3", func(t *Tunables) *int32 { return &t.Retries1 }),
	count("net.ipv4.tcp_retries2", "retransmissions", 0, 255, "15", func(t *Tunables) *int32 { return &t.Retries2 }),
	count("net.ipv4.tcp_orphan_retries", "retransmissions", 0, 255, "0", func(t *Tunables) *int32 { return &t.OrphanRetries }),

	period("net.ipv4.tcp_fin_timeout", "seconds", time.Second, 1, 120, "60", func(t *Tunables) *time.Duration { return &t.FinTimeout }),
	period("net.ipv4.tcp_keepalive_time", "seconds", time.Second, 1, 32767, "7200", func(t *Tunables) *time.Duration { return &t.KeepaliveTime }),
	period("net.ipv4.tcp_keepalive_intvl", "seconds", time.Second, 1, 32767, "75", func(t *Tunables) *time.Duration { return &t.KeepaliveIntvl }),
	count("net.ipv4.tcp_keepalive_probes", "probes", 1, 127, "9", func(t *Tunables) *int32 { return &t.KeepaliveProbes }),
	period("net.ipv4.tcp_rto_min_us", "microseconds", time.Microsecond, 1, 200_000, "200000", func(t *Tunables) *time.Duration { return &t.RTOMin }),
	period("net.ipv4.tcp_rto_max_ms", "milliseconds", time.Millisecond, 1000, 120_000, "120000", func(t *Tunables) *time.Duration { return &t.RTOMax }),

	toggle("net.ipv4.tcp_window_scaling", "1", func(t *Tunables) *bool { return &t.WindowScaling }),
	toggle("net.ipv4.tcp_timestamps", "1", func(t *Tunables) *bool { return &t.Timestamps }),
	toggle("net.ipv4.tcp_sack", "1", func(t *Tunables) *bool { return &t.SACK }),
	toggle("net.ipv4.tcp_dsack", "1", func(t *Tunables) *bool { return &t.DSACK }),
	count("net.ipv4.tcp_reordering", "segments", 1, 300, "3", func(t *Tunables) *int32 { return &t.Reordering }),
	count("net.ipv4.tcp_recovery", "sum of 1 RACK, 2 no adaptation to D-SACKs, 4 no three segments", 0, 7, "1", func(t *Tunables) *int32 { return &t.Recovery }),
	count("net.ipv4.tcp_early_retrans", "0 to 2 no tail loss probes, else on", 0, 4, "3", func(t *Tunables) *int32 { return &t.EarlyRetrans }),
	count("net.ipv4.tcp_frto", "0 off, else on", 0, 2, "2", func(t *Tunables) *int32 { return &t.FRTO }),
	toggle("net.ipv4.tcp_abort_on_overflow", "0", func(t *Tunables) *bool { return &t.AbortOnOverflow }),
	toggle("net.ipv4.tcp_thin_linear_timeouts", "0", func(t *Tunables) *bool { return &t.ThinLinear }),
	toggle("net.ipv4.tcp_slow_start_after_idle", "1", func(t *Tunables) *bool { return &t.SlowStartAfterIdle }),
	toggle("net.ipv4.tcp_moderate_rcvbuf", "1", func(t *Tunables) *bool { return &t.ModerateRcvbuf }),

	// Linux is alone with 0, which lets a stray RST end TIME-WAIT.
	toggle("net.ipv4.tcp_rfc1337", "1", func(t *Tunables) *bool { return &t.RFC1337 }),
	toggle("net.ipv4.tcp_stdurg", "0", func(t *Tunables) *bool { return &t.StdUrg }),
	toggle("net.tcpcni.ignore_urgent", "0", func(t *Tunables) *bool { return &t.IgnoreUrgent }),
	period("net.tcpcni.rto_step", "milliseconds; 0: timeouts follow the round trip and double. Else they are this at first, grow by it, and tcp_retries2 counts them", time.Millisecond, 0, 60_000, "0", func(t *Tunables) *time.Duration { return &t.RTOStep }),
	toggle("net.tcpcni.insecure_rst", "0", func(t *Tunables) *bool { return &t.InsecureRST }),
	toggle("net.tcpcni.insecure_syn", "0", func(t *Tunables) *bool { return &t.InsecureSYN }),
	toggle("net.tcpcni.user_timeout_option", "0", func(t *Tunables) *bool { return &t.UserTimeoutOption }),
	period("net.tcpcni.isn_reseed_interval", "seconds, 0 never", time.Second, 0, 86400, "0", func(t *Tunables) *time.Duration { return &t.ISNReseedInterval }),

	// In and out: 0 neither, 1 ECN both, 2 ECN and none, 3 accurate both, 4 accurate
	// and ECN, 5 accurate and none. The default accepts the best that a peer offers
	// and asks for nothing, as some boxes still drop SYNs that ask; Linux's was 2
	// until 7.0 and is 5 since.
	count("net.ipv4.tcp_ecn", "0..5, as Linux", 0, 5, "5", func(t *Tunables) *int32 { return &t.ECN }),
	toggle("net.ipv4.tcp_ecn_fallback", "1", func(t *Tunables) *bool { return &t.ECNFallback }),
	// FreeBSD's net.inet.tcp.ecn.maxretries, and what RFC 9768 section 3.1.4.1 asks for.
	count("net.tcpcni.ecn_maxretries", "retransmissions", 0, 127, "1", func(t *Tunables) *int32 { return &t.ECNMaxRetries }),

	{
		name: "net.ipv4.tcp_mem", unit: "pages: unused, pressure, the most", fields: 3, min: 16, max: math.MaxInt32, def: "49152 65536 131072",
		set: func(t *Tunables, v []int64) { t.TCPMem = Triple{int32(v[0]), int32(v[1]), int32(v[2])} },
		get: func(t *Tunables) []int64 {
			return []int64{int64(t.TCPMem.Min), int64(t.TCPMem.Default), int64(t.TCPMem.Max)}
		},
	},
	count("net.ipv4.tcp_max_orphans", "connections", 0, math.MaxInt32, "16384", func(t *Tunables) *int32 { return &t.MaxOrphans }),
	count("net.ipv4.tcp_min_snd_mss", "bytes", 48, 65535, "48", func(t *Tunables) *int32 { return &t.MinSndMSS }),
	// Linux's default is 0: it has black holes for ever.
	count("net.ipv4.tcp_mtu_probing", "0 off, 1 when a black hole is found, 2 always", 0, 2, "1", func(t *Tunables) *int32 { return &t.MTUProbing }),
	count("net.ipv4.tcp_base_mss", "bytes", 48, 65535, "1024", func(t *Tunables) *int32 { return &t.BaseMSS }),
	count("net.ipv4.tcp_mtu_probe_floor", "bytes", 48, 65535, "48", func(t *Tunables) *int32 { return &t.MTUProbeFloor }),
	count("net.ipv4.tcp_probe_threshold", "bytes", 1, 65535, "8", func(t *Tunables) *int32 { return &t.ProbeThreshold }),
	period("net.ipv4.tcp_probe_interval", "seconds", time.Second, 1, math.MaxUint32/1000, "600", func(t *Tunables) *time.Duration { return &t.ProbeInterval }),
	count("net.ipv4.tcp_challenge_ack_limit", "a second", 1, math.MaxInt32, "1000", func(t *Tunables) *int32 { return &t.ChallengeAckLimit }),
	period("net.ipv4.tcp_invalid_ratelimit", "milliseconds", time.Millisecond, 0, math.MaxInt32, "500", func(t *Tunables) *time.Duration { return &t.InvalidRatelimit }),

	count("net.ipv4.tcp_tw_reuse", "0 off, 1 on, 2 loopback", 0, 2, "2", func(t *Tunables) *int32 { return &t.TwReuse }),
	count("net.ipv4.tcp_max_tw_buckets", "connections", 0, math.MaxInt32, "131072", func(t *Tunables) *int32 { return &t.MaxTwBuckets }),
	count("net.ipv4.tcp_max_syn_backlog", "connections", 0, math.MaxInt32, "2048", func(t *Tunables) *int32 { return &t.MaxSynBacklog }),
	{
		name: "net.ipv4.tcp_fastopen", unit: "1 client, 2 server, 4 client without cookie, 512 server without cookie, 1024 all listeners",
		fields: 1, max: 0x607, def: "1", bits: 0x607,
		set: func(t *Tunables, v []int64) { t.FastOpen = int32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(t.FastOpen)} },
	},
	period("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "seconds, 0 no detection", time.Second, 0, 86400, "0", func(t *Tunables) *time.Duration { return &t.FastOpenBlackhole }),
	count("net.tcpcni.syn_cache_bytes", "bytes", 16384, math.MaxInt32, "4194304", func(t *Tunables) *int32 { return &t.SynCacheBytes }),
	count("net.ipv4.tcp_syncookies", "0 off, 1 under load, 2 always", 0, 2, "1", func(t *Tunables) *int32 { return &t.SynCookies }),

	{
		name: "net.ipv4.tcp_congestion_control", unit: "name", def: linuxCongestion[0],
		words: func(p *Profile) []string { return p.Congestion },
		word:  func(t *Tunables) *string { return &t.CongestionControl },
	},
	gauge("net.ipv4.tcp_available_congestion_control", "names", func(_ Gauges, p *Profile) string { return strings.Join(p.Congestion, " ") }),
	{
		name: "net.ipv4.tcp_allowed_congestion_control", unit: "what TCP_CONGESTION takes without CAP_NET_ADMIN", list: true,
		words: func(p *Profile) []string { return p.Congestion },
		word:  func(t *Tunables) *string { return &t.AllowedCongestion },
	},
	count("net.ipv4.tcp_limit_output_bytes", "bytes that a connection sends before others have their turn", 4096, math.MaxInt32, "4194304", func(t *Tunables) *int32 { return &t.LimitOutput }),
	{
		name: "net.ipv4.ip_no_pmtu_disc", unit: "0 IPv4 finds out what a path carries, 1 new sockets do not", fields: 1, max: 1, def: "0",
		set: func(t *Tunables, v []int64) { t.PathMTU = v[0] == 0 },
		get: func(t *Tunables) []int64 { return []int64{int64(truth(!t.PathMTU))} },
	},
	// As FreeBSD's net.inet.tcp.functions_default and so on.
	{
		name: "net.tcpcni.functions_default", unit: "name", def: functionBlocks[0],
		words: func(*Profile) []string { return functionBlocks },
		word:  func(t *Tunables) *string { return &t.FunctionsDefault },
	},
	toggle("net.tcpcni.functions_inherit_listen_socket_stack", "1", func(t *Tunables) *bool { return &t.FunctionsInherit }),
	{
		name: "net.ipv4.tcp_notsent_lowat", unit: "bytes", fields: 1, max: math.MaxUint32, def: "4294967295",
		set: func(t *Tunables, v []int64) { t.NotSentLowat = uint32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(t.NotSentLowat)} },
	},

	{
		name: "net.ipv4.ip_local_port_range", unit: "ports", fields: 2, min: 1, max: 65535, def: "32768 60999",
		set: func(t *Tunables, v []int64) { t.PortMin, t.PortMax = uint16(v[0]), uint16(v[1]) },
		get: func(t *Tunables) []int64 { return []int64{int64(t.PortMin), int64(t.PortMax)} },
	},
	{
		name: "net.ipv4.ip_unprivileged_port_start", unit: "port", fields: 1, max: 65535, def: "1024",
		set: func(t *Tunables, v []int64) { t.UnprivilegedPortStart = uint16(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(t.UnprivilegedPortStart)} },
	},
	toggle("net.ipv4.conf.all.accept_source_route", "0", func(t *Tunables) *bool { return &t.AcceptSourceRoute }),
	octet("net.ipv4.ip_default_ttl", "hops", 1, "64", func(t *Tunables) *uint8 { return &t.DefaultTTL }),
	octet("net.ipv6.conf.default.hop_limit", "hops", 1, "64", func(t *Tunables) *uint8 { return &t.HopLimit }),
}

// triple is a row of three buffer sizes. The first is the kernel's page of
// 4096 bytes as the least that makes a working socket.
func triple(name, def string, field func(*Tunables) *Triple) tunableRow {
	return tunableRow{
		name: name, unit: "bytes: least, default, largest", fields: 3, min: 4096, max: math.MaxInt32, def: def,
		set: func(t *Tunables, v []int64) { *field(t) = Triple{int32(v[0]), int32(v[1]), int32(v[2])} },
		get: func(t *Tunables) []int64 {
			f := field(t)
			return []int64{int64(f.Min), int64(f.Default), int64(f.Max)}
		},
	}
}

func count(name, unit string, lo, hi int64, def string, field func(*Tunables) *int32) tunableRow {
	return tunableRow{
		name: name, unit: unit, fields: 1, min: lo, max: hi, def: def,
		set: func(t *Tunables, v []int64) { *field(t) = int32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(*field(t))} },
	}
}

func octet(name, unit string, lo int64, def string, field func(*Tunables) *uint8) tunableRow {
	return tunableRow{
		name: name, unit: unit, fields: 1, min: lo, max: math.MaxUint8, def: def,
		set: func(t *Tunables, v []int64) { *field(t) = uint8(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(*field(t))} },
	}
}

func period(name, unitName string, unit time.Duration, lo, hi int64, def string, field func(*Tunables) *time.Duration) tunableRow {
	return tunableRow{
		name: name, unit: unitName, fields: 1, min: lo, max: hi, def: def,
		set: func(t *Tunables, v []int64) { *field(t) = time.Duration(v[0]) * unit },
		get: func(t *Tunables) []int64 { return []int64{int64(*field(t) / unit)} },
	}
}

func toggle(name, def string, field func(*Tunables) *bool) tunableRow {
	return tunableRow{
		name: name, unit: "0 off, 1 on", fields: 1, max: 1, def: def,
		set: func(t *Tunables, v []int64) { *field(t) = v[0] != 0 },
		get: func(t *Tunables) []int64 { return []int64{int64(truth(*field(t)))} },
	}
}
