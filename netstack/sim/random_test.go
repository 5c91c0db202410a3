package sim

// Worlds drawn from a seed: hosts, lines, middleboxes, tunables, options,
// programs and accidents.

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A drawer takes decisions from a world's generator.
type drawer struct{ r *Rand }

func (d drawer) pick(list ...int) int       { return list[d.r.Intn(len(list))] }
func (d drawer) word(list ...string) string { return list[d.r.Intn(len(list))] }
func (d drawer) ms(list ...int) time.Duration {
	return time.Duration(d.pick(list...)) * time.Millisecond
}
func (d drawer) one(n int) bool                     { return d.r.Intn(n) == 0 } // in n
func (d drawer) between(low, high int) int          { return low + d.r.Intn(high-low+1) }
func (d drawer) upTo(t time.Duration) time.Duration { return time.Duration(d.r.Intn(int(t))) }

// worldTunables are values that tunables may have. Those that no profile knows
// (yet) are left out.
var worldTunables = []struct {
	name   string
	values []string
}{
	{"tcp_sack", []string{"1", "1", "1", "0"}},
	{"tcp_dsack", []string{"1", "0"}},
	{"tcp_timestamps", []string{"1", "1", "0"}},
	{"tcp_window_scaling", []string{"1", "1", "0"}},
	{"tcp_ecn", []string{"5", "3", "1", "4", "2", "0"}},
	{"tcp_ecn_fallback", []string{"1"}},
	{"tcp_recovery", []string{"1", "0", "3", "5", "7"}},
	{"tcp_early_retrans", []string{"3", "0"}},
	{"tcp_frto", []string{"2", "0"}},
	{"tcp_mtu_probing", []string{"1", "0", "2"}},
	{"tcp_fastopen", []string{"1", "3", "519", "1543"}},
	{"functions_default", tcp.FunctionBlocks()},
	{"user_timeout_option", []string{"0", "1"}},
	{"tcp_stdurg", []string{"0", "1"}},
	{"syn_cache_bytes", []string{"1048576", "16384"}},
	{"tcp_invalid_ratelimit", []string{"500", "0"}},
	{"tcp_syncookies", []string{"1", "0", "2"}},
	{"tcp_max_syn_backlog", []string{"2048", "4"}},
	{"tcp_max_tw_buckets", []string{"131072", "2"}},
	{"tcp_tw_reuse", []string{"2", "1", "0"}},
	{"tcp_rmem", []string{"4096 131072 6291456", "4096 8192 16384", "4096 65536 200000"}},
	{"tcp_wmem", []string{"4096 16384 4194304", "4096 4096 8192"}},
	{"tcp_moderate_rcvbuf", []string{"1", "0"}},
	{"tcp_slow_start_after_idle", []string{"1", "0"}},
	{"tcp_notsent_lowat", []string{"4294967295", "3000"}},
	{"tcp_rto_min_us", []string{"200000", "50000"}},
	{"tcp_fin_timeout", []string{"60", "2"}},
	{"tcp_rfc1337", []string{"0", "1"}},
}

// host draws a host with one address of each family.
func (d drawer) host(w *World, n int) *Host {
	profile, err := sockopt.ProfileByName(cmp.Or(w.Profile, "linux"))
	if err != nil {
		panic(err)
	}
	set := map[string]string{}
	if w.Profile == "" {
		set["tcp_congestion_control"] = d.word(tcp.CongestionNames()...)
	}
	for _, t := range worldTunables {
		v := t.values[0]
		if d.one(4) {
			v = d.word(t.values...)
		}
		if _, known := profile.Value(t.name); known {
			set[t.name] = v
		}
	}
	h := w.HostWith(set, fmt.Sprintf("10.0.0.%d", n), fmt.Sprintf("fd00::%d", n))
	h.searches = set["tcp_mtu_probing"] != "0"
	h.SetGSO(d.pick(0, 5000, 65000))
	return h
}

