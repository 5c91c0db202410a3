package sockopt

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// freebsdTunables are the MIB variables of FreeBSD's tcp(4) (2018) and those of
// mod_cc(4), ip(4) and kern.ipc that belong to them, with the defaults of a
// machine with plenty of memory. What FreeBSD measures in milliseconds is so here.
var freebsdTunables = []tunableRow{
	{
		name: "net.inet.tcp.rfc1323", unit: "0 off, 1 window scaling and timestamps", fields: 1, max: 1, def: "1",
		set: func(t *Tunables, v []int64) { t.WindowScaling, t.Timestamps = v[0] != 0, v[0] != 0 },
		get: func(t *Tunables) []int64 { return []int64{int64(truth(t.WindowScaling && t.Timestamps))} },
	},
	count("net.inet.tcp.mssdflt", "bytes", leastMSS, 65535, "536", func(t *Tunables) *int32 { return &t.MSS4 }),
	count("net.inet.tcp.v6mssdflt", "bytes", leastMSS, 65535, "1220", func(t *Tunables) *int32 { return &t.MSS6 }),
	count("net.inet.tcp.minmss", "bytes", leastMSS, 65535, "216", func(t *Tunables) *int32 { return &t.MinSndMSS }),
	bounded(count("net.inet.tcp.recvbuf_max", "bytes", leastBuf, math.MaxInt32, "2097152", func(t *Tunables) *int32 { return &t.TCPRmem.Max }), "not below recvspace", rmemFits),
	bounded(count("net.inet.tcp.recvspace", "bytes", leastBuf, math.MaxInt32, "65536", func(t *Tunables) *int32 { return &t.TCPRmem.Default }), "not above recvbuf_max", rmemFits),
	toggle("net.inet.tcp.recvbuf_auto", "1", func(t *Tunables) *bool { return &t.ModerateRcvbuf }),
	bounded(count("net.inet.tcp.sendbuf_max", "bytes", leastBuf, math.MaxInt32, "2097152", func(t *Tunables) *int32 { return &t.TCPWmem.Max }), "not below sendspace", wmemFits),
	bounded(count("net.inet.tcp.sendspace", "bytes", leastBuf, math.MaxInt32, "32768", func(t *Tunables) *int32 { return &t.TCPWmem.Default }), "not above sendbuf_max", wmemFits),
	count("net.inet.tcp.log_in_vain", "1 SYNs, 2 all segments to ports without a socket, anything else off", math.MinInt32, math.MaxInt32, "0", func(t *Tunables) *int32 { return &t.LogInVain }),
	count("net.inet.tcp.blackhole", "0 off, 1 no RST for SYNs, 2 for no segment to ports without a socket", 0, 2, "0", func(t *Tunables) *int32 { return &t.Blackhole }),

	{
		name: "net.inet.tcp.msl", unit: "milliseconds", fields: 1, min: 1, max: 3_600_000, def: "30000",
		set: func(t *Tunables, v []int64) { t.TimeWait = 2 * time.Duration(v[0]) * time.Millisecond },
		get: func(t *Tunables) []int64 { return []int64{int64(t.TimeWait / 2 / time.Millisecond)} },
	},
	period("net.inet.tcp.keepinit", "milliseconds", time.Millisecond, 1, math.MaxInt32, "75000", func(t *Tunables) *time.Duration { return &t.KeepInit }),
	period("net.inet.tcp.keepidle", "milliseconds", time.Millisecond, 1, math.MaxInt32, "7200000", func(t *Tunables) *time.Duration { return &t.KeepaliveTime }),
	period("net.inet.tcp.keepintvl", "milliseconds", time.Millisecond, 1, math.MaxInt32, "75000", func(t *Tunables) *time.Duration { return &t.KeepaliveIntvl }),
	count("net.inet.tcp.keepcnt", "probes", 1, 127, "8", func(t *Tunables) *int32 { return &t.KeepaliveProbes }),
	toggle("net.inet.tcp.always_keepalive", "1", func(t *Tunables) *bool { return &t.KeepAll }),
	toggle("net.inet.tcp.icmp_may_rst", "1", func(t *Tunables) *bool { return &t.ICMPMayReset }),
	toggle("net.inet.tcp.do_tcpdrain", "1", func(t *Tunables) *bool { return &t.ReassDrain }),
	toggle("net.inet.tcp.delayed_ack", "1", func(t *Tunables) *bool { return &t.DelayedAck }),
	period("net.inet.tcp.delacktime", "milliseconds", time.Millisecond, 1, 500, "40", func(t *Tunables) *time.Duration { return &t.DelAckTime }),
	toggle("net.inet.tcp.path_mtu_discovery", "1", func(t *Tunables) *bool { return &t.PathMTU }),
	gauge("net.inet.tcp.tcbhashsize", "buckets: the table grows with what is in it", hashSize),
	gauge("net.inet.tcp.pcbcount", "control blocks in use", func(g Gauges, _ *Profile) string { return strconv.Itoa(g.TCPBlocks()) }),
	{
		name: "net.inet.tcp.syncookies", unit: "0 off, 1 under load", fields: 1, max: 1, def: "1",
		set: func(t *Tunables, v []int64) { t.SynCookies = int32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(min(t.SynCookies, 1))} },
	},
	{
		name: "net.inet.tcp.syncookies_only", unit: "0 off, 1 always", fields: 1, max: 1,
		set: func(t *Tunables, v []int64) { t.SynCookies = 1 + int32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(truth(t.SynCookies == 2))} },
	},
	period("net.inet.tcp.isn_reseed_interval", "seconds, 0 never", time.Second, 0, 86400, "0", func(t *Tunables) *time.Duration { return &t.ISNReseedInterval }),

	gauge("net.inet.tcp.reass.cursegments", "segments behind a gap, of all connections", func(g Gauges, _ *Profile) string { return strconv.Itoa(g.ReassemblySegments()) }),
	starting(count("net.inet.tcp.reass.maxsegments", "segments behind a gap, of all connections", 1, math.MaxInt32, "65536", func(t *Tunables) *int32 { return &t.ReassMax })),
	count("net.inet.tcp.reass.maxqueuelen", "segments behind a gap, of one connection; 0: as its buffer allows", 0, math.MaxInt32, "100", func(t *Tunables) *int32 { return &t.ReassQueue }),

	period("net.inet.tcp.rexmit_initial", "milliseconds", time.Millisecond, 1, 60_000, "1000", func(t *Tunables) *time.Duration { return &t.RTOInitial }),
	period("net.inet.tcp.rexmit_min", "milliseconds", time.Millisecond, 0, 60_000, "30", func(t *Tunables) *time.Duration { return &t.RTOFloor }),
	period("net.inet.tcp.rexmit_slop", "milliseconds", time.Millisecond, 0, 60_000, "200", func(t *Tunables) *time.Duration { return &t.RTOSlop }),
	count("net.inet.tcp.initcwnd_segments", "segments; 0: as rfc3390 says", 0, 1000, "10", func(t *Tunables) *int32 { return &t.InitCwnd }),
	toggle("net.inet.tcp.rfc3042", "1", func(t *Tunables) *bool { return &t.LimitedXmit }),
	toggle("net.inet.tcp.rfc3390", "1", func(t *Tunables) *bool { return &t.RFC3390 }),

	toggle("net.inet.tcp.sack.enable", "1", func(t *Tunables) *bool { return &t.SACK }),
	count("net.inet.tcp.sack.maxholes", "holes that a peer may report, of one connection", 0, math.MaxInt32, "128", func(t *Tunables) *int32 { return &t.SACKHoles }),
	count("net.inet.tcp.sack.globalmaxholes", "and of all", 0, math.MaxInt32, "65536", func(t *Tunables) *int32 { return &t.SACKGlobalHoles }),
	gauge("net.inet.tcp.sack.globalholes", "holes that peers have reported", func(g Gauges, _ *Profile) string { return strconv.Itoa(g.SACKHoles()) }),

	count("net.inet.tcp.maxtcptw", "connections", 0, math.MaxInt32, "27767", func(t *Tunables) *int32 { return &t.MaxTwBuckets }),
	{
		name: "net.inet.tcp.nolocaltimewait", unit: "0 off, 1 on", fields: 1, max: 1, def: "0",
		set: func(t *Tunables, v []int64) { t.LocalTimeWait = v[0] == 0 },
		get: func(t *Tunables) []int64 { return []int64{int64(truth(!t.LocalTimeWait))} },
	},
	toggle("net.inet.tcp.fast_finwait2_recycle", "0", func(t *Tunables) *bool { return &t.FastFinWait2 }),
	period("net.inet.tcp.finwait2_timeout", "milliseconds", time.Millisecond, 1, math.MaxInt32, "60000", func(t *Tunables) *time.Duration { return &t.FinTimeout }),

	{
		name: "net.inet.tcp.ecn.enable", unit: "0 off, 1 asked for and agreed to, 2 agreed to", fields: 1, max: 2, def: "2",
		set: func(t *Tunables, v []int64) { t.ECN = int32(v[0]) }, // the numbers mean the same on Linux
		get: func(t *Tunables) []int64 { return []int64{int64(t.ECN)} },
	},
	count("net.inet.tcp.ecn.maxretries", "retransmissions", 0, 127, "1", func(t *Tunables) *int32 { return &t.ECNMaxRetries }),
	{
		name: "net.inet.tcp.pmtud_blackhole_detection", unit: "0 off, 1 on", fields: 1, max: 1, def: "0",
		set: func(t *Tunables, v []int64) { t.MTUProbing = int32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(min(t.MTUProbing, 1))} },
	},
	count("net.inet.tcp.pmtud_blackhole_mss", "bytes", leastMSS, 65535, "1200", func(t *Tunables) *int32 { return &t.BaseMSS }),
	count("net.inet.tcp.v6pmtud_blackhole_mss", "bytes; 0: as of IPv4", 0, 65535, "1220", func(t *Tunables) *int32 { return &t.BaseMSS6 }),
	counter("net.inet.tcp.pmtud_blackhole_activated", "times that the configured MSS was tried", "TCP.PMTUDBlackholeActivated"),
	counter("net.inet.tcp.pmtud_blackhole_activated_min_mss", "times that the least MSS was tried", "TCP.PMTUDBlackholeMinMSS"),
	counter("net.inet.tcp.pmtud_blackhole_failed", "connections for which neither helped", "TCP.PMTUDBlackholeFailed"),

	gauge("net.inet.tcp.functions_available", "function blocks", func(Gauges, *Profile) string { return strings.Join(functionBlocks, " ") }),
	{
		name: "net.inet.tcp.functions_default", unit: "name", def: functionBlocks[0],
		words: func(*Profile) []string { return functionBlocks },
		word:  func(t *Tunables) *string { return &t.FunctionsDefault },
	},
	toggle("net.inet.tcp.functions_inherit_listen_socket_stack", "1", func(t *Tunables) *bool { return &t.FunctionsInherit }),
	toggle("net.inet.tcp.insecure_rst", "0", func(t *Tunables) *bool { return &t.InsecureRST }),
	toggle("net.inet.tcp.insecure_syn", "0", func(t *Tunables) *bool { return &t.InsecureSYN }),

	gauge("net.inet.tcp.cc.available", "algorithms", func(_ Gauges, p *Profile) string { return strings.Join(p.Congestion, " ") }),
	{
		name: "net.inet.tcp.cc.algorithm", unit: "name",
		words: func(p *Profile) []string { return p.Congestion },
		word:  func(t *Tunables) *string { return &t.CongestionControl },
	},
	bounded(port16("net.inet.ip.portrange.first", "10000", func(t *Tunables) *uint16 { return &t.PortMin }), "not above portrange.last", portsFit),
	bounded(port16("net.inet.ip.portrange.last", "65535", func(t *Tunables) *uint16 { return &t.PortMax }), "not below portrange.first", portsFit),
	{
		name: "net.inet.ip.portrange.reservedhigh", unit: "port", fields: 1, max: 65534, def: "1023",
		set: func(t *Tunables, v []int64) { t.UnprivilegedPortStart = uint16(v[0]) + 1 },
		get: func(t *Tunables) []int64 { return []int64{max(int64(t.UnprivilegedPortStart)-1, 0)} },
	},
	octet("net.inet.ip.ttl", "hops", 1, "64", func(t *Tunables) *uint8 { return &t.DefaultTTL }),
	octet("net.inet6.ip6.hlim", "hops", 1, "64", func(t *Tunables) *uint8 { return &t.HopLimit }),
	toggle("net.inet.ip.accept_sourceroute", "0", func(t *Tunables) *bool { return &t.AcceptSourceRoute }),
	{
		name: "kern.ipc.maxsockbuf", unit: "bytes", fields: 1, min: leastBuf, max: math.MaxInt32, def: "2097152",
		set: func(t *Tunables, v []int64) { t.CoreRmemMax, t.CoreWmemMax = int32(v[0]), int32(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(min(t.CoreRmemMax, t.CoreWmemMax))} },
	},
	count("kern.ipc.soacceptqueue", "connections", 0, 65535, "128", func(t *Tunables) *int32 { return &t.Somaxconn }),
}
