package sockopt

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Triple is a tunable of three values: least, default and largest, in bytes.
type Triple struct{ Min, Default, Max int32 }

// Tunables are the values of one sandbox that Linux keeps under /proc/sys/net.
// The names are those of sysctl(8) in the comments.
type Tunables struct {
	TCPRmem         Triple // net.ipv4.tcp_rmem
	TCPWmem         Triple // net.ipv4.tcp_wmem
	CoreRmemDefault int32  // net.core.rmem_default: receive buffer of a UDP socket
	CoreWmemDefault int32  // net.core.wmem_default
	CoreRmemMax     int32  // net.core.rmem_max: limit of SO_RCVBUF before doubling
	CoreWmemMax     int32  // net.core.wmem_max
	Somaxconn       int32  // net.core.somaxconn: limit of listen's backlog

	SynRetries    int32 // net.ipv4.tcp_syn_retries
	SynAckRetries int32 // net.ipv4.tcp_synack_retries
	Retries1      int32 // net.ipv4.tcp_retries1: timeouts before the route is doubted
	Retries2      int32 // net.ipv4.tcp_retries2: timeouts before the connection fails
	OrphanRetries int32 // net.ipv4.tcp_orphan_retries; 0 means 8

	FinTimeout      time.Duration // net.ipv4.tcp_fin_timeout
	KeepaliveTime   time.Duration // net.ipv4.tcp_keepalive_time
	KeepaliveIntvl  time.Duration // net.ipv4.tcp_keepalive_intvl
	KeepaliveProbes int32         // net.ipv4.tcp_keepalive_probes
	RTOMin          time.Duration // net.ipv4.tcp_rto_min_us
	RTOMax          time.Duration // net.ipv4.tcp_rto_max_ms

	WindowScaling      bool // net.ipv4.tcp_window_scaling
	Timestamps         bool // net.ipv4.tcp_timestamps
	SACK               bool // net.ipv4.tcp_sack
	AbortOnOverflow    bool // net.ipv4.tcp_abort_on_overflow
	RFC1337            bool // net.ipv4.tcp_rfc1337: a RST does not end TIME-WAIT
	StdUrg             bool // net.ipv4.tcp_stdurg: the peer's urgent pointer points at the urgent byte, not behind it
	InsecureRST        bool // net.tcpcni.insecure_rst: any RST in the window resets, as before RFC 5961
	InsecureSYN        bool // net.tcpcni.insecure_syn: a SYN in the window resets, as before RFC 5961
	UserTimeoutOption  bool // net.tcpcni.user_timeout_option: RFC 5482's option is sent and heeded
	SlowStartAfterIdle bool // net.ipv4.tcp_slow_start_after_idle
	ThinLinear         bool // net.ipv4.tcp_thin_linear_timeouts
	ModerateRcvbuf     bool // net.ipv4.tcp_moderate_rcvbuf: automatic tuning of the receive buffer

	ECN           int32 // net.ipv4.tcp_ecn: what is asked for and agreed to; see netstack/tcp/ecn.go
	ECNFallback   bool  // net.ipv4.tcp_ecn_fallback: SYNs that are not answered go on without ECN
	ECNMaxRetries int32 // net.tcpcni.ecn_maxretries: retransmissions of a SYN that still ask for ECN

	TCPMem            Triple        // net.ipv4.tcp_mem, pages of 4096 bytes: unused, pressure, the most
	MaxOrphans        int32         // net.ipv4.tcp_max_orphans
	MinSndMSS         int32         // net.ipv4.tcp_min_snd_mss, bytes
	MTUProbing        int32         // net.ipv4.tcp_mtu_probing: 0 off, 1 when a black hole is found, 2 always
	BaseMSS           int32         // net.ipv4.tcp_base_mss, bytes
	MTUProbeFloor     int32         // net.ipv4.tcp_mtu_probe_floor, bytes of MSS
	ProbeThreshold    int32         // net.ipv4.tcp_probe_threshold, bytes
	ProbeInterval     time.Duration // net.ipv4.tcp_probe_interval
	ChallengeAckLimit int32         // net.ipv4.tcp_challenge_ack_limit, a second
	InvalidRatelimit  time.Duration // net.ipv4.tcp_invalid_ratelimit
	ISNReseedInterval time.Duration // net.tcpcni.isn_reseed_interval; 0: never

	TwReuse       int32 // net.ipv4.tcp_tw_reuse: 0 off, 1 on, 2 loopback only
	MaxTwBuckets  int32 // net.ipv4.tcp_max_tw_buckets
	MaxSynBacklog int32 // net.ipv4.tcp_max_syn_backlog
	SynCacheBytes int32 // net.tcpcni.syn_cache_bytes: half-open connections of all listeners together
	SynCookies    int32 // net.ipv4.tcp_syncookies: 0 off, 1 when a listener's half-open connections are too many, 2 always

	Recovery          int32         // net.ipv4.tcp_recovery: 1 RACK, 2 no adaptation of its window to D-SACKs, 4 without the rule of three segments
	EarlyRetrans      int32         // net.ipv4.tcp_early_retrans: tail loss probes from 3 on
	FRTO              int32         // net.ipv4.tcp_frto: 0 off, else on
	FunctionsDefault  string        // net.tcpcni.functions_default: the function block of new sockets
	FunctionsInherit  bool          // net.tcpcni.functions_inherit_listen_socket_stack: or the listener's
	FastOpen          int32         // net.ipv4.tcp_fastopen, bits: 1 client, 2 server, 4 client without cookie, 0x200 server without cookie, 0x400 all listeners
	FastOpenBlackhole time.Duration // net.ipv4.tcp_fastopen_blackhole_timeout_sec; 0: no detection

	CongestionControl string // net.ipv4.tcp_congestion_control
	NotSentLowat      uint32 // net.ipv4.tcp_notsent_lowat, bytes

	PortMin               uint16 // net.ipv4.ip_local_port_range, first value
	PortMax               uint16 // net.ipv4.ip_local_port_range, second value
	UnprivilegedPortStart uint16 // net.ipv4.ip_unprivileged_port_start
	AcceptSourceRoute     bool   // net.ipv4.conf.all.accept_source_route
	DefaultTTL            uint8  // net.ipv4.ip_default_ttl
	HopLimit              uint8  // net.ipv6.conf.default.hop_limit

	Patience Patience // of systems that measure it by time

	AllowedCongestion string // net.ipv4.tcp_allowed_congestion_control; "": all
	LimitOutput       int32  // net.ipv4.tcp_limit_output_bytes: what a connection sends before others have their turn

	DSACK      bool  // net.ipv4.tcp_dsack: what arrives twice is reported (RFC 2883)
	Reordering int32 // net.ipv4.tcp_reordering: segments above a hole that make it a loss

	// What Linux has no names for; baseTunables has its values.
	TimeWait      time.Duration // 2 MSL
	LocalTimeWait bool          // connections within the stack wait, too
	KeepInit      time.Duration // for the handshake; 0: as many retransmissions as SynRetries says
	KeepAll       bool          // keep-alives as if every socket had asked
	FastFinWait2  bool          // a closed connection has FinTimeout in FIN-WAIT-2, else as long as keep-alives may fail

	MSS4, MSS6   int32 // of a peer that names none, bytes
	BaseMSS6     int32 // as BaseMSS, of IPv6; 0: BaseMSS
	PathMTU      bool  // IPv4 finds out what a path carries
	Blackhole    int32 // what no socket waits for gets no RST: 1 SYNs, 2 anything
	LogInVain    int32 // and is told in the log: 1 SYNs, 2 anything; no other value has a meaning
	ICMPMayReset bool  // a host that refuses by ICMP ends an attempt to connect

	RTOInitial time.Duration // before there is a round trip
	RTOFloor   time.Duration // the least timeout; RTOMin is the least margin for variation
	RTOSlop    time.Duration // added to what the round trips say

	RTOStep time.Duration // net.tcpcni.rto_step: the least timeout, and how much later the next is; 0: RFC 6298

	IgnoreUrgent bool // net.tcpcni.ignore_urgent: the peer's urgent pointer means nothing

	DelayedAck  bool          // acknowledgements wait for company
	DelAckTime  time.Duration // and for how long
	InitCwnd    int32         // initial window, segments; 0: as RFC 3390 or RFC 5681 has it
	RFC3390     bool          // which of them
	LimitedXmit bool          // RFC 3042

	SACKPassive bool // only a peer that offers it is answered
	// In our SYN, besides WindowScaling and Timestamps, which rule both directions.
	WScaleAlways    bool // else when the program wants more than 64 KiB
	TstampAlways    bool
	TstampIfWScale  bool  // together with a window scale
	ReassDrain      bool  // text behind a gap is given up when memory is short
	ReassMax        int32 // pieces behind gaps, of all connections
	ReassQueue      int32 // and of one; 0: as its buffer allows
	SACKHoles       int32 // that a peer may report, of one connection
	SACKGlobalHoles int32 // and of all

	Fine
}