// way draws what one direction of a line does.
func (d drawer) way(mtu int, bad bool) Way {
	y := Way{
		Rate:      d.pick(0, 0, 1_000_000, 10_000_000, 50_000_000, 1_000_000_000),
		Delay:     time.Duration(d.pick(0, 20, 500, 5000, 40_000, 100_000)) * time.Microsecond,
		Jitter:    time.Duration(d.pick(0, 0, 0, 100, 3000)) * time.Microsecond,
		Queue:     d.pick(0, 20_000, 200_000),
		Loss:      d.pick(0, 0, 0, 5, 20),
		Duplicate: d.pick(0, 0, 10, 50),
		Reorder:   d.pick(0, 0, 20, 100),
		Corrupt:   d.pick(0, 0, 0, 10),
		MTU:       mtu,
		TooBig:    !d.one(25),
	}
	if bad && d.one(2) {
		y.Loss = d.pick(50, 100)
	} else if bad {
		y.Burst = Burst{Enter: d.pick(2, 10), Leave: d.pick(100, 400), Loss: d.pick(500, 900)}
	}
	switch d.r.Intn(6) {
	case 0:
		y.Mark = d.pick(3000, 30_000)
	case 1:
		y.CoDel = 5 * time.Millisecond
	}
	return y
}

// boxes draws what middleboxes do, on both directions of a path: an option that
// only one of the SYNs loses leaves the ends with different beliefs, against
// which there is no remedy.
func (d drawer) boxes() []Box {
	if !d.one(3) {
		return nil
	}
	all := []Box{
		StripOptions(OptTimestamp), StripOptions(OptSACKPerm), StripOptions(OptSACK), StripOptions(OptWScale),
		StripOptions(OptFastOpen), ClampMSS(1000), ClampMSS(536), BleachECN, MarkAll, DropECNSyn, ClearECNFlags, DropSynData, CutSynData,
	}
	list := []Box{all[d.r.Intn(len(all))]}
	if d.one(3) {
		list = append(list, all[d.r.Intn(len(all))])
	}
	return list
}

// A conversation is what two or more programs have with each other.
type conversation struct {
	kind    string
	clients []*Program
	server  *Server
	peers   []*Program // of a simultaneous open
	// lenient: something is done to it that may end it early, so that only what
	// did arrive has to be right.
	lenient bool
}

// programs are all of a conversation's.
func (c *conversation) programs() []*Program {
	list := append(append([]*Program(nil), c.clients...), c.peers...)
	if c.server != nil {
		list = append(list, c.server.Accepted...)
	}
	return list
}

// A randomWorld is a world with what goes on in it.
type randomWorld struct {
	d     drawer
	w     *World
	hosts []*Host
	lines []*Line
	talks []*conversation
	harsh bool // losses are such that an attempt may fail
	err   error
}

// newRandomWorld draws everything from seed.
func newRandomWorld(seed uint64) *randomWorld { return newWorldOf("", seed) }

// newWorldOf is the same with hosts of another system.
func newWorldOf(profile string, seed uint64) *randomWorld {
	w := New(seed)
	w.Profile = profile
	w.Audit, w.MaxSteps = true, 2_000_000
	x := &randomWorld{d: drawer{w.Rand()}, w: w}
	for i := range x.d.pick(2, 2, 3, 4) {
		x.hosts = append(x.hosts, x.d.host(w, i+1))
	}
	x.wire()
	if x.blackHole() {
		defer x.spoil()
	}
	for i := range x.d.between(1, 4) {
		c := x.talk(9000 + 10*i)
		x.talks = append(x.talks, c)
	}
	x.accidents()
	return x
}

// line draws a line.
func (x *randomWorld) line(mtu int, boxes []Box) *Line {
	bad := x.d.one(20)
	l := x.w.Line(x.d.way(mtu, bad))
	l.Boxes = boxes
	x.harsh = x.harsh || bad
	x.lines = append(x.lines, l)
	return l
}

