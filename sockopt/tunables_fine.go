package sockopt

import (
	"math"
	"time"
)

// Fine are the values of Linux that are rarely touched: its rows for them are in
// this file. They are a part of Tunables.
type Fine struct {
	MaxReordering int32 // net.ipv4.tcp_max_reordering: segments that tcp_reordering may grow to on a path that reorders

	CompSackDelay time.Duration // net.ipv4.tcp_comp_sack_delay_ns: how long an acknowledgement of text behind a gap waits at most
	CompSackSlack time.Duration // net.ipv4.tcp_comp_sack_slack_ns: and how much longer, to go with others
	CompSackMost  int32         // net.ipv4.tcp_comp_sack_nr: segments that one such acknowledgement stands for; 0: they do not wait

	PaceSlowStart int32 // net.ipv4.tcp_pacing_ss_ratio, percent of the window in a round trip
	PaceAvoidance int32 // net.ipv4.tcp_pacing_ca_ratio
	MinTSOSegs    int32 // net.ipv4.tcp_min_tso_segs: leave at once when pacing
	TSORTTLog     int32 // net.ipv4.tcp_tso_rtt_log: powers of two of microseconds by which short round trips enlarge that; 0: they do not
	TSOWinDivisor int32 // net.ipv4.tcp_tso_win_divisor: the part of the window worth sending while more may come

	ShrinkWindow  bool  // net.ipv4.tcp_shrink_window: the window's right edge may go back
	SignedWindows bool  // net.ipv4.tcp_workaround_signed_windows: no unscaled window above 32767
	AppWin        int32 // net.ipv4.tcp_app_win: the first window leaves 1/2^n of the buffer; 0 and 31: nothing
	PingPong      int32 // net.ipv4.tcp_pingpong_thresh: answers that make an exchange interactive

	SynLinear                     int32         // net.ipv4.tcp_syn_linear_timeouts: SYNs before timeouts double
	MinRTTWindow                  time.Duration // net.ipv4.tcp_min_rtt_wlen: how long the least round trip counts
	TwReuseDelay                  time.Duration // net.ipv4.tcp_tw_reuse_delay
	ReflectTOS                    bool          // net.ipv4.tcp_reflect_tos: what a peer opens has the TOS of its SYN
	NoMetricsSave, NoSsthreshSave bool          // net.ipv4.tcp_no_metrics_save, tcp_no_ssthresh_metrics_save: nothing, or no threshold, is kept for the next connection

	MigrateReq bool // net.ipv4.tcp_migrate_req: who waits at a listener that closes goes to one that shares its port

	ECNOption       int32 // net.ipv4.tcp_ecn_option: the option of RFC 9768: 0 never, 1 with news, 2 where there is room
	ECNOptionBeacon int32 // net.ipv4.tcp_ecn_option_beacon: and so often in a round trip

	FastOpenKey   string // net.ipv4.tcp_fastopen_key: 16 bytes, or twice as many; empty: the stack's own
	ReservedPorts string // net.ipv4.ip_local_reserved_ports, ascending ranges; see PortReserved
	NonlocalBind  bool   // net.ipv4.ip_nonlocal_bind
	NonlocalBind6 bool   // net.ipv6.ip_nonlocal_bind
	AutobindReuse bool   // net.ipv4.ip_autobind_reuse: port 0 shares a port before it fails

	OptmemMax int32 // net.core.optmem_max: bytes of ancillary data of one call

	AdvWinScale, FACK, LowLatency int32 // kept, as on Linux, where they do nothing any more

	StrongISS      int32  // tcp_strong_iss of illumos: 0 and 1 count, 2 is RFC 6528
	AnonPrivMin    uint16 // tcp_min_anonpriv_port of illumos: least port of TCP_ANONPRIVBIND
	ExtraPrivPorts string // tcp_extra_priv_ports of illumos, see PortPrivileged
	HoleDefaultMSS bool   // MSS4 or MSS6 is tried last behind a black hole, as on FreeBSD, and not MTUProbeFloor
}

