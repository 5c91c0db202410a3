package tcp

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

func words(b []byte) (w []uint32) {
	for ; len(b) >= 4; b = b[4:] {
		w = append(w, binary.NativeEndian.Uint32(b))
	}
	return w
}

// TestBBRShowsItsState: struct tcp_bbr_info of a flow over 20 Mbit/s and 40 ms.
func TestBBRShowsItsState(t *testing.T) {
	p := newModel(20, 40*ms, 4)
	f := p.flow("bbr")
	p.run(3 * time.Second)
	b := f.a.(*bbr)
	w := words(b.showState(nil, nil))
	if len(w) != 5 {
		t.Fatalf("%d words", len(w))
	}
	if bw := uint64(w[0]) | uint64(w[1])<<32; bw != b.bw || bw < 2e6 || bw > 3e6 {
		t.Errorf("%d bytes/s on a path of 2500000", bw)
	}
	if w[2] < 40_000 || w[2] > 45_000 {
		t.Errorf("least round trip %d us", w[2])
	}
	if g := bbrGains[b.state]; w[3] != uint32(256*g.pacing) || w[4] != uint32(256*g.cwnd) {
		t.Errorf("gains %v in state %v", w[3:], g)
	}
}

// TestVegasShowsItsState: struct tcpvegas_info, and the time that stands for none.
func TestVegasShowsItsState(t *testing.T) {
	v := &vegas{trips: trips{rounds: rounds{running: true}, this: span{least: 45 * ms}, ever: span{least: 40 * ms}, count: 2}}
	want := appendWords(nil, 1, 2, 40_000, 45_000)
	if got := v.showState(nil, nil); !bytes.Equal(got, want) {
		t.Errorf("%v", words(got))
	}
	if got := words(new(vegas).showState(nil, nil)); got[0] != 0 || got[2] != 0x7fffffff || got[3] != 0x7fffffff {
		t.Errorf("at first %x", got)
	}
}

// TestDCTCPShowsItsState: struct tcp_dctcp_info, all zero without ECN.
func TestDCTCPShowsItsState(t *testing.T) {
	d := &dctcp{alpha: 512, marked: 1000, acked: 5000}
	if got := words(d.showState(nil, &conn{ecn: &ecnState{}})); len(got) != 4 || got[0] != 1 || got[1] != 512 || got[2] != 1000 || got[3] != 5000 {
		t.Errorf("%v", got)
	}
	if got := d.showState(nil, new(conn)); !bytes.Equal(got, make([]byte, 16)) {
		t.Errorf("without ECN %x", got)
	}
}

// TestCongestionInfo: lengths by algorithm, with and without a connection; an
// algorithm without a structure shows nothing.
func TestCongestionInfo(t *testing.T) {
	const ccInfo = 26
	for name, size := range map[string]int{"bbr": 20, "vegas": 16, "dctcp": 16, "cubic": 0, "reno": 0, "htcp": 0, "cdg": 0} {
		s := story(t, "option TCP_CONGESTION "+name)
		b, err := s.l.profile.Get(s.s, protoTCP, ccInfo, 300)
		if err != nil || !bytes.Equal(b, make([]byte, size)) {
			t.Errorf("%s before connect: %x, %v", name, b, err)
		}
		syn := "> S seq 0"
		if name == "dctcp" {
			syn = "> SEWA seq 0"
		}
		s.steps("connect", syn, "< S. seq 0 ack 1 mss 1460 win 65535", "> . seq 1 ack 1")
		if b, err = s.l.profile.Get(s.s, protoTCP, ccInfo, 300); err != nil || len(b) != size {
			t.Errorf("%s: %x, %v", name, b, err)
		}
		if b, _ = s.l.profile.Get(s.s, protoTCP, ccInfo, 3); len(b) != min(size, 3) {
			t.Errorf("%s into 3 bytes: %x", name, b)
		}
	}
}
