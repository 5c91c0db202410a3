package ports

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// generator is a deterministic source of random numbers (a Weyl sequence,
// mixed as SplitMix does).
func generator(seed uint64) func() uint32 {
	return func() uint32 {
		seed += 0x9e3779b97f4a7c15
		z := (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		return uint32((z ^ z>>27) >> 32)
	}
}

func TestEveryPairOfSocketsFollowsTheOracle(t *testing.T) {
	all := users()
	for _, first := range all {
		for _, second := range all {
			for _, listens := range []bool{false, true} {
				var table Table
				a, b := first.claim(80), second.claim(80)
				if err := table.Bind(a, nil, Candidates{}); err != nil {
					t.Fatalf("%v alone: %v", first, err)
				}
				if listens {
					if err := table.SetListening(a); err != nil {
						t.Fatalf("%v listens alone: %v", first, err)
					}
				}
				err := table.Bind(b, nil, Candidates{})
				if want := mayShare(first, second, listens); (err == nil) != want {
					t.Errorf("%v (listening: %v), then %v: %v, want allowed %v", first, listens, second, err, want)
					continue
				}
				if err != nil {
					if err != errno.EADDRINUSE {
						t.Errorf("the error is %v", err)
					}
					continue
				}
				// The second listens as well: it asks once more.
				err = table.SetListening(b)
				if want := mayShare(first, second, listens); (err == nil) != want {
					t.Errorf("%v (listening: %v), then %v listens: %v, want allowed %v", first, listens, second, err, want)
				}
			}
		}
	}
}

func TestSecondListenerOnSharedPort(t *testing.T) {
	var table Table
	a := &Claim{Addr: netip.IPv4Unspecified(), Port: 80, ReuseAddr: true}
	b := &Claim{Addr: netip.IPv4Unspecified(), Port: 80, ReuseAddr: true}
	for _, c := range []*Claim{a, b} {
		if err := table.Bind(c, nil, Candidates{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.SetListening(a); err != nil {
		t.Fatal(err)
	}
	if err := table.SetListening(b); err != errno.EADDRINUSE {
		t.Errorf("second listener: %v", err)
	}
	table.Release(a)
	if err := table.SetListening(b); err != nil {
		t.Errorf("after the first is gone: %v", err)
	}
}

func TestLinksSeparateClaims(t *testing.T) {
	var table Table
	claim := func(link int) *Claim { return &Claim{Addr: netip.IPv4Unspecified(), Port: 53, Link: link} }
	if err := table.Bind(claim(1), nil, Candidates{}); err != nil {
		t.Fatal(err)
	}
	if err := table.Bind(claim(2), nil, Candidates{}); err != nil {
		t.Errorf("another link: %v", err)
	}
	if table.Bind(claim(2), nil, Candidates{}) == nil || table.Bind(claim(0), nil, Candidates{}) == nil {
		t.Error("a link's port is given twice")
	}
}

func TestTimeWaitKeepsThePort(t *testing.T) {
	var table Table
	left := &Claim{Addr: netip.IPv4Unspecified(), Port: 80, ReusePort: true, UID: 1, State: TimeWait}
	table.Share(left)
	if err := table.Bind(&Claim{Addr: netip.IPv4Unspecified(), Port: 80}, nil, Candidates{}); err != errno.EADDRINUSE {
		t.Errorf("a server restarts without SO_REUSEADDR: %v", err)
	}
	if err := table.Bind(&Claim{Addr: netip.IPv4Unspecified(), Port: 80, ReusePort: true, UID: 2}, nil, Candidates{}); err != nil {
		t.Errorf("SO_REUSEPORT beside another user's TIME-WAIT: %v", err)
	}
}

func TestBindChoosesEveryFreePortAlike(t *testing.T) {
	const lo, hi, rounds = 40000, 40009, 40000
	var table Table
	for _, used := range []uint16{40001, 40002, 40003} { // a run, after which counting up would land more often
		if err := table.Bind(&Claim{Addr: netip.IPv4Unspecified(), Port: used}, nil, Candidates{}); err != nil {
			t.Fatal(err)
		}
	}
	rng := generator(1)
	seen := make(map[uint16]int)
	for range rounds {
		c := &Claim{Addr: netip.IPv4Unspecified(), ReuseAddr: true, ReusePort: true}
		if err := table.Bind(c, rng, Candidates{Lo: lo, Hi: hi}); err != nil {
			t.Fatal(err)
		}
		seen[c.Port]++
		table.Release(c)
	}
	checkEven(t, seen, 7, rounds)
}

// checkEven wants each of n ports to be seen equally often, within five
// standard deviations.
func checkEven(t *testing.T, seen map[uint16]int, n, rounds int) {
	t.Helper()
	mean := rounds / n
	if len(seen) != n {
		t.Errorf("%d ports chosen, want %d: %v", len(seen), n, seen)
	}
	for port, times := range seen {
		if d := times - mean; d*d > 25*mean {
			t.Errorf("port %d was chosen %d times, the mean is %d", port, times, mean)
		}
	}
}

func TestBindFindsTheLastFreePorts(t *testing.T) {
	const lo, hi = 1, 4000
	var table Table
	rng := generator(2)
	for p := lo; p <= hi; p++ {
		if p != lo && p != 777 && p != hi {
			table.Share(&Claim{Addr: netip.IPv4Unspecified(), Port: uint16(p)})
		}
	}
	seen := make(map[uint16]int)
	for range 300 {
		c := &Claim{Addr: netip.IPv4Unspecified()}
		if err := table.Bind(c, rng, Candidates{Lo: lo, Hi: hi}); err != nil {
			t.Fatal(err)
		}
		seen[c.Port]++
		table.Release(c)
	}
	checkEven(t, seen, 3, 300)
}

func TestBindWithoutFreePort(t *testing.T) {
	var table Table
	rng := generator(3)
	c := []*Claim{{Addr: netip.IPv4Unspecified()}, {Addr: netip.IPv4Unspecified(), ReuseAddr: true}, {Addr: netip.IPv6Unspecified(), V6: true, V6Only: true}}
	if err := table.Bind(c[0], rng, Candidates{Lo: 5, Hi: 5}); err != nil || c[0].Port != 5 {
		t.Fatalf("port %d, %v", c[0].Port, err)
	}
	if err := table.Bind(c[1], rng, Candidates{Lo: 5, Hi: 5}); err != errno.EADDRINUSE || c[1].Port != 0 || c[1].Held() {
		t.Errorf("full range: port %d, %v", c[1].Port, err)
	}
	if err := table.Bind(c[2], rng, Candidates{Lo: 5, Hi: 5}); err != nil {
		t.Errorf("IPv6 only beside IPv4: %v", err)
	}
	if err := table.Bind(&Claim{Addr: netip.IPv4Unspecified()}, rng, Candidates{Lo: 9, Hi: 8}); err != errno.EADDRINUSE {
		t.Errorf("an empty range: %v", err)
	}
}

func TestEphemeralSharesPortsBetweenDestinations(t *testing.T) {
	var table Table
	rng := generator(4)
	addr := netip.MustParseAddr("10.87.0.2")
	server := &Claim{Addr: addr, Port: 5001}
	if err := table.Bind(server, nil, Candidates{}); err != nil {
		t.Fatal(err)
	}
	perPort := make(map[uint16]int)
	var claims []*Claim
	for destination := range 3 {
		taken := make(map[uint16]bool)
		for range 3 { // 5000, 5002, 5003
			c := &Claim{Addr: addr}
			if err := table.Ephemeral(c, rng, Candidates{Lo: 5000, Hi: 5003}, func(p uint16) bool { return taken[p] }); err != nil {
				t.Fatalf("destination %d: %v", destination, err)
			}
			if c.State != Active || !c.Held() {
				t.Error("the claim is not marked")
			}
			taken[c.Port] = true
			perPort[c.Port]++
			claims = append(claims, c)
		}
		full := &Claim{Addr: addr}
		if err := table.Ephemeral(full, rng, Candidates{Lo: 5000, Hi: 5003}, func(p uint16) bool { return taken[p] }); err != errno.EADDRNOTAVAIL {
			t.Errorf("all pairs taken: %v, port %d", err, full.Port)
		}
	}
	if perPort[5001] != 0 || perPort[5000] != 3 || perPort[5002] != 3 || perPort[5003] != 3 {
		t.Errorf("connections per port: %v", perPort)
	}
	if err := table.Bind(&Claim{Addr: addr, Port: 5000}, nil, Candidates{}); err != errno.EADDRINUSE {
		t.Errorf("binding to a connection's port: %v", err)
	}
	for _, c := range claims {
		table.Release(c)
		table.Release(c) // twice is harmless
	}
	if len(table.ports) != 1 {
		t.Errorf("%d ports are left in the table", len(table.ports))
	}
}

// A random history keeps the table's chains and counts whole.
func TestTableStaysConsistent(t *testing.T) {
	rng := generator(5)
	var table Table
	var held []*Claim
	all := users()
	for range 20000 {
		if len(held) > 0 && rng()%2 == 0 {
			i := int(rng()) % len(held)
			table.Release(held[i])
			held = append(held[:i], held[i+1:]...)
			continue
		}
		c := all[int(rng())%len(all)].claim(0)
		var err error
		switch rng() % 3 {
		case 0:
			c.Port = uint16(rng()%8 + 1)
			err = table.Bind(c, rng, Candidates{Lo: 1, Hi: 8})
		case 1:
			err = table.Bind(c, rng, Candidates{Lo: 1, Hi: 8})
		case 2:
			err = table.Ephemeral(c, rng, Candidates{Lo: 1, Hi: 16}, func(uint16) bool { return false })
		}
		if err == nil {
			held = append(held, c)
		}
	}
	count := make(map[uint16]port)
	for _, c := range held {
		p := count[c.Port]
		if c.State != Active {
			p.bound++
		}
		count[c.Port] = p
	}
	for number, p := range table.ports {
		chain := 0
		for c := p.first; c != nil; c = c.next {
			chain++
			if c.Port != number || c.next != nil && c.next.prev != c {
				t.Fatalf("port %d: the chain is broken", number)
			}
		}
		if p.bound != count[number].bound || chain == 0 {
			t.Errorf("port %d: %d bound, want %d; %d in the chain", number, p.bound, count[number].bound, chain)
		}
	}
	for _, c := range held {
		table.Release(c)
	}
	if len(table.ports) != 0 {
		t.Errorf("%d ports are left", len(table.ports))
	}
}

func TestRuleByName(t *testing.T) {
	if _, err := RuleByName("linux"); err != nil {
		t.Error(err)
	}
	_, err := RuleByName("plan9")
	if want := `bind rule "plan9" is unknown; accepted: cxux, freebsd, illumos, linux, sortix`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// A stuck generator must not stop the stack.
func TestStuckGenerator(t *testing.T) {
	var table Table
	for want := range 3 {
		c := &Claim{Addr: netip.IPv4Unspecified()}
		if err := table.Bind(c, func() uint32 { return 0 }, Candidates{Lo: 10, Hi: 12}); err != nil || c.Port < 10 || c.Port > 12 {
			t.Errorf("%d: port %d, %v", want, c.Port, err)
		}
	}
}

func BenchmarkEphemeral(b *testing.B) {
	var table Table
	rng := generator(6)
	addr := netip.MustParseAddr("10.87.0.2")
	c := &Claim{Addr: addr}
	used := func(uint16) bool { return false }
	b.ReportAllocs()
	for b.Loop() {
		if table.Ephemeral(c, rng, Candidates{Lo: 32768, Hi: 60999}, used) != nil {
			b.Fatal("no port")
		}
		table.Release(c)
	}
}