// wire connects all hosts: each by lines of its own to a middle, which may be a
// bottleneck.
func (x *randomWorld) wire() {
	d := x.d
	mtu, boxes := d.pick(1500, 1500, 1280, 9000), d.boxes()
	up, down := make([]*Line, len(x.hosts)), make([]*Line, len(x.hosts))
	for i := range x.hosts {
		up[i], down[i] = x.line(mtu, nil), x.line(mtu, boxes)
	}
	var there, back []*Line // of the middle
	if len(x.hosts) > 2 || d.one(3) {
		narrow := d.pick(mtu, 1280)
		there, back = []*Line{x.line(narrow, nil)}, []*Line{x.line(narrow, nil)}
	}
	for i, a := range x.hosts {
		for j, b := range x.hosts {
			switch {
			case i < j:
				x.w.Route(a, b, append(append([]*Line{up[i]}, there...), down[j])...)
			case i > j:
				x.w.Route(a, b, append(append([]*Line{up[i]}, back...), down[j])...)
			}
		}
	}
}

// program draws what one end does.
func (x *randomWorld) program(name string, key, peer uint64) Program {
	d := x.d
	p := Program{
		Name: name, Key: key, PeerKey: peer,
		ToSend: d.pick(0, 1, 100, 5000, 50_000, 200_000),
		Write:  d.pick(0, 0, 100, 3000, 70_000),
	}
	if d.one(3) {
		p.Read, p.Pause = d.pick(500, 20_000, 100_000), d.ms(1, 10, 700)
		p.ToSend = min(p.ToSend, 50_000)
		p.Read = max(p.Read, p.ToSend/50)
	}
	if d.one(6) && p.ToSend > 0 {
		p.UrgentAt = d.between(1, p.ToSend)
	}
	return p
}

// worldOptions are settings of sockets.
var worldOptions = []struct {
	name    string
	values  []int
	lenient bool
}{
	{"TCP_NODELAY", []int{1}, false},
	{"TCP_CORK", []int{1}, false},
	{"TCP_QUICKACK", []int{0}, false},
	{"TCP_MAXSEG", []int{200, 536, 1000}, false},
	{"TCP_WINDOW_CLAMP", []int{2000, 30_000}, false},
	{"TCP_NOTSENT_LOWAT", []int{1000, 20_000}, false},
	{"SO_RCVBUF", []int{2500, 20_000, 200_000}, false},
	{"SO_SNDBUF", []int{5000, 50_000}, false},
	{"SO_KEEPALIVE", []int{1}, false},
	{"TCP_KEEPIDLE", []int{1, 10}, false},
	{"TCP_DEFER_ACCEPT", []int{1, 5}, false},
	{"TCP_TX_DELAY", []int{1000, 50_000}, false},
	{"IP_TOS", []int{0x10, 0x08}, false},
	{"IP_MTU_DISCOVER", []int{0, 1, 2}, false},
	{"TCP_THIN_LINEAR_TIMEOUTS", []int{1}, false},
	{"TCP_USER_TIMEOUT", []int{3000, 60_000}, true},
	{"TCP_LINGER2", []int{1, 10}, true},
	{"TCP_SYNCNT", []int{2}, true},
}

// dress sets options of a socket, and reports whether they may end it early.
func (x *randomWorld) dress(h *Host, s *tcp.Socket) (lenient bool) {
	for range x.d.pick(0, 0, 1, 2, 4) {
		o := worldOptions[x.d.r.Intn(len(worldOptions))]
		if o.name == "TCP_CORK" && h.Profile.Tunables.Patience.Cork < 0 {
			continue // a request that nobody sends has no answer
		}
		if h.SetOption(s, o.name, x.d.pick(o.values...)) == nil {
			lenient = lenient || o.lenient
		}
	}
	if x.d.one(8) {
		h.SetOption(s, "TCP_CONGESTION", x.d.word(tcp.CongestionNames()...))
	}
	if x.d.one(20) {
		lenient = h.SetOption(s, "SO_LINGER", 1, 0) == nil || lenient
	}
	return lenient
}