var linuxFine = []tunableRow{
	count("net.ipv4.tcp_max_reordering", "segments that a path may be found to reorder by; then so many above a hole make it a loss where losses are counted", 1, math.MaxInt32, "300", func(t *Tunables) *int32 { return &t.MaxReordering }),
	period("net.ipv4.tcp_comp_sack_delay_ns", "nanoseconds that the acknowledgement of text behind a gap waits for more, at most; 1/20 of the round trip if that is less", time.Nanosecond, 0, int64(time.Second), "1000000", func(t *Tunables) *time.Duration { return &t.CompSackDelay }),
	period("net.ipv4.tcp_comp_sack_slack_ns", "nanoseconds that it may wait longer, so that several go together", time.Nanosecond, 0, int64(time.Second), "100000", func(t *Tunables) *time.Duration { return &t.CompSackSlack }),
	// Linux's default is 44. RFC 5681 section 4.2 wants each acknowledged at once;
	// those that arrive together share one here anyway.
	count("net.ipv4.tcp_comp_sack_nr", "segments behind a gap that share an acknowledgement, after the first three; 0: none", 0, 255, "0", func(t *Tunables) *int32 { return &t.CompSackMost }),
	count("net.ipv4.tcp_pacing_ss_ratio", "percent of the window that slow start spreads over a round trip, where that is done; 0 not paced", 0, 1000, "200", func(t *Tunables) *int32 { return &t.PaceSlowStart }),
	count("net.ipv4.tcp_pacing_ca_ratio", "the same in congestion avoidance", 0, 1000, "120", func(t *Tunables) *int32 { return &t.PaceAvoidance }),
	count("net.ipv4.tcp_min_tso_segs", "segments that leave at once while paced, at least", 1, 255, "2", func(t *Tunables) *int32 { return &t.MinTSOSegs }),
	// Linux's default is 9. Then a rate that the program has asked for is no bound for
	// what leaves at once.
	count("net.ipv4.tcp_tso_rtt_log", "while paced 64 KiB more leave at once, halved for every 2^n microseconds of round trip; 0 not", 0, 255, "0", func(t *Tunables) *int32 { return &t.TSORTTLog }),
	count("net.ipv4.tcp_tso_win_divisor", "1/n of the congestion window is sent at once also when more may come; 0: three segments are", 0, 255, "3", func(t *Tunables) *int32 { return &t.TSOWinDivisor }),

	toggle("net.ipv4.tcp_shrink_window", "0", func(t *Tunables) *bool { return &t.ShrinkWindow }),
	toggle("net.ipv4.tcp_workaround_signed_windows", "0", func(t *Tunables) *bool { return &t.SignedWindows }),
	count("net.ipv4.tcp_app_win", "the window begins without 1/2^n of the buffer; 0 and 31: with all", 0, 31, "31", func(t *Tunables) *int32 { return &t.AppWin }),
	count("net.ipv4.tcp_pingpong_thresh", "answers after which acknowledgements wait for more of them", 1, 255, "1", func(t *Tunables) *int32 { return &t.PingPong }),

	// Linux's default is 4: five SYNs a second apart. RFC 6298 section 5.5 doubles.
	count("net.ipv4.tcp_syn_linear_timeouts", "SYNs, beyond tcp_syn_retries, before timeouts double", 0, 127, "0", func(t *Tunables) *int32 { return &t.SynLinear }),
	period("net.ipv4.tcp_min_rtt_wlen", "seconds that the least round trip counts", time.Second, 0, 86400, "300", func(t *Tunables) *time.Duration { return &t.MinRTTWindow }),
	period("net.ipv4.tcp_tw_reuse_delay", "milliseconds in TIME-WAIT before tcp_tw_reuse", time.Millisecond, 1, 60_000, "1000", func(t *Tunables) *time.Duration { return &t.TwReuseDelay }),
	toggle("net.ipv4.tcp_reflect_tos", "0", func(t *Tunables) *bool { return &t.ReflectTOS }),
	// Linux's default is 0. Then an hour of congestion is remembered for as long.
	toggle("net.ipv4.tcp_no_metrics_save", "1", func(t *Tunables) *bool { return &t.NoMetricsSave }),
	toggle("net.ipv4.tcp_no_ssthresh_metrics_save", "1", func(t *Tunables) *bool { return &t.NoSsthreshSave }),
	toggle("net.ipv4.tcp_migrate_req", "0", func(t *Tunables) *bool { return &t.MigrateReq }),

	// Linux's default is 2, which costs 12 bytes of every acknowledgement.
	count("net.ipv4.tcp_ecn_option", "the option of RFC 9768: 0 never, 1 when counts have changed, 2 wherever there is room", 0, 2, "1", func(t *Tunables) *int32 { return &t.ECNOption }),
	count("net.ipv4.tcp_ecn_option_beacon", "times in a round trip that it is sent also without a change", 0, 3, "3", func(t *Tunables) *int32 { return &t.ECNOptionBeacon }),

	{name: "net.ipv4.tcp_fastopen_key", unit: "key of Fast Open's cookies, and another that is still good; zeros: the stack's own", def: noKey, text: &fastOpenKeyText},
	{name: "net.ipv4.ip_local_reserved_ports", unit: "ports that nobody gets without naming them", text: &reservedPortsText},
	toggle("net.ipv4.ip_nonlocal_bind", "0", func(t *Tunables) *bool { return &t.NonlocalBind }),
	{
		name: "net.ipv6.ip_nonlocal_bind", alias: "net.ipv6.ip_nonlocal_bind", unit: "0 off, 1 on", fields: 1, max: 1, def: "0",
		set: func(t *Tunables, v []int64) { t.NonlocalBind6 = v[0] != 0 },
		get: func(t *Tunables) []int64 { return []int64{int64(truth(t.NonlocalBind6))} },
	},
	toggle("net.ipv4.ip_autobind_reuse", "0", func(t *Tunables) *bool { return &t.AutobindReuse }),
	count("net.core.optmem_max", "bytes of ancillary data of one call, else ENOBUFS", 16, 131072, "131072", func(t *Tunables) *int32 { return &t.OptmemMax }),

	// What Linux itself has left without an effect.
	count("net.ipv4.tcp_adv_win_scale", "no effect, as on Linux since 6.6", -31, 31, "1", func(t *Tunables) *int32 { return &t.AdvWinScale }),
	count("net.ipv4.tcp_fack", "no effect, as on Linux since 4.15", 0, 255, "0", func(t *Tunables) *int32 { return &t.FACK }),
	count("net.ipv4.tcp_low_latency", "no effect, as on Linux since 4.14", 0, 255, "0", func(t *Tunables) *int32 { return &t.LowLatency }),

	// What is one way here, which is said by the only value that is accepted.
	fixed("net.ipv4.tcp_autocorking", 1, "1: what is written while earlier text waits for its turn is joined to it. Nothing waits behind the stack, so there is nothing else to wait for"),
	fixed("net.ipv4.tcp_backlog_ack_defer", 1, "1: segments that arrive together have one acknowledgement"),
	fixed("net.ipv4.tcp_retrans_collapse", 1, "1: what is sent again is cut anew"),
	gauge("net.ipv4.tcp_available_ulp", "names: there are none", func(Gauges, *Profile) string { return "" }),
	gauge("net.ipv4.tcp_ehash_entries", "buckets: the table grows with what is in it", hashSize),
}

// fixed is a row of what the stack does in one way only.
func fixed(name string, value int64, unit string) tunableRow {
	return tunableRow{
		name: name, unit: unit, fields: 1, min: value, max: value,
		set: func(*Tunables, []int64) {},
		get: func(*Tunables) []int64 { return []int64{value} },
	}
}
