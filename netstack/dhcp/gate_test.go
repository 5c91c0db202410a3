package dhcp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

var (
	client = wire.MAC{2, 0, 0, 0, 0, 7}
	other  = wire.MAC{2, 0, 0, 0, 0, 8}
	id     = []byte("\x00pod/net/eth0")
	leased = netip.MustParseAddr("192.0.2.77")
)

func newGate() *Gate { return &Gate{MAC: client, ClientID: id} }

// A msg is a DHCP message and how its frame looks, to be changed by tests.
type msg struct {
	src, dst  wire.MAC
	from, to  string
	sport     uint16
	dport     uint16
	op        byte
	kind      byte
	xid       uint32
	chaddr    wire.MAC
	giaddr    byte
	options   []byte // behind the type
	end       bool
	ipOptions []byte
	more      bool // a fragment
	trailer   int  // bytes behind the datagram, in the packet
	magic     uint32
}

func request(kind byte) msg {
	return msg{src: client, dst: wire.Broadcast, from: "0.0.0.0", to: "255.255.255.255", sport: 68, dport: 67,
		op: 1, kind: kind, xid: 9, chaddr: client, options: option(optClientID, id...), end: true, magic: magic}
}

func reply(kind byte, seconds uint32) msg {
	return msg{src: other, dst: client, from: "192.0.2.1", to: "192.0.2.77", sport: 67, dport: 68,
		op: 2, kind: kind, xid: 9, chaddr: client, options: option(optLeaseTime, binary.BigEndian.AppendUint32(nil, seconds)...), end: true, magic: magic}
}

func option(code byte, value ...byte) []byte {
	return append([]byte{code, byte(len(value))}, value...)
}

func (m msg) frame() []byte {
	body := make([]byte, optionsAt)
	body[opAt], body[htypeAt], body[hlenAt] = m.op, 1, 6
	binary.BigEndian.PutUint32(body[xidAt:], m.xid)
	a := leased.As4()
	copy(body[yiaddrAt:], a[:])
	body[giaddrAt] = m.giaddr
	copy(body[chaddrAt:], m.chaddr[:])
	binary.BigEndian.PutUint32(body[magicAt:], m.magic)
	body = append(body, option(optType, m.kind)...)
	body = append(body, optPad)
	body = append(body, m.options...)
	if m.end {
		body = append(body, optEnd)
	}
	udp := wire.UDP{SrcPort: m.sport, DstPort: m.dport, Length: uint16(wire.UDPLen + len(body))}
	ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoUDP, Src: netip.MustParseAddr(m.from), Dst: netip.MustParseAddr(m.to), MF: m.more, Options: m.ipOptions}
	ip.TotalLen = ip.HeaderLen() + wire.UDPLen + len(body) + m.trailer
	b := (&wire.Ethernet{Dst: m.dst, Src: m.src, Type: wire.EtherIPv4}).AppendTo(nil)
	b = append(udp.AppendTo(ip.AppendTo(b)), body...)
	return append(b, make([]byte, m.trailer)...)
}

// What the client itself sends passes, and nothing that another program of the
// sandbox could gain by.
func TestRequest(t *testing.T) {
	for kind, want := range map[byte]bool{1: true, 3: true, 7: true, 2: false, 4: false, 5: false, 6: false, 8: false, 9: false, 13: false, 0: false} {
		if got := newGate().Request(request(kind).frame(), 0); got != want {
			t.Errorf("type %d: %t", kind, got)
		}
	}
	unicast := request(typeRelease)
	unicast.to = "192.0.2.1" // the daemon's releases go to the server, by a broadcast of the link
	if !newGate().Request(unicast.frame(), 0) {
		t.Error("a release to the server does not pass")
	}
	for name, change := range map[string]func(*msg){
		"another MAC":             func(m *msg) { m.src = other },
		"another client's MAC":    func(m *msg) { m.chaddr = other },
		"one station":             func(m *msg) { m.dst = other },
		"a source":                func(m *msg) { m.from = "192.0.2.77" },
		"to a group":              func(m *msg) { m.to = "224.0.0.1" },
		"to loopback":             func(m *msg) { m.to = "127.0.0.1" },
		"from another port":       func(m *msg) { m.sport = 67 },
		"to another port":         func(m *msg) { m.dport = 53 },
		"a reply":                 func(m *msg) { m.op = 2 },
		"by a relay":              func(m *msg) { m.giaddr = 10 },
		"no client identifier":    func(m *msg) { m.options = nil },
		"another identifier":      func(m *msg) { m.options = option(optClientID, []byte("\x00pod/net/eth1")...) },
		"an empty identifier":     func(m *msg) { m.options = option(optClientID) },
		"two identifiers":         func(m *msg) { m.options = append(m.options, option(optClientID, 1, 2)...) },
		"two types":               func(m *msg) { m.options = append(m.options, option(optType, 1)...) },
		"options in other fields": func(m *msg) { m.options = append(m.options, option(optOverload, 3)...) },
		"an option cut short":     func(m *msg) { m.options, m.end = append(m.options, 12, 200, 1), false },
		"a code alone":            func(m *msg) { m.options, m.end = append(m.options, 12), false },
		"no end":                  func(m *msg) { m.end = false },
		"a fragment":              func(m *msg) { m.more = true },
		"IP options":              func(m *msg) { m.ipOptions = []byte{1, 1, 1, 0} },
		"a trailer":               func(m *msg) { m.trailer = 4 },
		"BOOTP":                   func(m *msg) { m.magic = 0 },
	} {
		m := request(typeRequest)
		change(&m)
		if newGate().Request(m.frame(), 0) {
			t.Errorf("%s: passes", name)
		}
	}
	whole := request(typeDiscover).frame()
	for n := range whole {
		if newGate().Request(whole[:n], 0) {
			t.Errorf("%d bytes of %d pass", n, len(whole))
		}
	}
}