// talk draws a conversation on ports from port on.
func (x *randomWorld) talk(port int) *conversation {
	d := x.d
	i := d.r.Intn(len(x.hosts))
	j := (i + 1 + d.r.Intn(len(x.hosts)-1)) % len(x.hosts)
	a, b := x.hosts[i], x.hosts[j]
	n := d.r.Intn(2)
	c := &conversation{kind: d.word("bulk", "bulk", "requests", "requests", "half-close", "quit", "storm", "cross")}
	client, server := x.program("client", 1, 2), x.program("server", 2, 1)
	many, backlog := 1, 128
	switch c.kind {
	case "requests":
		ask, reply, rounds := d.pick(1, 100, 3000), d.pick(1, 300, 20_000), d.between(1, 20)
		client.ToSend, server.ToSend = ask*rounds, reply*rounds
		client.Gate = func(p *Program) int { return (p.Got/reply + 1) * ask }
		server.Gate = func(p *Program) int { return p.Got / ask * reply }
		client.Read, server.Read, client.UrgentAt, server.UrgentAt = 0, 0, 0, 0
	case "half-close":
		server.CloseOnEOF = true
	case "quit":
		c.lenient = true
		quit := []func(*tcp.Socket){(*tcp.Socket).Abort, (*tcp.Socket).Close, (*tcp.Socket).CloseWrite, (*tcp.Socket).CloseRead}[d.r.Intn(4)]
		who := &client
		if d.one(2) {
			who = &server
		}
		who.QuitAt, who.Quit = d.between(1, 100_000), quit
	case "storm":
		many, backlog = d.between(5, 60), d.pick(0, 2, 128)
		client.ToSend, server.ToSend = min(client.ToSend, 5000), min(server.ToSend, 5000)
		client.UrgentAt, server.UrgentAt = 0, 0
		// A peer that is not let in tries for two minutes, and is refused or not.
		c.lenient = backlog < many
	}
	client.Expect, server.Expect = server.ToSend, client.ToSend
	start := d.upTo(3 * time.Second)
	if c.kind == "cross" {
		x.cross(c, a, b, n, port, start, client, server)
		return c
	}
	addr := netip.AddrPortFrom(b.addrs[n], uint16(port)).String()
	v, err := b.Listen(addr, backlog, func() *Program { p := server; return &p })
	if err != nil {
		x.fails("listen on %s: %v", addr, err)
		return c
	}
	c.server = v
	if c.kind == "storm" {
		v.Every = d.ms(0, 5, 200)
	}
	c.lenient = x.dress(b, v.S) || c.lenient
	early := d.one(6) && client.ToSend > 0
	if early {
		v.S.Options().SetRare(func(r *sockopt.Rare) { r.FastOpen = 16 })
	}
	// A copy of a SYN with text may bring a second connection: RFC 7413 section 2.1.
	c.lenient = c.lenient || early
	for range many {
		p := client
		c.clients = append(c.clients, &p)
		x.w.After(start+d.upTo(20*time.Millisecond), func() {
			p.H, p.S = a, a.TCP.NewSocket(domainOf(addr), &p)
			c.lenient = x.dress(a, p.S) || c.lenient
			if early {
				p.early(addr)
			} else if err := p.S.Connect(netip.MustParseAddrPort(addr)); err != errno.EINPROGRESS {
				x.fails("connect to %s: %v", addr, err)
			}
		})
	}
	return c
}

// early sends the first bytes with the SYN, if the host may and has a cookie.
func (p *Program) early(addr string) {
	var first []byte
	for i := range min(p.ToSend, 500) {
		first = append(first, at(p.Key, i))
	}
	n, err := p.S.ConnectWithData(netip.MustParseAddrPort(addr), first)
	if p.Sent = n; err == errno.EOPNOTSUPP {
		p.S.Connect(netip.MustParseAddrPort(addr))
	}
}

