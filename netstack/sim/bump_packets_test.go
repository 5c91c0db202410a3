package sim

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// spoofedSYN is a SYN to A's port 80 from an address that nobody has.
func spoofedSYN(r *Rand) []byte {
	h := wire.TCP{SrcPort: uint16(1024 + r.Intn(60000)), DstPort: 80, Seq: r.Uint32(), Flags: wire.TCPSyn, Window: 1000, WScale: -1, MSS: 1460}
	src := netip.AddrFrom4([4]byte{198, 51, byte(r.Intn(250)), byte(1 + r.Intn(250))})
	e := wire.Ethernet{Dst: macHost, Src: macB, Type: wire.EtherIPv4}
	ip := wire.IPv4{TTL: 60, Protocol: wire.ProtoTCP, TotalLen: 20 + h.HeaderLen(), Src: src, Dst: netip.MustParseAddr(addrA)}
	return h.AppendTo(ip.AppendTo(e.AppendTo(nil)))
}

// mailbox is a UDP socket that answers whoever sends, if it is told to.
type mailbox struct {
	s    *udp.Socket
	echo bool
	got  [][]byte
	err  errno.Errno
}

func (m *mailbox) Deliver(from netip.AddrPort, _ netip.Addr, _ udp.Marks, p []byte) bool {
	m.got = append(m.got, append([]byte(nil), p...))
	if m.echo {
		_ = m.s.SendTo(p, from)
	}
	return true
}

func (m *mailbox) Error(e errno.Errno) { m.err = e }

func newMailbox(t testing.TB, s *netstack.Stack, bind, connect string) *mailbox {
	m := &mailbox{}
	m.s = s.NewUDP(sockopt.AFInet6, m)
	if bind != "" {
		if err := m.s.Bind(addrPort(bind), 0, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
	}
	if connect != "" {
		if err := m.s.Connect(addrPort(mapped(connect))); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// mapped is an address as a socket of AF_INET6 takes it.
func mapped(s string) string {
	a := addrPort(s)
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port()).String()
}

// TestBumpForwardsDatagrams: UDP of all sizes there and back, fragments too.
func TestBumpForwardsDatagrams(t *testing.T) {
	for _, c := range []struct {
		addr string
		in   bool
	}{{farB, false}, {"[" + farB6 + "]", false}, {addrA, true}, {"[" + addrA6 + "]", true}} {
		for _, size := range []int{0, 1, 1000, 1472, 1473, 4000, 60000} {
			w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, Way{Delay: time.Millisecond, Duplicate: 0})
			from, to := w.a, w.b
			if c.in {
				from, to = w.b, w.a
			}
			v := newMailbox(t, to, mapped(c.addr+":5000"), "")
			v.echo = true
			m := newMailbox(t, from, "", c.addr+":5000")
			data := make([]byte, size)
			for i := range data {
				data[i] = at(7, i)
			}
			if err := m.s.SendTo(data, netip.AddrPort{}); err != nil {
				t.Fatal(err)
			}
			w.run(time.Second, nil)
			if len(v.got) != 1 || len(m.got) != 1 || string(m.got[0]) != string(data) {
				t.Errorf("%d bytes to %s: %d there, %d back", size, c.addr, len(v.got), len(m.got))
			}
			if err := w.clean(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestBumpTellsErrors: ports that nobody has and hosts that do not answer.
func TestBumpTellsErrors(t *testing.T) {
	for _, c := range []struct {
		to   string
		in   bool
		want errno.Errno
	}{
		{farB + ":9", false, errno.ECONNREFUSED},
		{"[" + farB6 + "]:9", false, errno.ECONNREFUSED},
		{addrA + ":9", true, errno.ECONNREFUSED},
		{"[" + addrA6 + "]:9", true, errno.ECONNREFUSED},
		{"10.0.0.77:9", false, 0}, // not hard enough for a socket; the message comes nevertheless
		{"[fd00::77]:9", false, 0},
	} {
		w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, calm)
		from := w.a
		if c.in {
			from = w.b
		}
		m := newMailbox(t, from, "", c.to)
		if err := m.s.SendTo([]byte("x"), netip.AddrPort{}); err != nil {
			t.Fatal(err)
		}
		w.run(10*time.Second, nil)
		n := from.Counters().ICMP4.InErrorMsgs + from.Counters().ICMP6.InErrorMsgs
		if m.err != c.want || n != 1 {
			t.Errorf("%s: %v, want %v; %d ICMP errors", c.to, m.err, c.want, n)
		}
		if err := w.clean(); err != nil {
			t.Error(err)
		}
	}
}

// TestBumpNarrowPath: the outer link is narrower than A's. A's packets with DF
// come back as an error that names the size, and A cuts the next ones itself.
func TestBumpNarrowPath(t *testing.T) {
	for _, addr := range []string{farB, "[" + farB6 + "]"} {
		w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, Way{Delay: time.Millisecond, MTU: 1300})
		v := newMailbox(t, w.b, "[::]:5000", "")
		m := newMailbox(t, w.a, "", addr+":5000")
		m.s.Options().MTUDiscover = sockopt.PMTUDiscDo
		m.s.Options().MTUDiscover6 = sockopt.PMTUDiscDo
		data := make([]byte, 1400)
		if err := m.s.SendTo(data, netip.AddrPort{}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second, nil)
		if m.err != errno.EMSGSIZE || m.s.PathMTU() != 1300 || len(v.got) != 0 {
			t.Errorf("%s: %v, path MTU %d, %d arrived", addr, m.err, m.s.PathMTU(), len(v.got))
		}
		m.s.Options().MTUDiscover, m.s.Options().MTUDiscover6 = sockopt.PMTUDiscWant, sockopt.PMTUDiscWant
		m.s.TakeError()
		if err := m.s.SendTo(data, netip.AddrPort{}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second, nil)
		if len(v.got) != 1 || len(v.got[0]) != len(data) {
			t.Errorf("%s: %d arrived in fragments", addr, len(v.got))
		}
		if err := w.clean(); err != nil {
			t.Error(err)
		}
	}
}

// TestBumpCutsWithoutDF: a datagram that may be fragmented is, by the stack on
// whose link it does not fit, and the other way round it keeps the size of the
// fragments that it came in.
func TestBumpCutsWithoutDF(t *testing.T) {
	w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, Way{Delay: time.Millisecond, MTU: 1300})
	v := newMailbox(t, w.b, "[::]:5000", "")
	m := newMailbox(t, w.a, "", farB+":5000")
	m.s.Options().MTUDiscover = sockopt.PMTUDiscDont
	largest := 0
	w.log = func(to string, f []byte) {
		if to == "b" && binary.BigEndian.Uint16(f[12:]) == wire.EtherIPv4 {
			largest = max(largest, len(f)-wire.EthernetLen)
		}
	}
	for _, size := range []int{1400, 5000} {
		if err := m.s.SendTo(make([]byte, size), netip.AddrPort{}); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second, nil)
	if len(v.got) != 2 || len(v.got[0]) != 1400 || len(v.got[1]) != 5000 || largest > 1300 {
		t.Errorf("%d arrived, the largest packet had %d bytes", len(v.got), largest)
	}
	if err := w.clean(); err != nil {
		t.Error(err)
	}
}
