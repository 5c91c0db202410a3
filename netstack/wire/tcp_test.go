package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestTCPRoundTrip(t *testing.T) {
	for name, h := range map[string]TCP{
		"bare": {SrcPort: 1, DstPort: 2, Seq: 3, Ack: 4, Flags: TCPAck, Window: 5, WScale: -1},
		"SYN with everything": {SrcPort: 80, DstPort: 1024, Seq: 1 << 31, Flags: TCPSyn, Window: 65535,
			MSS: 1460, WScale: 7, SACKPermitted: true, HasTS: true, TSVal: 9, TSEcr: 8},
		"SYN with SACK only":  {Flags: TCPSyn | TCPAck, WScale: -1, SACKPermitted: true},
		"SYN with scale zero": {Flags: TCPSyn, WScale: 0, MSS: 536},
		"SACK":                {Flags: TCPAck, WScale: -1, NSACK: 4, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}},
		"SACK and timestamp":  {Flags: TCPAck, WScale: -1, HasTS: true, TSVal: 1, TSEcr: 2, NSACK: 3, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}}},
		"AE":                  {Flags: TCPAe | TCPAck | TCPCwr, WScale: -1},
		"SYN-ACK with AccECN": {Flags: TCPSyn | TCPAck | TCPAe, WScale: 7, MSS: 1460, SACKPermitted: true, HasTS: true,
			AccECN: AccECN{Present: true, N: 3, Fields: [3]uint32{1, 0, 1}}},
		"AccECN, nothing": {Flags: TCPAck, WScale: -1, AccECN: AccECN{Present: true}},
		"AccECN, one":     {Flags: TCPAck, WScale: -1, HasTS: true, AccECN: AccECN{Present: true, ECT1: true, N: 1, Fields: [3]uint32{1<<24 - 1}}},
		"AccECN, two and SACK": {Flags: TCPAck, WScale: -1, NSACK: 1, SACK: [4]SACKBlock{{1, 2}}, HasTS: true,
			AccECN: AccECN{Present: true, N: 2, Fields: [3]uint32{77, 1 << 20}}},
		"urgent": {Flags: TCPUrg | TCPPsh | TCPAck | TCPFin, Urgent: 77, WScale: -1},
	} {
		b := h.AppendTo([]byte("before"))[6:]
		if len(b) != h.HeaderLen() {
			t.Errorf("%s: %d bytes, HeaderLen says %d", name, len(b), h.HeaderLen())
		}
		var got TCP
		p, err := ParseTCP(append(b, "payload"...), &got)
		if err != nil || string(p) != "payload" || !reflect.DeepEqual(got, h) {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, h, err)
		}
	}
}

func TestTCPFourthSACKBlockGivesWayToTimestamp(t *testing.T) {
	h := TCP{Flags: TCPAck, WScale: -1, HasTS: true, NSACK: 4, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}}
	b := h.AppendTo(nil)
	var got TCP
	if _, err := ParseTCP(b, &got); err != nil || len(b) > TCPMaxHeader || got.NSACK != 3 {
		t.Errorf("%d bytes, %d blocks, %v", len(b), got.NSACK, err)
	}
}

// segment is a header with the given flags and options, padded.
func segment(flags TCPFlags, options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	b := make([]byte, 20, 60)
	b[12], b[13] = byte(20+len(options))/4<<4, byte(flags)
	return append(b, options...)
}