// cross has both ends connect at once: RFC 9293 section 3.5, figure 8.
func (x *randomWorld) cross(c *conversation, a, b *Host, n, port int, start time.Duration, client, server Program) {
	c.peers = []*Program{&client, &server}
	one, other := netip.AddrPortFrom(a.addrs[n], uint16(port)), netip.AddrPortFrom(b.addrs[n], uint16(port+1))
	x.w.After(start, func() {
		for i, p := range c.peers {
			h, own, peer := a, one, other
			if i == 1 {
				h, own, peer = b, other, one
			}
			p.H, p.S = h, h.TCP.NewSocket(domainOf(own.String()), p)
			c.lenient = x.dress(h, p.S) || c.lenient
			if err := p.S.Bind(own, 0, sockopt.Privilege{}); err != nil {
				x.fails("bind %v: %v", own, err)
			} else if err := p.S.Connect(peer); err != errno.EINPROGRESS {
				x.fails("connect to %v: %v", peer, err)
			}
		}
	})
}

func (x *randomWorld) fails(format string, args ...any) {
	if x.err == nil {
		x.err = fmt.Errorf(format, args...)
	}
}

// accidents draws what happens to lines and connections.
func (x *randomWorld) accidents() {
	d := x.d
	l := x.lines[d.r.Intn(len(x.lines))]
	at := d.upTo(5 * time.Second)
	switch d.r.Intn(8) {
	case 0: // the line is down for a while
		silence := d.ms(100, 3000, 8000)
		x.w.After(at, func() { l.Down(true) })
		x.w.After(at+silence, func() { l.Down(false) })
		if x.outlasts(silence) {
			x.spoil()
		}
	case 1: // for good
		x.w.After(at, func() { l.Down(true) })
		x.spoil()
	case 2: // the path narrows
		mtu := d.pick(1280, 1300, 1400)
		x.w.After(at, func() { l.MTU = min(l.mtu(), mtu) })
	case 3: // the route becomes longer, or shorter
		delay := d.ms(0, 1, 50, 300)
		x.w.After(at, func() { l.Delay = delay })
	case 4: // a program is killed
		c := x.talks[d.r.Intn(len(x.talks))]
		c.lenient = true
		x.w.After(at, func() {
			for _, p := range c.programs() {
				if p.S != nil && d.one(2) {
					p.S.Close()
				}
			}
		})
	}
}

// outlasts reports whether a silence swallows every SYN-ACK of a host: a client
// that has got one before it is then refused, with all that it has sent.
func (x *randomWorld) outlasts(silence time.Duration) bool {
	for _, h := range x.hosts {
		last := time.Second * (1<<h.Profile.Tunables.SynAckRetries - 1) // of the SYN-ACKs
		if silence >= last {
			return true
		}
	}
	return false
}

// blackHole reports whether the path of a host that does not search for its MTU
// may have a router that drops what is too big in silence.
func (x *randomWorld) blackHole() bool {
	silent, deaf := false, false
	for _, l := range x.lines {
		silent = silent || !l.TooBig
	}
	for _, h := range x.hosts {
		deaf = deaf || !h.searches
	}
	return silent && deaf
}

// spoil makes every conversation lenient.
func (x *randomWorld) spoil() {
	for _, c := range x.talks {
		c.lenient = true
	}
}

// run lets the world go on to its end and checks everything.
func (x *randomWorld) run() error {
	for _, c := range x.talks {
		if c.lenient {
			c.expectAnything()
		}
	}
	x.w.Run(time.Hour, func() bool { return x.err != nil || x.over() })
	if x.err == nil {
		x.err = x.w.Broken()
	}
	for i, c := range x.talks {
		if x.err == nil {
			if x.err = x.verdict(c); x.err != nil {
				x.err = fmt.Errorf("conversation %d, %s: %w", i, c.kind, x.err)
			}
		}
	}
	if x.err != nil {
		return x.err
	}
	return x.closeAll()
}

// expectAnything has the programs of a conversation, present and to come, take
// an early end.
func (c *conversation) expectAnything() {
	for _, p := range c.programs() {
		p.Expect = -1
	}
	if c.server != nil && c.server.Make != nil {
		make := c.server.Make
		c.server.Make = func() *Program {
			p := make()
			p.Expect = -1
			return p
		}
	}
}

