package wire

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

// A parser that accepts bytes must emit them again: what AppendTo makes of the
// header is what was read, as far as the header says everything.

func FuzzEthernet(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Ethernet
		payload, err := ParseEthernet(b, &h)
		if err != nil {
			return
		}
		if got := append(h.AppendTo(nil), payload...); !bytes.Equal(got, b) {
			t.Fatalf("emitted %x, read %x", got, b)
		}
	})
}

func FuzzARP(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var h ARP
		if ParseARP(b, &h) != nil {
			return
		}
		if got := h.AppendTo(nil); !bytes.Equal(got, b[:ARPLen]) {
			t.Fatalf("emitted %x, read %x", got, b)
		}
	})
}

func FuzzIPv4(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		fixIPv4(b)
		var h IPv4
		payload, err := ParseIPv4(b, &h)
		if err != nil {
			return
		}
		if b[6]&0x80 != 0 {
			return // the reserved bit is not kept
		}
		got := append(h.AppendTo(nil), payload...)
		want := b[:h.TotalLen]
		// Of the two zeros of one's complement a sender may have used either.
		got[10], got[11], want[10], want[11] = 0, 0, 0, 0
		if !bytes.Equal(got, want) {
			t.Fatalf("emitted %x, read %x", got, want)
		}
	})
}

// fixIPv4 gives b the header checksum that lets the fuzzer get past it.
func fixIPv4(b []byte) {
	if len(b) < IPv4MinHeader {
		return
	}
	n := min(int(b[0]&15)*4, len(b))
	if n < IPv4MinHeader {
		return
	}
	b[10], b[11] = 0, 0
	ck := Checksum(b[:n], 0)
	b[10], b[11] = byte(ck>>8), byte(ck)
}

func FuzzIPv6(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var h IPv6
		payload, err := ParseIPv6(b, &h)
		if err != nil {
			return
		}
		if got := append(h.AppendTo(nil), payload...); !bytes.Equal(got, b[:IPv6Len+h.PayloadLen]) {
			t.Fatalf("emitted %x, read %x", got, b)
		}
	})
}

func FuzzExt6(f *testing.F) {
	f.Fuzz(func(t *testing.T, next uint8, b []byte) {
		var e Ext6
		WalkExt(next, b, &e)
		check := func() {
			if e.Verdict == ExtOK && e.Offset > len(b) {
				t.Fatalf("offset %d of %d: %+v", e.Offset, len(b), e)
			}
			if e.NextField < ipv6NextField || e.NextField >= IPv6Len+max(len(b), 1) {
				t.Fatalf("next field %d of %d: %+v", e.NextField, len(b), e)
			}
			if (e.Verdict == ExtParam || e.Verdict == ExtParamNotGroup) && e.Pointer >= IPv6Len+len(b) {
				t.Fatalf("pointer %d of %d: %+v", e.Pointer, len(b), e)
			}
		}
		check()
		if e.HasFrag && e.Verdict == ExtOK {
			if got := e.Frag.AppendTo(nil); got[0] != b[e.FragOffset] || !bytes.Equal(got[4:], b[e.FragOffset+4:e.FragOffset+8]) {
				t.Fatalf("emitted %x, read %x", got, b[e.FragOffset:])
			}
			e.Resume(b)
			check()
		}
		SkipExt(next, b)
	})
}

func FuzzICMP4(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= ICMPLen {
			b[2], b[3] = 0, 0
			ck := Checksum(b, 0)
			b[2], b[3] = byte(ck>>8), byte(ck)
		}
		var h ICMP
		body, err := ParseICMP4(b, &h)
		if err != nil {
			if len(b) >= ICMPLen {
				t.Fatal(err)
			}
			return
		}
		got := append(h.AppendTo(nil), body...)
		b[2], b[3] = 0, 0
		if !bytes.Equal(got, b) {
			t.Fatalf("emitted %x, read %x", got, b)
		}
	})
}

func FuzzICMP6(f *testing.F) {
	src, dst := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::1:ff00:2")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= ICMPLen {
			b[2], b[3] = 0, 0
			ck := TransportChecksum(src, dst, ProtoICMP6, b)
			b[2], b[3] = byte(ck>>8), byte(ck)
		}
		var h ICMP
		body, err := ParseICMP6(src, dst, b, &h)
		if (err == nil) != (len(b) >= ICMPLen) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err != nil {
			return
		}
		var q MLDQuery
		if ParseMLDQuery(&h, body, &q) == nil && (q.MaxDelay < 0 || q.MaxDelay > 0x1fff<<10*time.Millisecond) {
			t.Fatalf("%+v", q)
		}
		var n ND
		if h.Type != ICMP6NeighborSolicit && h.Type != ICMP6NeighborAdvert || ParseND(h.Type, body, &n) != nil {
			return
		}
		var again ND
		out := n.AppendTo(nil, h.Type, h.Rest)
		if err := ParseND(h.Type, out[ICMPLen:], &again); err != nil || again != n {
			t.Fatalf("read %+v, again %+v, %v", n, again, err)
		}
	})
}

func FuzzUDP(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var h UDP
		payload, err := ParseUDP(b, &h)
		if err != nil {
			return
		}
		if got := append(h.AppendTo(nil), payload...); !bytes.Equal(got, b[:h.Length]) {
			t.Fatalf("emitted %x, read %x", got, b)
		}
	})
}

func FuzzQuoted(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte, *Quoted) error{ParseQuoted4, ParseQuoted6} {
			var q Quoted
			if parse(b, &q) == nil && (len(q.Transport) < quotedTransport || !q.Src.IsValid() || q.Src.Is4() != q.Dst.Is4()) {
				t.Fatalf("%+v", q)
			}
		}
	})
}