// A tunableRow is one name of a tunable. Several systems have names for one
// value: rows that read and write the same field.
type tunableRow struct {
	name     string // as the system's own command has it
	alias    string // another name that is accepted; "": the name without its directory
	unit     string
	fields   int   // how many integers the value has
	min, max int64 // of each
	def      string
	bits     int64 // the only ones that a value may have; 0: any
	labels   []string
	access   tunableAccess
	only     func(p *Profile) bool // the profiles that have it; nil: all

	set func(t *Tunables, v []int64)
	get func(t *Tunables) []int64
	// fits reports whether the value goes with those that it depends on, which
	// bound says in words; nil: it depends on none.
	fits  func(t *Tunables) bool
	bound string

	// For the tunables that are words.
	words func(p *Profile) []string // what is accepted
	list  bool                      // any number of them; none so far is all
	word  func(t *Tunables) *string

	text *tunableText // Valid iff it is neither words nor numbers

	// show is the value of one that can only be read; it comes from the stack.
	show func(g Gauges, p *Profile) string
}

// tunableAccess says when a tunable can be set.
type tunableAccess uint8

const (
	anyTime  tunableAccess = iota
	atStart                // in a configuration, before the sandbox runs
	neverSet               // it can only be read
)

// allTunables are the names of every system, each accepted in every profile. A
// system's own come from its profile's list, which also has the defaults.
var allTunables = [][]tunableRow{linuxTunables, illumosTunables, freebsdTunables}