// failed reports whether a connection of the conversation ended with an error.
func (c *conversation) failed() bool {
	for _, p := range c.programs() {
		if p.Err != 0 {
			return true
		}
	}
	return false
}

// over reports whether all that was begun has ended.
func (x *randomWorld) over() bool {
	for _, c := range x.talks {
		list := c.programs()
		if c.server != nil && len(c.server.Accepted) < len(c.clients) && !c.lenient {
			return false
		}
		for _, p := range list {
			if p.Bad != nil {
				return true
			}
			if !p.Closed && !(x.harsh && c.failed()) {
				return false
			}
		}
	}
	return true
}

// verdict checks a conversation that is over.
func (x *randomWorld) verdict(c *conversation) error {
	known := make(map[netip.AddrPort]bool)
	for _, p := range c.programs() {
		if p.Bad != nil && !c.lenient {
			return p.Bad
		}
		if p.Bad != nil && p.Expect < 0 {
			return p.Bad
		}
		if c.lenient || p.S == nil || x.harsh && c.failed() {
			continue
		}
		if c.server != nil && p.Key == 2 {
			// A late copy of the last step of a handshake may make a ghost.
			from := p.S.RemoteAddr()
			if known[from] {
				continue
			}
			known[from] = true
		}
		switch {
		case p.Err == errno.ETIMEDOUT && p.EOF && p.Got == p.Expect && c.server != nil && c.server.H.TCP.Counters().SyncookiesRecv > 0:
			// All has come, but a FIN was repeated to a host that has forgotten the
			// connection and takes it for what runs ahead of a cookie.
		case p.Err != 0:
			return fmt.Errorf("%s: %w", p.Name, p.Err)
		case !p.Closed:
			return fmt.Errorf("%s is %v, sent %d of %d, got %d of %d", p.Name, p.S.State(), p.Sent, p.ToSend, p.Got, p.Expect)
		case p.Got != p.Expect:
			return fmt.Errorf("%s got %d of %d bytes", p.Name, p.Got, p.Expect)
		}
	}
	return nil
}

// closeAll closes what is open and checks that nothing is left.
func (x *randomWorld) closeAll() error {
	for _, c := range x.talks {
		if c.server != nil {
			c.server.S.Close()
		}
		for _, p := range c.programs() {
			if p.S != nil {
				p.S.Close()
			}
		}
	}
	x.w.Run(3*time.Hour, nil)
	if err := x.w.Broken(); err != nil {
		return err
	}
	for i, h := range x.hosts {
		for s := range h.TCP.Sockets {
			return fmt.Errorf("host %d: %v to %v is left in %v", i, s.LocalAddr(), s.RemoteAddr(), s.State())
		}
		if n := h.Pool.InUse(); n != 0 {
			return fmt.Errorf("host %d: %d bytes of the pool are left", i, n)
		}
		if at, ok := h.TCP.Deadline(); ok {
			return fmt.Errorf("host %d: a timer is left at %v", i, at)
		}
		if err := counted(h.TCP.Counters()); err != nil {
			return fmt.Errorf("host %d: %w", i, err)
		}
	}
	return nil
}

// counted checks what counters must be in a world that is over.
func counted(n *tcp.Counters) error {
	switch {
	case n.SyncookiesRecv+n.SyncookiesFailed > n.InSegs:
		return fmt.Errorf("%s cookies in %d segments", strconv.FormatUint(n.SyncookiesRecv, 10), n.InSegs)
	case n.Undos > n.FastRetrans+n.Timeouts:
		return fmt.Errorf("%d reductions undone of %d", n.Undos, n.FastRetrans+n.Timeouts)
	case n.PureACKs > n.OutSegs:
		return fmt.Errorf("%d acknowledgements in %d segments", n.PureACKs, n.OutSegs)
	}
	return nil
}
