package netstack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// tooBig is a router's complaint about the packet sent.
func tooBig(sent []byte, mtu uint16) []byte {
	if sent[0]>>4 == 6 {
		m := append([]byte{2, 0, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, sent[:min(len(sent), 200)]...)
		ck := wire.TransportChecksum(ipA6, ipB6, wire.ProtoICMP6, m)
		m[2], m[3] = byte(ck>>8), byte(ck)
		return build(eth6(), ip6(58, "fd87::1", "fd87::2"), raw(string(m)))
	}
	return build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 4), Seq: mtu}, raw(string(sent[:28])))
}

func TestPathMTUOfDatagrams(t *testing.T) {
	for _, c := range []struct {
		to     string
		domain int
	}{{"10.87.0.1:9", 2}, {"[fd87::1]:9", 10}} {
		b := newBench(t)
		b.know()
		app := &udpApp{}
		s := b.s.NewUDP(c.domain, app)
		mustNot(t, s.Connect(ap(c.to)))
		if s.PathMTU() != 1500 {
			t.Errorf("%s: path MTU %d", c.to, s.PathMTU())
		}
		data := filler(1400)
		b.out.log = nil
		mustNot(t, s.SendTo(data, netip.AddrPort{}))
		b.send(tooBig(b.out.log[0].data[14:], 1300))
		if len(app.errs) != 1 || app.errs[0] != errno.EMSGSIZE || s.TakeError() != errno.EMSGSIZE {
			t.Errorf("%s: %v", c.to, app.errs)
		}
		if s.PathMTU() != 1300 {
			t.Errorf("%s: path MTU %d, want 1300", c.to, s.PathMTU())
		}
		// The default discovery cuts the next one, without DF.
		b.out.log = nil
		mustNot(t, s.SendTo(data, netip.AddrPort{}))
		if len(b.out.log) != 2 || len(b.out.log[0].data) > 14+1300 {
			t.Errorf("%s: %d frames", c.to, len(b.out.log))
		}
		decode(t, b.out.log)
		s.Options().MTUDiscover, s.Options().MTUDiscover6 = sockopt.PMTUDiscDo, sockopt.PMTUDiscDo
		if err := s.SendTo(data, netip.AddrPort{}); err != errno.EMSGSIZE {
			t.Errorf("%s: with IP_PMTUDISC_DO: %v", c.to, err)
		}
		s.Options().MTUDiscover, s.Options().MTUDiscover6 = sockopt.PMTUDiscProbe, sockopt.PMTUDiscProbe
		b.out.log = nil
		mustNot(t, s.SendTo(data, netip.AddrPort{}))
		if len(b.out.log) != 1 || len(b.out.log[0].data) < 1400 {
			t.Errorf("%s: with IP_PMTUDISC_PROBE: %d frames", c.to, len(b.out.log))
		}
		// A message never raises it, time does (RFC 1191 section 6.3).
		b.send(tooBig(b.out.log[0].data[14:], 1400))
		if s.PathMTU() != 1300 {
			t.Errorf("%s: raised to %d", c.to, s.PathMTU())
		}
		b.after(pmtuTime + time.Second)
		if s.PathMTU() != 1500 {
			t.Errorf("%s: after its time %d", c.to, s.PathMTU())
		}
	}
}

func TestPathMTUBounds(t *testing.T) {
	for _, c := range []struct {
		given, length, want int
		noDF                bool
	}{{1000, 1500, 1000, false}, {100, 1500, minPMTU4, true}, {0, 1500, 1492, false}, {0, 1492, 1006, false}, {1500, 1500, 1492, false}, {9000, 1500, 1492, false}, {0, 576, minPMTU4, true}} {
		b := newBench(t)
		b.s.learnPMTU(addrA, nextHopMTU(c.given, c.length))
		w, _ := b.s.route(netip.Addr{}, addrA, 0)
		if w.mtu != c.want || w.noDF != c.noDF {
			t.Errorf("%d for a packet of %d: MTU %d, no DF %v; want %d, %v", c.given, c.length, w.mtu, w.noDF, c.want, c.noDF)
		}
	}
	b := newBench(t)
	b.s.learnPMTU(ipA6, 1279)
	if w, _ := b.s.route(netip.Addr{}, ipA6, 0); w.mtu != 1500 {
		t.Errorf("IPv6 path MTU %d after a message below 1280", w.mtu)
	}
	for i := range 3 * maxPMTUs {
		b.s.learnPMTU(netip.AddrFrom4([4]byte{9, 9, byte(i >> 8), byte(i)}), 1000)
	}
	if len(b.s.pmtu.order) != maxPMTUs || len(b.s.pmtu.byDst) != maxPMTUs {
		t.Errorf("%d and %d entries", len(b.s.pmtu.order), len(b.s.pmtu.byDst))
	}
}

func TestPathMTUReachesTCP(t *testing.T) {
	for _, c := range []struct {
		to     string
		domain int
	}{{"10.87.0.1:9", 2}, {"[fd87::1]:9", 10}} {
		w := newWorld(t)
		ls := w.a.NewTCP(c.domain, nil)
		mustNot(t, ls.Bind(ap(c.to), 0, priv))
		mustNot(t, ls.Listen(1))
		app := &tcpApp{}
		s := w.b.NewTCP(c.domain, app)
		_ = s.Connect(ap(c.to))
		w.settle()
		srv, err := ls.Accept()
		mustNot(t, err)
		got := &tcpApp{}
		srv.SetOwner(got)
		srv.Resume()
		// A router between them that carries 1300 bytes.
		complaints := 0
		w.ba.drop = func(f frame) bool {
			if len(f.data) <= 14+1300 {
				return false
			}
			if complaints++; complaints < 10 {
				w.ab.frames = append(w.ab.frames, frame{data: tooBig(f.data[14:], 1300)})
			}
			return true
		}
		s.Write(filler(20000))
		w.wait(5 * time.Second)
		if len(got.data) != 20000 || complaints == 0 {
			t.Errorf("%s: %d bytes arrived after %d complaints", c.to, len(got.data), complaints)
		}
		if app.events&tcp.EventError != 0 {
			t.Errorf("%s: failed", c.to)
		}
		// The next connection knows.
		if p, err := (*tcpNetwork)(w.b).Route(netip.Addr{}, ap(c.to).Addr(), 0); err != nil || p.MTU != 1300 {
			t.Errorf("%s: path MTU %d, %v", c.to, p.MTU, err)
		}
		// What quotes nothing that is under way changes nothing.
		h := wire.TCP{SrcPort: s.LocalAddr().Port(), DstPort: 9, Seq: 1, WScale: -1}
		w.b.in = inbound{link: w.b.links[0]}
		w.b.transportError(&wire.Quoted{Src: s.LocalAddr().Addr(), Dst: ap(c.to).Addr(), Proto: wire.ProtoTCP, Transport: h.AppendTo(nil)}, meaning{}, 1280, &ICMPCounters{})
		if p, _ := (*tcpNetwork)(w.b).Route(netip.Addr{}, ap(c.to).Addr(), 0); p.MTU != 1300 {
			t.Errorf("%s: a forged message lowered the path MTU to %d", c.to, p.MTU)
		}
	}
}