// short is the other name that is accepted: ipadm(8)'s, or for Linux the one
// without its directory.
func (r *tunableRow) short() string {
	if r.alias != "" {
		return r.alias
	}
	return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(r.name, "net.ipv4."), "net.core."), "net.tcpcni.")
}

// Tunable describes a tunable of a profile.
type Tunable struct {
	Name     string
	Short    string // the other name that is accepted
	Unit     string
	Accepted string
	Default  string // in this profile
	Own      bool   // the name is of the profile's system
	ReadOnly bool   // no configuration can set it
	Reach    Reach  // for whom a change counts

	Words    []string // the values, when they are words
	Numbers  int      // how many numbers a value has, when they are not
	Min, Max int64    // of each number
}

// TunableTable lists the tunables of the profile: its system's names first, then
// those of the others.
func (p *Profile) TunableTable() []Tunable {
	var list []Tunable
	fresh := *p
	fresh.Gauges = nil
	fresh.Tunables, _ = defaultTunables(p) // whoever made the profile has looked at the error
	for r, own := range p.tunableRows {
		t := Tunable{Name: r.name, Short: r.short(), Unit: r.unit, Accepted: r.accepted(p), Own: own, ReadOnly: r.access == neverSet, Reach: r.reach(p)}
		t.Default = r.value(&fresh)
		switch {
		case r.words != nil && !r.list:
			t.Words = r.words(p)
		case !t.ReadOnly && !r.list && r.text == nil:
			t.Numbers, t.Min, t.Max = r.fields, r.min, r.max
		}
		list = append(list, t)
	}
	return list
}

