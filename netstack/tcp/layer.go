package tcp

// Demultiplexing: RFC 9293 sections 3.9.1 and 3.10.7.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/ports"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// Address families on the Linux ABI.
const (
	afInet  = 2
	afInet6 = 10
)

// A Layer is the whole TCP of one stack: its sockets, connections, half-open
// connections, TIME-WAIT records and timers. Its driver calls Input for every
// segment, Advance when the clock moved, Flush before it sleeps and Deadline to
// learn how long it may.
type Layer struct {
	net     Network
	pool    *buf.Pool
	profile *sockopt.Profile
	tun     *sockopt.Tunables

	conns     map[tuple]*conn
	half      map[tuple]*halfOpen
	syns      synCache
	waits     waitTable
	listeners map[uint16][]*listener
	ports     *ports.Table
	shared    map[sharedKey]*sharedClaim

	// Values of connections that others open; nil: their listener's. See
	// SetDefaults.
	defaults    func(o *sockopt.Options, domain int, local, remote netip.AddrPort)
	passiveOpts sockopt.Options // memory of halfOpen.options

	offer   func(*Pending) bool // nil: SYNs without a listener are refused
	pending pendingTable
	embryos []*conn   // accepted offers in SYN-RECEIVED
	open    openPorts // where they were completed lately

	cookieLst [2]*listener // for offers, of each domain; nil: not needed yet

	timers  timerHeap
	lined   int       // segments that wait by TCP_TX_DELAY
	dirty   []*conn   // connections that owe output
	spare   []*conn   // memory for the next list of them
	raised  []*Socket // sockets with events to report
	running bool      // dispatch is on the stack

	lastKey tuple // the connection of the last segment: bulk arrives in runs
	last    *conn

	lender  Lender        // of a layer that lends; nil: it lends nothing
	askHome func(*Socket) // of a guest; nil: it is none
	parts   int           // layers that share the bounds on memory; 0 is 1

	memory     memoryLimits
	ooo        oooList // what arrived ahead of its turn
	orphans    int     // connections whose program is gone
	challenges challengeLimit
	blockUsers [maxBlocks]int // connections by function block
	holes      int            // that peers have reported, see sackholes.go
	finDelay   time.Duration  // see SetFINDelay
	vain       func(local, remote netip.AddrPort, flags wire.TCPFlags)

	spareLogs    []*sendLog
	spareRecords int      // in all of them
	sample       sampling // of the acknowledgement being looked at

	sadb Associations

	ecnBroken ecnPaths // destinations that do not answer SYNs with ECN

	sig ccSignal // what congestion control is told; see conn.signal

	fast fastState

	weakSum uint32 // of weakISN
	metrics metricsTable

	rxTOS uint8 // of the segment being looked at

	tx      wire.TCP                                    // the segment being sent
	txPath  Path                                        // and its way, when no connection has one
	extra   [wire.TCPMaxHeader - wire.TCPMinHeader]byte // memory for its rare options
	header  [wire.TCPMaxHeader]byte                     // memory for what is signed
	message []byte                                      // and for what TCP-AO signs besides the text
	iov     [][]byte                                    // and its payload

	counters Counters
	cookies  uint64 // given out so far
	ledger   Ledger // nil: nobody asks
}