func TestTCPOptions(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want TCP
	}{
		{"unknown options are skipped", segment(TCPSyn, 254, 4, 1, 2, 2, 4, 5, 180), TCP{Flags: TCPSyn, MSS: 1460, WScale: -1}},
		{"the end ends", segment(TCPSyn, 0, 2, 4, 5, 180), TCP{Flags: TCPSyn, WScale: -1}},
		{"length 0 ends", segment(TCPSyn, 2, 0, 3, 3, 7), TCP{Flags: TCPSyn, WScale: -1}},
		{"length 1 ends", segment(TCPSyn, 2, 1, 3, 3, 7), TCP{Flags: TCPSyn, WScale: -1}},
		{"a length beyond the header ends", segment(TCPSyn, 3, 3, 7, 8, 10, 0, 0, 0), TCP{Flags: TCPSyn, WScale: 7}},
		{"a wrong length is ignored", segment(TCPSyn, 3, 4, 7, 0, 2, 4, 5, 180), TCP{Flags: TCPSyn, MSS: 1460, WScale: -1}},
		{"a kind without length", segment(TCPSyn, 1, 1, 1, 8), TCP{Flags: TCPSyn, WScale: -1}},
		{"a shift above 14 is 14", segment(TCPSyn, 3, 3, 200), TCP{Flags: TCPSyn, WScale: 14}},
		{"SYN options count in SYNs only", segment(TCPAck, 2, 4, 5, 180, 3, 3, 7, 4, 2), TCP{Flags: TCPAck, WScale: -1}},
		{"SACK of a wrong length", segment(TCPAck, 5, 9, 0, 0, 0, 1, 0, 0, 0), TCP{Flags: TCPAck, WScale: -1}},
	} {
		var got TCP
		if _, err := ParseTCP(c.in, &got); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestTCPBadHeaders(t *testing.T) {
	long := segment(TCPAck)
	long[12] = 0xf0
	short := segment(TCPAck)
	short[12] = 0x40
	for _, c := range []struct {
		in   []byte
		want error
	}{{nil, ErrTCPShort}, {make([]byte, 19), ErrTCPShort}, {long, ErrTCPShort}, {short, ErrTCPOffset}} {
		var h TCP
		if _, err := ParseTCP(c.in, &h); !errors.Is(err, c.want) {
			t.Errorf("%x: %v, want %v", c.in, err, c.want)
		}
	}
}

func FuzzParseTCP(f *testing.F) {
	f.Add(segment(TCPSyn, 2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2))
	f.Add(append(segment(TCPAck, 1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9), "text"...))
	f.Add(segment(TCPRst, 2, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		var h TCP
		payload, err := ParseTCP(in, &h)
		if err != nil {
			return
		}
		if len(payload) > len(in)-TCPMinHeader || h.NSACK > MaxSACKBlocks || h.WScale > MaxWScale {
			t.Fatalf("%+v with %d bytes of payload of %d", h, len(payload), len(in))
		}
		for _, kind := range []byte{OptMD5, OptAO, OptFastOpen} {
			if v, ok := h.Option(kind); ok && (h.Raw == nil || len(v) > TCPMaxHeader-TCPMinHeader-2) {
				t.Fatalf("option %d of %d bytes, header %x", kind, len(v), h.Raw)
			}
		}
		h.Raw = nil // is not emitted
		// What was understood survives being written and read again.
		b := h.AppendTo(nil)
		if len(b) != h.HeaderLen() || len(b) > TCPMaxHeader {
			t.Fatalf("%d bytes, HeaderLen says %d", len(b), h.HeaderLen())
		}
		var again TCP
		rest, err := ParseTCP(append(b, payload...), &again)
		if h.HasTS && h.NSACK > 3 {
			h.NSACK = again.NSACK // no room for the fourth
			h.SACK[3] = SACKBlock{}
		}
		if !again.AccECN.Present {
			h.AccECN = AccECN{} // no room for it with its padding
		}
		if err != nil || !reflect.DeepEqual(again, h) || !bytes.Equal(rest, payload) {
			t.Fatalf("%+v became %+v (%v)", h, again, err)
		}
	})
}

func TestAccECNThatDoesNotFitIsLeftOut(t *testing.T) {
	h := TCP{Flags: TCPAck, WScale: -1, HasTS: true, NSACK: 3, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}},
		AccECN: AccECN{Present: true, N: 1, Fields: [3]uint32{1}}}
	b := h.AppendTo(nil)
	var got TCP
	if _, err := ParseTCP(b, &got); err != nil || len(b) != h.HeaderLen() || len(b) > TCPMaxHeader || got.NSACK != 3 || got.AccECN.Present {
		t.Errorf("%d bytes, %d blocks, %+v, %v", len(b), got.NSACK, got.AccECN, err)
	}
	h = TCP{Flags: TCPSyn, WScale: -1, AccECN: AccECN{Present: true}}
	if n := h.HeaderLen(); n != TCPMinHeader {
		t.Errorf("a SYN of %d bytes", n)
	}
}

func TestAccECNCounters(t *testing.T) {
	for _, o := range []AccECN{
		{Present: true, N: 3, Fields: [3]uint32{1, 2, 3}},
		{Present: true, N: 3, ECT1: true, Fields: [3]uint32{3, 2, 1}},
	} {
		e0, ce, e1 := uint32(9), uint32(9), uint32(9)
		if o.Bytes(&e0, &ce, &e1); e0 != 1 || ce != 2 || e1 != 3 {
			t.Errorf("%+v: %d %d %d", o, e0, ce, e1)
		}
		o.N = 1
		e0, ce, e1 = 9, 9, 9
		if o.Bytes(&e0, &ce, &e1); ce != 9 || o.ECT1 != (e0 == 9) || o.ECT1 == (e1 == 9) {
			t.Errorf("%+v: %d %d %d", o, e0, ce, e1)
		}
	}
}