func TestReply(t *testing.T) {
	for kind, want := range map[byte]bool{2: true, 5: true, 6: true, 1: false, 3: false, 7: false} {
		if got := newGate().Reply(reply(kind, 60).frame()); got != want {
			t.Errorf("type %d: %t", kind, got)
		}
	}
	for name, change := range map[string]func(*msg){
		"to somebody else":     func(m *msg) { m.dst = other },
		"for somebody else":    func(m *msg) { m.chaddr = other },
		"from the client":      func(m *msg) { m.src = client },
		"from a group":         func(m *msg) { m.src = wire.Broadcast },
		"a request":            func(m *msg) { m.op = 1 },
		"a lease of two bytes": func(m *msg) { m.options = option(optLeaseTime, 1, 2) },
	} {
		m := reply(typeACK, 60)
		change(&m)
		if newGate().Reply(m.frame()) {
			t.Errorf("%s: passes", name)
		}
	}
}

// Whatever goes to a port of DHCP is known by its head, and nothing else is.
func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*msg)
		want   bool
	}{
		"a request":       {func(*msg) {}, true},
		"a reply":         {func(m *msg) { m.dport = 68 }, true},
		"another port":    {func(m *msg) { m.dport = 53 }, false},
		"from that port":  {func(m *msg) { m.sport, m.dport = 67, 4000 }, false},
		"IP options":      {func(m *msg) { m.ipOptions = []byte{1, 1, 1, 0} }, true},
		"its first piece": {func(m *msg) { m.more = true }, true},
	} {
		m := request(typeDiscover)
		c.change(&m)
		if got := Names(m.frame()[:HeadLen]); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	whole := request(typeDiscover).frame()
	for n := range whole {
		if got := Names(whole[:n]); got != (n >= wire.EthernetLen+wire.IPv4MinHeader+4) {
			t.Errorf("%d bytes: %t", n, got)
		}
	}
}

// The lease counts from the request, and only what was asked for counts.
func TestLease(t *testing.T) {
	const sec = time.Second
	g := newGate()
	ask := func(xid uint32, at time.Duration) {
		m := request(typeRequest)
		m.xid = xid
		g.Request(m.frame(), at)
	}
	grant := func(xid, seconds uint32) {
		m := reply(typeACK, seconds)
		m.xid = xid
		g.Reply(m.frame())
	}
	expect := func(step string, at time.Duration, want bool) {
		t.Helper()
		if got := g.Expired(at); got != want {
			t.Errorf("%s: at %v expired is %t", step, at, got)
		}
	}
	grant(9, 5)
	expect("an answer to nothing", 1000*sec, false)
	ask(9, 10*sec)
	ask(9, 12*sec) // again: the first one counts
	grant(8, 500)
	expect("an answer to another request", 1000*sec, false)
	grant(9, 5)
	expect("granted", 15*sec-1, false)
	expect("granted", 15*sec, true)
	if g.Addr != leased {
		t.Errorf("address %v", g.Addr)
	}
	grant(9, 500)
	expect("the same answer again", 15*sec, true)
	ask(10, 20*sec)
	grant(10, 5)
	expect("renewed after its end", 24*sec, false)
	ask(11, 24*sec)
	g.Addr = netip.MustParseAddr("192.0.2.78")
	grant(11, 500)
	expect("another address", 25*sec, true)
	g.Addr = leased
	grant(11, Infinite)
	expect("for ever", 1<<62, false)
}

// Whatever comes: no panic, and what passes is from and about the client.
func FuzzGate(f *testing.F) {
	f.Add(request(typeDiscover).frame(), true)
	f.Add(reply(typeACK, 60).frame(), false)
	f.Fuzz(func(t *testing.T, b []byte, out bool) {
		Names(b)
		g := newGate()
		if out && g.Request(b, 0) && (wire.MAC(b[6:12]) != client || wire.MAC(b[42+chaddrAt:42+chaddrAt+6]) != client) {
			t.Fatalf("%x passes", b)
		}
		if !out && g.Reply(b) && wire.MAC(b[42+chaddrAt:42+chaddrAt+6]) != client {
			t.Fatalf("%x passes", b)
		}
	})
}