// Counters count what a layer has seen, by the names of RFC 4022 and of Linux's
// TcpExt.
type Counters struct {
	ActiveOpens, PassiveOpens, AttemptFails, EstabResets                uint64
	InSegs, OutSegs, RetransSegs, InErrs, OutRsts                       uint64
	ListenDrops, ListenOverflows                                        uint64
	SyncookiesSent, SyncookiesRecv, SyncookiesFailed                    uint64
	SynCacheEvictions                                                   uint64 // half-open connections given up for want of room
	PAWSDrops, ChallengeACKs, ReasmDrops, MemoryDrops                   uint64
	MTUProbes, MTUProbeSuccess, MTUProbeFail                            uint64 // segments larger than any that passed, and what became of them
	PMTUDBlackholeActivated, PMTUDBlackholeMinMSS, PMTUDBlackholeFailed uint64 // as FreeBSD counts: smaller MTU tried, smallest tried, it was not the MTU
	OOOPruned                                                           uint64 // reassembly queues given up for want of memory
	Timeouts, FastRetrans, LostRetransmits                              uint64
	DelayedACKs, PureACKs, TailProbes, Undos                            uint64
	EifelUndos, SpuriousRTOs                                            uint64 // of Undos: by timestamps, by F-RTO

	// RFC 7413, by Linux's names.
	FastOpenActive, FastOpenActiveFail, FastOpenPassive, FastOpenPassiveFail uint64
	FastOpenListenOverflow, FastOpenCookieReqd, FastOpenBlackhole            uint64

	// Signed segments that were dropped: the signature was wrong, there was none,
	// there was one and no key, the link had merged some. And those that no
	// association is for, of the peer and of ours.
	AuthFailures, AuthMissing, AuthUnexpected, AuthMerged uint64
	AuthNoKey, AuthNoKeyOut                               uint64

	Blackholed    uint64 // segments without a socket that were not answered
	SACKHoleDrops uint64 // blocks ignored as they would open a hole too many

	// SYNs without a listener; see Pending.
	Offers, OfferAccepts          uint64
	OfferOverflows, OfferTimeouts uint64 // forgotten for want of room, of an answer
	EmbryoDrops                   uint64 // accepted ones that made room in SYN-RECEIVED

	ECNConns, AccECNConns uint64 // that agreed on RFC 3168, RFC 9768
	ECNFallbacks          uint64 // that sent a SYN without ECN as those with were not answered
	ECNReductions         uint64 // of the window, for marks
	AccECNBroken          uint64 // connections whose counts of marks were not to be believed
	CESegs, DeliveredCE   uint64 // segments marked that arrived, that we sent
}

// NewLayer returns a TCP layer on net whose sockets start with the profile's
// options and whose limits are tun's.
func NewLayer(net Network, pool *buf.Pool, profile *sockopt.Profile, tun *sockopt.Tunables) *Layer {
	rule, _ := ports.RuleByName(profile.BindRule) // nil is Linux's
	profile.Congestion = congestionNames(profile)
	l := &Layer{
		net: net, pool: pool, profile: profile, tun: tun,
		conns:     make(map[tuple]*conn),
		half:      make(map[tuple]*halfOpen),
		waits:     waitTable{byTuple: make(map[tuple]*timeWait)},
		listeners: make(map[uint16][]*listener),
		shared:    make(map[sharedKey]*sharedClaim),
		ports:     ports.NewTable(rule, ports.Config{BindExhausted: profile.Bind.BindExhausted, ConnectExhausted: profile.Bind.ConnectExhausted}),
		pending:   pendingTable{byTuple: make(map[tuple]*Pending)},
		memory:    limitsOf(tun),
	}
	l.takeFastOpenKeys()
	return l
}

// Counters returns the layer's counters, which keep counting.
func (l *Layer) Counters() *Counters { return &l.counters }

