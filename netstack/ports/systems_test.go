package ports

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// system is a rule with its oracle and the options that it looks at.
type system struct {
	rule  *Rule
	may   func(want party, held []party, dgram, choosing bool) bool
	fast  func(wants, held []party) func(w, i, j int, dgram, choosing bool) bool // may, for two that are there
	flags func(p *party) []*bool
	users bool // it looks at who asks

	choosersMatter bool       // also when it chooses the port
	kinds          [][]string // states that are one to it
}

var systems = map[string]system{
	"linux": {rule: &Linux, may: linuxMay, fast: alone(linuxMay), users: true, choosersMatter: true,
		flags: func(p *party) []*bool { return []*bool{&p.reuse, &p.port} },
		kinds: [][]string{{"bound", "active", "closing"}, {"listen"}, {"timewait"}}},
	"illumos": {rule: &Illumos, may: illumosMay, fast: alone(illumosMay),
		flags: func(p *party) []*bool { return []*bool{&p.reuse, &p.excl} },
		kinds: [][]string{{"bound"}, {"listen"}, {"active"}, {"closing"}, {"timewait"}}},
	"freebsd": {rule: &FreeBSD, may: freebsdMay, fast: freebsdFast, users: true,
		flags: func(p *party) []*bool { return []*bool{&p.port, &p.load, &p.reuse} },
		kinds: [][]string{{"bound", "listen"}, {"active", "closing", "timewait"}}},
	"sortix": {rule: &Sortix, may: sortixMay, fast: alone(sortixMay), users: true, choosersMatter: true,
		flags: func(p *party) []*bool { return []*bool{&p.reuse} },
		kinds: [][]string{{"bound"}, {"listen"}, {"active"}, {"closing"}, {"timewait"}}},
	"cxux": {rule: &CXUX, may: cxuxMay, fast: alone(cxuxMay),
		flags: func(p *party) []*bool { return []*bool{&p.reuse} },
		kinds: [][]string{{"bound"}, {"listen"}, {"active"}, {"closing"}, {"timewait"}}},
}

var stateNames = map[string]State{"bound": Bound, "listen": Listen, "active": Active, "closing": Closing, "timewait": TimeWait}

func allFlags(p *party) []*bool { return []*bool{&p.reuse, &p.port, &p.load, &p.excl} }

// parties is every socket with the options, of the users, in the states.
func parties(flags func(*party) []*bool, uids []uint32, super bool, states []string) []party {
	var list []party
	for at := range endpoints {
		for bits := range 1 << len(flags(new(party))) {
			for _, uid := range uids {
				for _, state := range states {
					p := party{at: at, uid: uid, state: state}
					for i, f := range flags(&p) {
						*f = bits>>i&1 != 0
					}
					list = append(list, p)
					if super {
						p.super = true
						list = append(list, p)
					}
				}
			}
		}
	}
	return list
}

func (p party) claim(port uint16) *Claim {
	e := endpoints[p.at]
	return &Claim{
		Addr: e.addr, Port: port, V6: e.v6, V6Only: e.v6only, UID: p.uid, Super: p.super, State: stateNames[p.state],
		ReuseAddr: p.reuse, ReusePort: p.port, ReusePortLB: p.load, ExclBind: p.excl,
	}
}

func (p party) String() string {
	return fmt.Sprintf("%s %s reuseaddr %s reuseport %s lb %s excl %s uid %d super %s",
		endpoints[p.at].name, p.state, yn(p.reuse), yn(p.port), yn(p.load), yn(p.excl), p.uid, yn(p.super))
}

var everyState = []string{"bound", "listen", "active", "closing", "timewait"}

