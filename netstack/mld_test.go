package netstack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// query is a listener query from fe80::1, of MLDv2 or, cut short, MLDv1.
func query(src string, hop uint8, v1, alert bool, delay uint16) []byte {
	m := append([]byte{130, 0, 0, 0, byte(delay >> 8), byte(delay), 0, 0}, make([]byte, 16)...)
	if !v1 {
		m = append(m, 2, 125, 0, 0)
	}
	s := netip.MustParseAddr(src)
	ck := wire.TransportChecksum(s, wire.AllNodes, wire.ProtoICMP6, m)
	m[2], m[3] = byte(ck>>8), byte(ck)
	h := wire.IPv6{NextHeader: wire.ProtoICMP6, HopLimit: hop, PayloadLen: len(m), Src: s, Dst: wire.AllNodes}
	if alert {
		h.NextHeader, h.PayloadLen = wire.ProtoHopByHop, h.PayloadLen+8
		m = append(append([]byte(nil), wire.RouterAlert[:]...), m...)
	}
	e := wire.Ethernet{Dst: wire.MulticastMAC(wire.AllNodes), Src: macA, Type: wire.EtherIPv6}
	return append(h.AppendTo(e.AppendTo(nil)), m...)
}

// reports are the groups that frames report, by type.
func reports(t *testing.T, log []frame) (v2, v1 []string) {
	t.Helper()
	for _, p := range decode(t, log) {
		ip, ok := p.NetworkLayer().(*layers.IPv6)
		if !ok {
			continue
		}
		if m, ok := p.Layer(layers.LayerTypeMLDv2MulticastListenerReport).(*layers.MLDv2MulticastListenerReportMessage); ok {
			if ip.HopLimit != 1 || ip.DstIP.String() != "ff02::16" || !ip.SrcIP.IsLinkLocalUnicast() {
				t.Errorf("%v", p)
			}
			for _, r := range m.MulticastAddressRecords {
				v2 = append(v2, r.RecordType.String()+" "+r.MulticastAddress.String())
			}
		}
		if m, ok := p.Layer(layers.LayerTypeMLDv1MulticastListenerReport).(*layers.MLDv1MulticastListenerReportMessage); ok {
			v1 = append(v1, m.MulticastAddress.String())
		}
	}
	return v2, v1
}

func TestListenersAreReportedTwice(t *testing.T) {
	b := freshBench(t)
	v2, _ := reports(t, b.after(2*time.Second))
	if len(v2) != 2 {
		t.Errorf("%v, want one more report of two groups", v2)
	}
	b.quiet("later", b.after(time.Hour))
}

func TestListenerQueryIsAnswered(t *testing.T) {
	b := newBench(t)
	b.after(2 * time.Second)
	b.quiet("at once", b.send(query("fe80::1", 1, false, true, 1000)))
	v2, v1 := reports(t, b.after(time.Second))
	if len(v2) != 2 || len(v1) != 0 {
		t.Errorf("MLDv2: %v %v", v2, v1)
	}
	b.send(query("fe80::1", 1, true, true, 1000))
	if v2, v1 = reports(t, b.after(time.Second)); len(v2) != 0 || len(v1) != 2 || v1[0] != "ff02::1:ff00:2" {
		t.Errorf("MLDv1: %v %v", v2, v1)
	}
	for name, f := range map[string][]byte{
		"hop limit":       query("fe80::1", 2, false, true, 0),
		"global source":   query("fd87::1", 1, false, true, 0),
		"no router alert": query("fe80::1", 1, false, false, 0),
	} {
		b.send(f)
		b.quiet(name, b.after(time.Minute))
	}
}

// TestAnswersToQueriesAreSpread: a query that allows ten seconds is answered at
// any time of them, or every host of the link would answer at once.
func TestAnswersToQueriesAreSpread(t *testing.T) {
	b := newBench(t)
	var halves [2]int
	for range 64 {
		b.quiet("at once", b.send(query("fe80::1", 1, false, true, 10000)))
		early := len(b.after(5 * time.Second))
		late := len(b.after(5 * time.Second))
		if early+late != 1 {
			t.Fatalf("%d answers", early+late)
		}
		halves[late]++
	}
	if halves[0] < 16 || halves[1] < 16 {
		t.Errorf("%d answers in the first half, %d in the second", halves[0], halves[1])
	}
}