// Input takes one segment or super-segment whose checksum is good.
func (l *Layer) Input(rx *Rx) {
	l.counters.InSegs++
	l.rxTOS = rx.TOS
	h := &rx.Header
	if !rx.Src.IsValid() || rx.Src.IsMulticast() || rx.Dst.IsMulticast() || rx.Src.IsUnspecified() {
		l.counters.InErrs++ // RFC 9293 section 3.9.2.3, MUST-57 and MUST-63
		return
	}
	k := makeTuple(rx.Dst, rx.Src, h.DstPort, h.SrcPort)
	c := l.last
	if c == nil || k != l.lastKey {
		c = l.conns[k]
		if c != nil {
			if c.l != l && l.away(c, rx) {
				return
			}
			l.last, l.lastKey = c, k
		}
	}
	switch {
	case c != nil:
		if (c.auth == nil && h.Raw == nil || c.authentic(rx)) && !c.s.tooFar(rx) {
			c.input(rx)
		}
	case l.half[k] != nil:
		if x := l.half[k]; x.auth == nil && h.Raw == nil || x.authentic(rx) {
			x.input(rx)
		}
	case l.pending.byTuple[k] != nil:
		if l.authentic(nil, rx) {
			l.pending.byTuple[k].input(rx)
		}
	case l.waits.byTuple[k] != nil:
		if w := l.waits.byTuple[k]; w.auth == nil && h.Raw == nil || l.authentic(w.auth, rx) {
			l.timeWaitInput(w, rx)
		}
	case (h.SrcPort == 0 || h.DstPort == 0) && rx.Link >= 0:
		// No program has that port, and a stranger gets no answer. Our own, who
		// try to connect there, are refused as on Linux.
		l.counters.InErrs++
	default:
		l.listenInput(k, rx, 0)
	}
	l.dispatch()
}

// tooFar is the test of RFC 5082 section 3, for sockets that talk to neighbours
// only (IP_MINTTL, IPV6_MINHOPCOUNT).
func (s *Socket) tooFar(rx *Rx) bool {
	if rx.Dst.Is4() {
		return rx.TTL < s.opts.MinTTL
	}
	return rx.TTL < s.opts.MinHopCount
}

// Advance runs the timers that are due at Network.Now.
func (l *Layer) Advance() {
	now := l.net.Now()
	l.timers.run(now)
	l.waits.expire(l, now)
	l.pending.expire(l, now)
	l.dispatch()
}

// flushRounds bounds how often Flush goes round when owners answer events with
// more output.
const flushRounds = 8

// Flush transmits everything that connections and acknowledgements owe. What a
// segment to this stack itself brings about waits for its Input.
func (l *Layer) Flush() {
	l.dispatch()
	for range flushRounds {
		if len(l.dirty) == 0 {
			return
		}
		batch := l.dirty
		l.dirty = l.spare[:0]
		for i, c := range batch {
			batch[i] = nil
			c.flags &^= flagDirty
			c.flush()
		}
		l.spare = batch[:0]
		l.dispatch()
	}
	if len(l.dirty) > 0 {
		l.net.Wake() // let the driver look at its links in between
	}
}

// Deadline is the instant by which Advance wants to be called, if any. It may
// be early, never late.
func (l *Layer) Deadline() (time.Duration, bool) {
	at := never
	if len(l.timers) > 0 {
		at = l.timers[0].at
	}
	if w := l.waits.oldest; w != nil {
		at = min(at, w.expires)
	}
	if p := l.pending.oldest; p != nil {
		at = min(at, p.expires)
	}
	return at, at != never
}

// markDirty has c's output run in the next Flush.
func (l *Layer) markDirty(c *conn) {
	if c.flags&flagDirty != 0 {
		return
	}
	c.flags |= flagDirty
	l.dirty = append(l.dirty, c)
	if len(l.dirty) == 1 {
		l.net.Wake()
	}
}

// dispatch reports raised events to their owners. Owners call back into their
// sockets, which may raise more; the loop takes those too, and a nested call
// leaves them to it.
func (l *Layer) dispatch() {
	if l.running || len(l.raised) == 0 {
		return
	}
	l.running = true
	for i := 0; i < len(l.raised); i++ {
		s := l.raised[i]
		l.raised[i] = nil
		if s != nil { // else its connection has moved
			s.report()
		}
	}
	l.raised = l.raised[:0]
	l.running = false
}

// route asks the IP layer for the way from src to dst; an invalid or
// unspecified src is any.
func (l *Layer) route(src, dst netip.Addr, link int) (Path, error) {
	if src.IsValid() && src.IsUnspecified() {
		src = netip.Addr{}
	}
	return l.net.Route(src, dst, link)
}