// compare asks rule and oracle for every socket of wants beside those held, the
// newest first, and counts the two answers.
func compare(t *testing.T, s system, wants []party, claims []*Claim, held []party, dgram, choosing bool, count *[2]int) {
	table := NewTable(s.rule, Config{Datagram: dgram})
	for i := len(held) - 1; i >= 0; i-- {
		table.Share(held[i].claim(80))
	}
	for i, want := range wants {
		got, may := !table.refused(claims[i], 80, choosing), s.may(want, held, dgram, choosing)
		if got != may {
			t.Fatalf("there are %v; then %v, datagram %v, choosing %v: may bind %v, the oracle says %v", held, want, dgram, choosing, got, may)
		}
		count[min(1, len(held)*b2i(got))]++
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func claimsOf(wants []party) []*Claim {
	var list []*Claim
	for _, w := range wants {
		list = append(list, w.claim(80))
	}
	return list
}

// TestEveryPairUnderEverySystem has every option on both sockets, also those
// that a system does not know: they must not matter.
func TestEveryPairUnderEverySystem(t *testing.T) {
	for name, s := range systems {
		t.Run(name, func(t *testing.T) {
			wants := parties(allFlags, []uint32{1000}, true, []string{"bound"})
			claims := claimsOf(wants)
			var count [2]int
			for _, held := range parties(allFlags, []uint32{1000, 1001}, false, everyState) {
				for mode := range 4 {
					compare(t, s, wants, claims, []party{held}, mode&1 != 0, mode&2 != 0, &count)
				}
			}
			t.Logf("%d refused, %d allowed", count[0], count[1])
			if count[0] == 0 || count[1] == 0 {
				t.Error("one answer never occurs")
			}
		})
	}
}

// Who listens under a rule that decides at bind(2) is refused beside a listener
// at the very address, unless both share it on purpose.
func TestSecondListenerUnderEverySystem(t *testing.T) {
	for name, s := range systems {
		if name == "linux" {
			continue // TestEveryPairOfSocketsFollowsTheOracle
		}
		for _, held := range parties(allFlags, []uint32{1000}, false, everyState) {
			for _, want := range parties(allFlags, []uint32{1000}, false, []string{"bound"}) {
				table := NewTable(s.rule, Config{})
				table.Share(held.claim(80))
				c := want.claim(80)
				table.Share(c)
				equal := letter(freebsdMeets["inet"], want.at, held.at) == '=' || letter(freebsdMeets["inet6"], want.at, held.at) == '='
				refused := equal && held.state == "listen" && !(want.port && held.port) && !(want.load && held.load)
				if err := table.SetListening(c); (err != nil) != refused || err != nil && err != errno.EADDRINUSE || (c.State == Listen) == refused {
					t.Fatalf("%s: there is %v, then %v listens: %v", name, held, want, err)
				}
			}
		}
	}
}

// A multicast address takes SO_REUSEADDR for SO_REUSEPORT on FreeBSD, on either
// socket and whoever asks.
func TestFreeBSDMulticastShares(t *testing.T) {
	group := netip.MustParseAddr("224.0.0.251")
	for bits := range 1 << 5 {
		want := &Claim{Addr: group, Port: 5353, UID: 1000, ReuseAddr: bits&1 != 0, ReusePort: bits&2 != 0}
		held := &Claim{Addr: group, Port: 5353, UID: 1001, ReuseAddr: bits&4 != 0, ReusePort: bits&8 != 0, ReusePortLB: bits&16 != 0}
		table := NewTable(&FreeBSD, Config{Datagram: true})
		table.Share(held)
		may := want.ReuseAddr && (held.ReuseAddr || held.ReusePort || held.ReusePortLB) || want.ReusePort && (held.ReusePort || held.ReuseAddr)
		if err := table.Bind(want, nil, Candidates{}); (err == nil) != may {
			t.Errorf("%+v beside %+v: %v", want, held, err)
		}
	}
}

// TestExhaustion: what a system answers when no port is left is its own.
func TestExhaustion(t *testing.T) {
	addr := netip.MustParseAddr("10.87.0.2")
	rng := generator(7)
	table := NewTable(&Sortix, Config{BindExhausted: errno.EAGAIN, ConnectExhausted: errno.ENOBUFS})
	free := func(uint16) bool { return false }
	for range 3 {
		if err := table.Ephemeral(&Claim{Addr: addr}, rng, Candidates{Lo: 5000, Hi: 5002}, free); err != nil {
			t.Fatal(err)
		}
	}
	// Connections have a port each there.
	if err := table.Ephemeral(&Claim{Addr: addr}, rng, Candidates{Lo: 5000, Hi: 5002}, free); err != errno.ENOBUFS {
		t.Errorf("connect: %v", err)
	}
	if err := table.Bind(&Claim{Addr: addr}, rng, Candidates{Lo: 5000, Hi: 5002}); err != errno.EAGAIN {
		t.Errorf("bind: %v", err)
	}
	// "Each port … had already been bound to a socket in a conflicting manner."
	if err := table.Bind(&Claim{Addr: netip.MustParseAddr("10.87.0.3")}, rng, Candidates{Lo: 5000, Hi: 5002}); err != nil {
		t.Errorf("another address: %v", err)
	}
}

// A stage says what it is when it is asked.
type stage State

func (s *stage) PortState() State { return State(*s) }

func TestHolderIsAsked(t *testing.T) {
	s := stage(Bound)
	table := NewTable(&Illumos, Config{})
	table.Share(&Claim{Addr: netip.IPv4Unspecified(), Port: 80, Of: &s})
	again := &Claim{Addr: netip.IPv4Unspecified(), Port: 80, ReuseAddr: true}
	for state := Bound; state <= TimeWait; state++ {
		s = stage(state)
		if got, want := table.refused(again, 80, false), state <= Listen; got != want {
			t.Errorf("state %d: refused %v", state, got)
		}
	}
}

// A range that is full is asked about port by port.
func TestAskingAllocatesNothing(t *testing.T) {
	for name, s := range systems {
		table := NewTable(s.rule, Config{})
		for port := uint16(1); port <= 100; port++ {
			table.Share(&Claim{Addr: netip.MustParseAddr("127.0.0.1"), Port: port})
			table.Share(&Claim{Addr: netip.MustParseAddr("127.0.0.2"), Port: port})
		}
		c := &Claim{Addr: netip.IPv6Unspecified(), V6: true}
		n := testing.AllocsPerRun(100, func() {
			for port := uint16(1); port <= 100; port++ {
				if !table.refused(c, port, true) || !table.refused(c, port, false) {
					t.Fatalf("%s: port %d is free", name, port)
				}
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for 200 questions", name, n)
		}
	}
}
