package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestARPRequestLiteral(t *testing.T) {
	h := ARP{Op: ARPRequest, SenderMAC: MAC{2, 0, 10, 87, 0, 1}, SenderIP: netip.MustParseAddr("10.87.0.1"), TargetIP: netip.MustParseAddr("10.87.0.2")}
	want := unhex(t, "0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570002")
	if got := h.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("emitted %x, want %x", got, want)
	}
}

// The header of a packet that tcpdump captured from Linux.
func TestIPv4HeaderLiteral(t *testing.T) {
	b := unhex(t, "4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")
	b = append(b, make([]byte, 0x73-20)...)
	var h IPv4
	payload, err := ParseIPv4(append(b, 1, 2, 3), &h)
	if err != nil || len(payload) != 0x73-20 || !h.DF || h.MF || h.TTL != 64 || h.Protocol != ProtoUDP || h.Src.String() != "192.168.0.1" || h.Dst.String() != "192.168.0.199" {
		t.Fatalf("%+v, %d bytes, %v", h, len(payload), err)
	}
	if got := h.AppendTo(nil); !bytes.Equal(got, b[:20]) {
		t.Errorf("emitted %x, want %x", got, b[:20])
	}
	b[8]--
	if _, err := ParseIPv4(b, &h); err != ErrChecksum {
		t.Errorf("wrong checksum: %v", err)
	}
}

func TestIPv4Refused(t *testing.T) {
	good := IPv4{TTL: 1, Protocol: 17, TotalLen: 24, Src: netip.MustParseAddr("1.2.3.4"), Dst: netip.MustParseAddr("5.6.7.8")}
	for _, c := range []struct {
		name string
		edit func(b []byte) []byte
		want error
	}{
		{"short", func(b []byte) []byte { return b[:19] }, ErrShort},
		{"version", func(b []byte) []byte { b[0] = 0x65; return b }, ErrFormat},
		{"ihl", func(b []byte) []byte { b[0] = 0x44; return b }, ErrFormat},
		{"total below header", func(b []byte) []byte { b[3] = 19; return b }, ErrFormat},
		{"total beyond packet", func(b []byte) []byte { b[3] = 25; return b }, ErrShort},
	} {
		b := append(good.AppendTo(nil), 1, 2, 3, 4)
		var h IPv4
		if _, err := ParseIPv4(c.edit(b), &h); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestIPv4Options(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []byte
		err     error
		routed  bool
	}{
		{"padding", []byte{1, 1, 1, 0}, nil, false},
		{"router alert", []byte{148, 4, 0, 0}, nil, false},
		{"loose source route", []byte{131, 7, 4, 1, 2, 3, 4, 0}, nil, true},
		{"strict source route", []byte{1, 137, 7, 4, 1, 2, 3, 4}, nil, true},
		{"route behind the end", []byte{0, 137, 7, 4, 1, 2, 3, 4}, nil, false},
		{"length 1", []byte{7, 1, 0, 0}, ErrFormat, false},
		{"beyond the header", []byte{7, 5, 0, 0}, ErrFormat, false},
		{"no length", []byte{1, 1, 1, 7}, ErrFormat, false},
	} {
		h := IPv4{TTL: 9, Protocol: 6, Options: c.options, TotalLen: 20 + len(c.options), Src: netip.MustParseAddr("1.2.3.4"), Dst: netip.MustParseAddr("5.6.7.8")}
		var got IPv4
		if _, err := ParseIPv4(h.AppendTo(nil), &got); err != c.err || got.SourceRoute != c.routed {
			t.Errorf("%s: %v, source route %v", c.name, err, got.SourceRoute)
		}
	}
}

func TestExtensionHeaders(t *testing.T) {
	pad := "01 04 00000000"
	for _, c := range []struct {
		name    string
		next    uint8
		chain   string
		proto   uint8
		offset  int
		verdict ExtVerdict
		code    uint8
		pointer int
	}{
		{"none", 6, "", 6, 0, ExtOK, 0, 0},
		{"hop-by-hop, destination", 0, "3c00" + pad + "1100" + pad, 17, 16, ExtOK, 0, 0},
		{"hop-by-hop not first", 60, "0000" + pad + "1100" + pad, 0, 8, ExtParam, 1, 40},
		{"routing done", 43, "06 00 04 00 00000000", 6, 8, ExtOK, 0, 0},
		{"routing type 0", 43, "06 02 00 01 00000000 fd870000000000000000000000000009", 43, 0, ExtParam, 0, 42},
		{"option to skip", 60, "0600 1e04 00000000", 6, 8, ExtOK, 0, 0},
		{"option to drop", 60, "0600 5e04 00000000", 60, 0, ExtDrop, 0, 0},
		{"option to report", 60, "0600 9e04 00000000", 60, 0, ExtParam, 2, 42},
		{"option to report unless group", 60, "0600 00 de 03 000000", 60, 0, ExtParamNotGroup, 2, 43},
		{"option beyond the header", 60, "0600 1e05 00000000", 60, 0, ExtParam, 0, 42},
		{"short", 60, "0601" + pad, 60, 0, ExtShort, 0, 0},
		{"endless", 60, strings.Repeat("3c00"+pad, 9), 60, 64, ExtDrop, 0, 0},
	} {
		var e Ext6
		WalkExt(c.next, unhex(t, c.chain), &e)
		if e.Verdict != c.verdict || e.Proto != c.proto || e.Offset != c.offset || e.Code != c.code || e.Pointer != c.pointer {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestLinkLocalAndGroups(t *testing.T) {
	if got := LinkLocal(MAC{0x02, 0x00, 0x0a, 0x57, 0x00, 0x02}); got != netip.MustParseAddr("fe80::aff:fe57:2") {
		t.Errorf("link-local %v", got)
	}
	g := SolicitedNode(netip.MustParseAddr("fd87::1234:5678"))
	if g != netip.MustParseAddr("ff02::1:ff34:5678") || MulticastMAC(g) != (MAC{0x33, 0x33, 0xff, 0x34, 0x56, 0x78}) {
		t.Errorf("solicited-node %v at %v", g, MulticastMAC(g))
	}
	if got := MulticastMAC(netip.MustParseAddr("239.255.1.2")); got != (MAC{1, 0, 0x5e, 0x7f, 1, 2}) {
		t.Errorf("239.255.1.2 at %v", got)
	}
}