// tunableRows yields every row, and whether it is of the profile's own system.
func (p *Profile) tunableRows(yield func(r *tunableRow, own bool) bool) {
	lists := [][]tunableRow{p.tunables}
	for _, rows := range allTunables {
		if len(p.tunables) == 0 || &rows[0] != &p.tunables[0] {
			lists = append(lists, rows)
		}
	}
	for k, rows := range lists {
		for i := range rows {
			if r := &rows[i]; (r.only == nil || r.only(p)) && !yield(r, k == 0) {
				return
			}
		}
	}
}

// OtherTunableName is the short name of a tunable that is known by the long one,
// and the reverse; the name itself when it has no other.
func OtherTunableName(name string) string {
	for _, rows := range allTunables {
		for i := range rows {
			switch r := &rows[i]; name {
			case r.name:
				return r.short()
			case r.short():
				return r.name
			}
		}
	}
	return name
}

// NewTunables gives the profile's tunables their defaults and then the values
// of set, by the names of any system; those of Linux may be without "net.ipv4.",
// "net.core." or "net.tcpcni.". The profile uses the result from then on. An error
// names the tunable, the value and what is accepted, and leaves the profile as
// it was.
func NewTunables(p *Profile, set map[string]string) (*Tunables, error) {
	t, err := defaultTunables(p)
	if err != nil {
		return nil, err
	}
	if err := p.apply(t, set, atStart); err != nil {
		return nil, err
	}
	p.Tunables = t
	return t, nil
}

// apply sets all of set, which is done at the time that when says, or fails.
func (p *Profile) apply(t *Tunables, set map[string]string, when tunableAccess) error {
	rows := make([]*tunableRow, 0, len(set))
	shown := make([]string, 0, len(set))
	names := slices.Sorted(maps.Keys(set)) // the same mistake gives the same message
	for _, name := range names {
		row := p.tunable(name)
		switch {
		case row == nil && absence(name) != "":
			return unknownTunable(name)
		case row == nil:
			return fmt.Errorf("tunable %q is unknown; accepted: %s", name, strings.Join(p.tunableNames(), ", "))
		case row.access == neverSet:
			return fmt.Errorf("tunable %s: value %q; accepted: none, as it can only be read", row.name, set[name])
		case row.access > when:
			return fmt.Errorf("tunable %s: value %q; accepted: none while the sandbox runs, as its configuration sets it", row.name, set[name])
		case row.edits(name) && when == atStart:
			return fmt.Errorf("tunable %s: value %q; accepted: none in a configuration, which gives all of %s", name, set[name], row.name)
		}
		change := row.parse
		if row.edits(name) {
			change = func(_ *Profile, t *Tunables, value string) error { return row.edit(t, name, value) }
		}
		if err := change(p, t, set[name]); err != nil {
			return err
		}
		rows, shown = append(rows, row), append(shown, row.format(p, t))
	}
	for i, row := range rows {
		switch value := set[names[i]]; {
		case row.format(p, t) != shown[i]:
			return fmt.Errorf("tunable %s: value %q; accepted: what the other names of the same value are set to: %s", row.name, value, row.format(p, t))
		case row.fits != nil && !row.fits(t):
			return fmt.Errorf("tunable %s: value %q; accepted: %s, %s", row.name, value, row.accepted(p), row.bound)
		}
	}
	return nil
}

// Value is the current value of the named tunable as sysctl(8) would print it.
func (p *Profile) Value(name string) (string, bool) {
	row := p.tunable(name)
	if row == nil {
		return "", false
	}
	return row.value(p), true
}

func (r *tunableRow) value(p *Profile) string {
	switch {
	case r.show == nil:
		return r.format(p, p.Tunables)
	case p.Gauges == nil:
		return r.show(atRest{}, p)
	}
	return r.show(p.Gauges, p)
}

