package netstack

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/sockopt"
)

// Config is what a stack is made from.
type Config struct {
	Seed     [32]byte          // entropy for ports, sequence numbers and identifications; equal seeds and inputs give equal outputs
	Profile  *sockopt.Profile  // nil: linux
	Tunables *sockopt.Tunables // nil: those of Profile
	Pool     *buf.Pool         // memory for payload, shared with other stacks of the same driver, and so are the bounds on it; nil: its own
}

// A Stack is one host's TCP/IP. It is not safe for concurrent use: one event
// loop owns it.
type Stack struct {
	now     time.Duration
	rng     rng
	secret  [32]byte
	profile *sockopt.Profile
	tun     *sockopt.Tunables
	pool    *buf.Pool

	links  []*link
	routes routeTable
	gen    uint32 // of routes, addresses and path MTUs; a Path of an older one is stale
	neigh  neighTable
	pmtu   pmtuCache
	reasm  reassembler
	loop   loopQueue
	ids    idTable

	echoes limiter // echo replies
	errors limiter // ICMP errors

	in     inbound
	rxTCP  tcp.Rx
	rxUDP  udp.Rx
	tx     builder // packets of the layers above
	gather gathered
	ctl    builder // ARP and ND, which a packet of tx may need first
	cutter cutter

	forwarder   Forwarder // nil: nobody
	transparent *link     // the link with a peer; nil: none
	forward     forwarding

	guest    bool     // see NewGuest
	guests   []*Stack // of this one
	stranded func()   // see SetLender

	tcp       *tcp.Layer
	udp       *udp.Layer
	woken     bool
	announced int           // links whose addresses were announced
	mldNext   time.Duration // when the next listener report is due, 0 for none

	counters Counters
}

// New returns a stack without links. The profile belongs to it from then on.
func New(cfg Config) *Stack {
	if cfg.Profile == nil {
		// "linux" is always known: the error cannot happen.
		cfg.Profile, _ = sockopt.ProfileByName("linux")
	}
	if cfg.Tunables == nil {
		cfg.Tunables = cfg.Profile.Tunables
	}
	if cfg.Pool == nil {
		cfg.Pool = new(buf.Pool)
	}
	s := &Stack{profile: cfg.Profile, tun: cfg.Tunables, pool: cfg.Pool, gen: 1}
	s.rng.seed(cfg.Seed)
	s.secret = s.rng.key()
	s.ids.init(&s.rng)
	s.neigh.init()
	s.pmtu.init()
	s.reasm.init()
	s.tx.init()
	s.ctl.init()
	s.cutter.init()
	s.echoes = limiter{rate: echoRate, burst: echoBurst, tokens: echoBurst}
	s.errors = limiter{rate: errorRate, burst: errorBurst, tokens: errorBurst}
	cfg.Profile.Links, cfg.Profile.Gauges = s, gauges{s}
	s.tcp = tcp.NewLayer((*tcpNetwork)(s), s.pool, cfg.Profile, cfg.Tunables)
	s.udp = udp.NewLayer((*udpNetwork)(s), cfg.Profile, cfg.Tunables)
	return s
}

// Pool is the memory that payload travels in.
func (s *Stack) Pool() *buf.Pool { return s.pool }

// TCP is the stack's TCP layer.
func (s *Stack) TCP() *tcp.Layer { return s.tcp }

// UDP is the stack's UDP layer.
func (s *Stack) UDP() *udp.Layer { return s.udp }

// NewTCP returns a TCP socket of domain 2 (AF_INET) or 10 (AF_INET6).
func (s *Stack) NewTCP(domain int, o tcp.Owner) *tcp.Socket { return s.tcp.NewSocket(domain, o) }

// NewUDP returns a UDP socket of domain 2 (AF_INET) or 10 (AF_INET6).
func (s *Stack) NewUDP(domain int, o udp.Owner) *udp.Socket { return s.udp.NewSocket(domain, o) }

// Now is the instant that Advance last set.
func (s *Stack) Now() time.Duration { return s.now }

// Rand32 draws from the stack's seeded generator.
func (s *Stack) Rand32() uint32 { return s.rng.uint32() }

// Secret is the stack's key for RFC 6528 and RFC 6056.
func (s *Stack) Secret() *[32]byte { return &s.secret }

// Wake asks that Flush be called before the driver sleeps: Deadline is due
// until then.
func (s *Stack) Wake() { s.woken = true }

// Advance sets the clock and runs the timers that are due. The clock does not
// go back: an earlier instant counts as the latest one. Flush must follow.
func (s *Stack) Advance(now time.Duration) {
	s.now = max(s.now, now)
	s.neighTimers()
	s.reasmTimers()
	s.mldTimers()
	s.tcp.Advance()
}

// Bounds of one Flush. Whatever is left is due at once, by Deadline, so that
// the driver serves its links in between.
const (
	flushRounds  = 64
	flushPackets = 4096 // looped packets
)

// Flush sends what the layers owe and runs the loopback until it is quiet or
// the bounds are reached.
func (s *Stack) Flush() {
	s.announceAll()
	budget := flushPackets
	for range flushRounds {
		s.woken = false
		s.tcp.Flush()
		if s.loop.empty() && !s.woken {
			return
		}
		if budget = s.runLoop(budget); budget == 0 {
			return
		}
	}
}

// Deadline is the instant by which Advance and Flush want to be called, if any.
func (s *Stack) Deadline() (time.Duration, bool) {
	if s.woken || !s.loop.empty() {
		return s.now, true
	}
	at, ok := s.tcp.Deadline()
	for _, t := range [...]time.Duration{s.neigh.next, s.reasm.next, s.mldNext} {
		if t != 0 && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// changed makes every Path that was handed out stale.
func (s *Stack) changed() {
	s.gen++
	s.neigh.renew()
}

// scopeLink takes the zone off a, and returns the number of the link that it or
// num names. A zone is a link's name or number in decimal; it wins over num 0.
func (s *Stack) scopeLink(a netip.Addr, num int) (netip.Addr, int) {
	zone := a.Zone()
	if zone == "" {
		return a, num
	}
	a = a.WithZone("")
	n, ok := s.LinkByName(zone)
	if !ok {
		n = decimal(zone)
	}
	if num == 0 || num == n {
		return a, n
	}
	return a, noLink
}

// noLink is a link number that no link has.
const noLink = 1 << 30

// decimal reads a link number; noLink when z is none.
func decimal(z string) int {
	n := 0
	for _, c := range []byte(z) {
		if c < '0' || c > '9' || n > maxLinks {
			return noLink
		}
		n = n*10 + int(c-'0')
	}
	return n
}