func (p *Profile) tunable(name string) (row *tunableRow) {
	for r := range p.tunableRows {
		if name == r.name || name == r.short() || r.edits(name) {
			return r
		}
	}
	return nil
}

func (p *Profile) tunableNames() []string {
	var names []string
	for r := range p.tunableRows {
		if r.access != neverSet {
			names = append(names, r.short())
		}
	}
	return names
}

// defaultTunables are Linux's, and then what the profile's system has instead.
func defaultTunables(p *Profile) (*Tunables, error) {
	t := baseTunables()
	t.Patience = p.patience
	for _, rows := range [][]tunableRow{linuxTunables, p.tunables} {
		for i := range rows {
			r := &rows[i]
			switch {
			case r.def == "":
			case r.words != nil && !slices.Contains(r.words(p), r.def):
				*r.word(t) = r.words(p)[0] // the system has other names
			default:
				if err := r.parse(p, t, r.def); err != nil {
					return nil, err
				}
			}
		}
	}
	t.PortMin, t.PortMax, t.UnprivilegedPortStart = p.Bind.PortMin, p.Bind.PortMax, p.Bind.Reserved
	t.AnonPrivMin, t.HoleDefaultMSS = p.Bind.AnonPrivMin, p.holeDefaultMSS
	return t, p.apply(t, p.values, atStart)
}

// parse reads a value as it is written to /proc/sys.
func (r *tunableRow) parse(p *Profile, t *Tunables, value string) error {
	refuse := func() error {
		return fmt.Errorf("tunable %s: value %q; accepted: %s", r.name, value, r.accepted(p))
	}
	words := strings.Fields(value)
	if r.words != nil {
		if len(words) == 0 || len(words) > 1 && !r.list {
			return refuse()
		}
		for _, w := range words {
			if !slices.Contains(r.words(p), w) {
				return refuse()
			}
		}
		*r.word(t) = strings.Join(words, " ")
		return nil
	}
	if r.text != nil {
		kept, ok := r.text.parse(strings.TrimSpace(value))
		if !ok {
			return refuse()
		}
		*r.text.field(t) = kept
		return nil
	}
	if len(words) != r.fields {
		return refuse()
	}
	v := make([]int64, len(words))
	for i, word := range words {
		if k := slices.Index(r.labels, word); k >= 0 {
			word = strconv.Itoa(k)
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < r.min || n > r.max || r.bits != 0 && n&^r.bits != 0 {
			return refuse()
		}
		v[i] = n
	}
	if !slices.IsSorted(v) { // both the triples and the port range ascend
		return refuse()
	}
	r.set(t, v)
	return nil
}

func (r *tunableRow) format(p *Profile, t *Tunables) string {
	if r.list && *r.word(t) == "" {
		return strings.Join(r.words(p), " ")
	}
	if r.words != nil {
		return *r.word(t)
	}
	if r.text != nil {
		return r.text.show(*r.text.field(t))
	}
	var words []string
	for _, n := range r.get(t) {
		words = append(words, strconv.FormatInt(n, 10))
	}
	return strings.Join(words, " ")
}

// accepted says in words what parse takes.
func (r *tunableRow) accepted(p *Profile) string {
	if r.access == neverSet {
		return "none, as it can only be read"
	}
	if r.words != nil {
		if r.list {
			return "names with spaces between, of " + strings.Join(r.words(p), ", ")
		}
		return "one of " + strings.Join(r.words(p), ", ")
	}
	if r.text != nil {
		return r.text.accepted
	}
	if r.min == r.max {
		return strconv.FormatInt(r.min, 10)
	}
	if r.bits != 0 {
		return fmt.Sprintf("%d..%d of the bits %#x", r.min, r.max, r.bits)
	}
	span := fmt.Sprintf("%d..%d", r.min, r.max)
	if r.labels != nil {
		span += " (" + strings.Join(r.labels, ", ") + ")"
	}
	if r.fields > 1 {
		return fmt.Sprintf("%d ascending numbers of %s", r.fields, span)
	}
	return span
}
